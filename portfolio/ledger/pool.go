package ledger

import (
	"math/big"
	"time"
)

// pool is the open side of a position: its units, all of one sign, and what they cost. Costs are
// signed like the units: a short position's cost is minus its proceeds. Money is in the chain's
// whole numbers (instrument and base), units in the chain's.
type pool interface {
	held() *big.Int // signed; not to be changed
	open(l lot)
	// close gives up n ≤ |held| units. rate (whole, in the chain's scale) is that of the sale, nil
	// where nobody asks; it returns why their cost is not known.
	close(n, rate *big.Int) unknowns
	take(n *big.Int) []lot     // gives up n ≤ |held| units with their cost, for a transfer
	lower(inst, base *big.Int) // return of capital: lowers the cost, not below 0
	cost() (inst, base Exact)  // of what is held
	sold() Exact               // Σ cost of closed units · rate of the sale
	unknown() unknowns         // why the cost of what is held is not known
	lots() []lot               // oldest first
}

// lot is units that came together. What they cost is inst/base for orig units.
type lot struct {
	at         time.Time
	units      *big.Int // signed
	inst, base Exact
	why        unknowns
	orig       *big.Int
	soldAt     *big.Int // Σ closed units · rate of the sale
}

// unknowns are the reasons why a cost is null: in the instrument's currency, and in the base.
type unknowns struct{ inst, base []string }

func (u unknowns) join(v unknowns) unknowns {
	return unknowns{inst: join(u.inst, v.inst), base: join(u.base, v.base)}
}

func newPool(m Method) pool {
	if m == FIFO {
		return &fifo{}
	}
	return &average{}
}

// The numerators of an average pool, which share one denominator.
const (
	avgInst = iota
	avgBase
	avgSold
	avgCount
)

// average keeps one pool. Selling n of q leaves C·(q−n)/q: numerators are multiplied by what is left
// and the shared denominator by q, with small numbers only, so a step costs the length of the
// denominator and never a greatest common divisor of long ones.
type average struct {
	units  big.Int
	den    big.Int // 0 counts as 1
	n      [avgCount]big.Int
	why    unknowns
	opened time.Time
	past   []Exact // sold terms of finished positions
}

func (a *average) held() *big.Int { return &a.units }

func (a *average) scale(k *big.Int) {
	if a.den.Sign() == 0 {
		a.den.SetInt64(1)
	}
	if k.IsInt64() && k.Int64() == 1 {
		return
	}
	a.den.Mul(&a.den, k)
	for i := range a.n {
		if a.n[i].Sign() != 0 {
			a.n[i].Mul(&a.n[i], k)
		}
	}
}

func (a *average) add(i int, e Exact) {
	if e.IsZero() {
		return
	}
	num, den := e.parts()
	a.scale(one)
	if den.Cmp(&a.den) == 0 {
		a.n[i].Add(&a.n[i], num)
		return
	}
	before := new(big.Int).Set(&a.den)
	a.scale(den)
	a.n[i].Add(&a.n[i], before.Mul(before, num))
}

func (a *average) open(l lot) {
	if a.units.Sign() == 0 {
		a.opened, a.why = l.at, unknowns{}
	}
	a.units.Add(&a.units, l.units)
	a.add(avgInst, l.inst)
	a.add(avgBase, l.base)
	a.why = a.why.join(l.why)
}

func (a *average) close(n, rate *big.Int) unknowns {
	why := a.why
	inst, _ := a.release(n)
	if rate != nil {
		a.n[avgSold].Add(&a.n[avgSold], inst.Mul(inst, rate))
	}
	a.settle()
	return why
}

func (a *average) take(n *big.Int) []lot {
	sign := int64(a.units.Sign())
	l := lot{at: a.opened, units: new(big.Int).Mul(n, big.NewInt(sign)), why: a.why}
	inst, base := a.release(n)
	den := new(big.Int).Set(&a.den)
	l.inst, l.base = Exact{inst, den}, Exact{base, den}
	a.settle()
	return []lot{l}
}

// release takes n units and their share of the cost, returned over a.den.
func (a *average) release(n *big.Int) (inst, base *big.Int) {
	q := new(big.Int).Abs(&a.units)
	g := new(big.Int).GCD(nil, nil, q, n)
	m, k := new(big.Int).Quo(n, g), new(big.Int).Quo(q, g)
	a.scale(one)
	inst = new(big.Int).Mul(&a.n[avgInst], m)
	base = new(big.Int).Mul(&a.n[avgBase], m)
	a.scale(k)
	a.n[avgInst].Sub(&a.n[avgInst], inst)
	a.n[avgBase].Sub(&a.n[avgBase], base)
	if a.units.Sign() < 0 {
		a.units.Add(&a.units, n)
	} else {
		a.units.Sub(&a.units, n)
	}
	return inst, base
}

// settle forgets the denominator of a finished position: nothing of it is left to divide.
func (a *average) settle() {
	if a.units.Sign() != 0 {
		return
	}
	a.why = unknowns{}
	a.n[avgInst].SetInt64(0)
	a.n[avgBase].SetInt64(0)
	if a.n[avgSold].Sign() != 0 {
		a.past = append(a.past, Exact{new(big.Int).Set(&a.n[avgSold]), new(big.Int).Set(&a.den)})
		a.n[avgSold].SetInt64(0)
	}
	a.den.SetInt64(1)
}

func (a *average) lower(inst, base *big.Int) {
	a.scale(one)
	left := new(big.Int).Mul(inst, &a.den)
	left.Sub(&a.n[avgInst], left)
	if left.Sign()*a.units.Sign() <= 0 {
		a.n[avgInst].SetInt64(0)
		a.n[avgBase].SetInt64(0)
		return
	}
	a.n[avgInst].Set(left)
	a.n[avgBase].Sub(&a.n[avgBase], new(big.Int).Mul(base, &a.den))
}

func (a *average) cost() (inst, base Exact) {
	a.scale(one)
	return Exact{&a.n[avgInst], &a.den}, Exact{&a.n[avgBase], &a.den}
}

func (a *average) sold() Exact {
	a.scale(one)
	return Sum(append(a.past[:len(a.past):len(a.past)], Exact{&a.n[avgSold], &a.den})...)
}

func (a *average) unknown() unknowns { return a.why }

func (a *average) lots() []lot {
	if a.units.Sign() == 0 {
		return nil
	}
	inst, base := a.cost()
	return []lot{{at: a.opened, units: &a.units, inst: inst, base: base, why: a.why}}
}
