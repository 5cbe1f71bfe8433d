package ledger

import (
	"math/big"
	"slices"
)

// fifo keeps lots, oldest first; closing takes the oldest and splits the last one pro rata. Each lot
// remembers how many units it had, so its cost is one division however often it was split.
type fifo struct {
	queue []lot
	units big.Int
	past  []Exact // sold terms of lots that are gone
}

func (f *fifo) held() *big.Int { return &f.units }

func (f *fifo) open(l lot) {
	l.units = new(big.Int).Set(l.units)
	l.orig = new(big.Int).Abs(l.units)
	l.soldAt = new(big.Int)
	f.units.Add(&f.units, l.units)
	// A transferred lot keeps its date, so it may be older than what is already here.
	i, _ := slices.BinarySearchFunc(f.queue, l, func(e, t lot) int {
		if e.at.After(t.at) {
			return 1
		}
		return -1
	})
	f.queue = slices.Insert(f.queue, i, l)
}

func (f *fifo) close(n, rate *big.Int) (why unknowns) {
	f.walk(n, func(l *lot, m *big.Int) {
		why = why.join(l.why)
		if rate != nil {
			l.soldAt.Add(l.soldAt, new(big.Int).Mul(m, rate))
		}
	})
	return why
}

func (f *fifo) take(n *big.Int) (taken []lot) {
	f.walk(n, func(l *lot, m *big.Int) {
		units := new(big.Int).Set(m)
		if l.units.Sign() < 0 {
			units.Neg(units)
		}
		share := Exact{m, l.orig}
		taken = append(taken, lot{at: l.at, units: units, inst: l.inst.Mul(share), base: l.base.Mul(share), why: l.why})
	})
	return taken
}

// walk gives up n units, oldest first, and shows each lot with how many it gives.
func (f *fifo) walk(n *big.Int, visit func(l *lot, m *big.Int)) {
	left, gone := new(big.Int).Set(n), 0
	for i := 0; left.Sign() > 0; i++ {
		l := &f.queue[i]
		m := new(big.Int).Abs(l.units)
		whole := m.Cmp(left) <= 0
		if !whole {
			m.Set(left)
		}
		visit(l, m)
		left.Sub(left, m)
		if l.units.Sign() < 0 {
			l.units.Add(l.units, m)
			f.units.Add(&f.units, m)
		} else {
			l.units.Sub(l.units, m)
			f.units.Sub(&f.units, m)
		}
		if whole {
			gone = i + 1
			f.retire(l)
		}
	}
	f.queue = f.queue[gone:]
}

// retire keeps what a finished lot sold for, for the split of its profit in price and currency.
func (f *fifo) retire(l *lot) {
	if l.soldAt.Sign() != 0 {
		f.past = append(f.past, l.inst.Mul(Exact{l.soldAt, l.orig}))
	}
}

func (f *fifo) lower(inst, base *big.Int) {
	total := new(big.Int).Abs(&f.units)
	for i := range f.queue {
		l := &f.queue[i]
		f.retire(l)
		l.inst, l.base = l.left()
		l.orig, l.soldAt = new(big.Int).Abs(l.units), new(big.Int)
		share := Exact{l.orig, total}
		lowered := l.inst.Sub(Exact{num: inst}.Mul(share))
		if lowered.Sign()*l.units.Sign() <= 0 {
			l.inst, l.base = Exact{}, Exact{}
			continue
		}
		l.inst, l.base = lowered, l.base.Sub(Exact{num: base}.Mul(share))
	}
}

// left is the cost of the units that l still has.
func (l *lot) left() (inst, base Exact) {
	n := new(big.Int).Abs(l.units)
	if l.orig == nil || n.Cmp(l.orig) == 0 {
		return l.inst, l.base
	}
	share := Exact{n, l.orig}
	return l.inst.Mul(share), l.base.Mul(share)
}

func (f *fifo) cost() (inst, base Exact) {
	insts, bases := make([]Exact, len(f.queue)), make([]Exact, len(f.queue))
	for i := range f.queue {
		insts[i], bases[i] = f.queue[i].left()
	}
	return Sum(insts...), Sum(bases...)
}

func (f *fifo) sold() Exact {
	terms := slices.Clone(f.past)
	for i := range f.queue {
		if l := &f.queue[i]; l.soldAt.Sign() != 0 {
			terms = append(terms, l.inst.Mul(Exact{l.soldAt, l.orig}))
		}
	}
	return Sum(terms...)
}

func (f *fifo) unknown() (why unknowns) {
	for i := range f.queue {
		why = why.join(f.queue[i].why)
	}
	return why
}

func (f *fifo) lots() []lot { return f.queue }
