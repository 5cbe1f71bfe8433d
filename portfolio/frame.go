package portfolio

import (
	"context"
	"math/big"
	"slices"
	"sync"
	"time"

	"rosetree/portfolio/ledger"
)

// turns is in how many parts a frame is divided: portfolios take turns, so that there is no burst.
const turns = 10

// flush sends valuations: each watched portfolio at most once per frame, and only where a price of its
// own has moved.
func (s *Service) flush(ctx context.Context) error {
	turn, desk := uint64(0), &desk{}
	return every(ctx, s.config.Frame/turns, func() {
		turn = (turn + 1) % turns
		for _, l := range s.all() {
			if l.turn == turn {
				l.frame(desk)
			}
		}
	})
}

// desk is room that every frame uses again, so that ten thousand portfolios leave the processor's cache
// and the garbage collector alone.
type desk struct {
	moved []int
	marks []Mark
	text  []byte
	spots []spot
}

// driftCheck is after how many frames a portfolio's running sums are compared with full ones.
const driftCheck = 64

// frame sends what moved since the last one.
func (l *live) frame(d *desk) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.book
	if b == nil || len(l.viewers) == 0 {
		return
	}
	moved, renew := l.moves(b, d)
	if renew {
		l.revalue() // a new session has begun: the day change counts from another close
		b = l.book
		for i := range b.rows {
			moved = append(moved[:i], i)
		}
		d.moved = moved
	}
	if len(moved) == 0 {
		return
	}
	if b.frames++; b.frames%driftCheck == 0 && b.drifted() {
		l.service.metrics.drift.Inc()
		l.service.log.Error("portfolio: running sums drifted", "portfolio", l.id)
		l.revalue()
		b = l.book
	}
	v, ok := l.quick(b, d)
	if !ok {
		v = l.exact(b, moved)
	}
	l.service.metrics.valuations.Inc()
	l.show(v)
}

func (l *live) show(v Valuation) {
	var hidden *Valuation
	for _, w := range l.viewers {
		if !w.hides() {
			w.viewer.Valuation(v)
			continue
		}
		if hidden == nil {
			h := v
			h.Holdings, h.Totals = hideMarks(v.Holdings), hideTotals(v.Totals)
			hidden = &h
		}
		w.viewer.Valuation(*hidden)
	}
}

// moves brings rows to the newest prices and lists those whose price, freshness or rate has changed.
// renew is true where a session has begun.
func (l *live) moves(b *valuation, d *desk) (moved []int, renew bool) {
	rates := false
	for i := range b.slots {
		s := &b.slots[i]
		if _, _, _, count := s.exchange.now(l.service, l.rates); count != s.count {
			s.count, s.moved, rates = count, true, true
		} else {
			s.moved = false
		}
	}
	moved = d.moved[:0]
	for i, t := range b.tickers {
		if t.generation.Load() != b.seen[i] {
			r, st := &b.rows[i], t.state()
			renew = renew || st.session != r.session
			b.seen[i] = st.generation
			b.price(r, st)
		} else if !rates || !b.slots[b.rows[i].slot].moved {
			continue
		}
		moved = append(moved, i)
	}
	d.moved = moved
	return moved, renew
}

// quick makes a valuation in whole numbers; ok is false where something has no room in them, or is not known.
func (l *live) quick(b *valuation, d *desk) (v Valuation, ok bool) {
	total := fixed{}
	for i := range b.slots {
		s := &b.slots[i]
		_, rate, exact, _ := s.exchange.now(l.service, l.rates)
		if !exact || s.unpriced > 0 {
			return v, false
		}
		worth, ok := s.sum.times(rate)
		if !ok || !worth.small() {
			return v, false
		}
		total, s.rate = total.plus(worth), rate
	}
	p := printer{buf: d.text[:0], spots: d.spots[:0]}
	d.marks = slices.Grow(d.marks[:0], len(d.moved))[:len(d.moved)]
	v = Valuation{Version: l.settings.version, Holdings: d.marks, Totals: b.fixedTotals, T: time.Now().UnixMilli()}
	for k, i := range d.moved {
		if !p.mark(&v.Holdings[k], b, i) {
			return v, false
		}
	}
	if !p.totals(&v.Totals, b, total) {
		return v, false
	}
	p.finish()
	d.text, d.spots = p.buf, p.spots
	return v, true
}

// printer writes many figures into one string.
type printer struct {
	buf   []byte
	spots []spot
}

type spot struct {
	to         *Figure
	from, past int
}

func (p *printer) money(to *Figure, f fixed, scale, places int) bool {
	n, ok := f.round(scale - places)
	if ok {
		from := len(p.buf)
		p.buf = appendFixed(p.buf, n, places)
		p.spots = append(p.spots, spot{to, from, len(p.buf)})
	}
	return ok
}

func (p *printer) finish() {
	text := string(p.buf)
	for i := range p.spots {
		s := &p.spots[i]
		*s.to = Figure(text[s.from:s.past])
		s.to = nil // the desk must not keep a frame alive
	}
}

// mark shows a row; false where something of it has no room. What is not known stays null.
func (p *printer) mark(m *Mark, b *valuation, i int) bool {
	r, c := &b.rows[i], &b.bases[i]
	s, st, places := &b.slots[r.slot], b.tickers[i].state(), int(r.places)
	*m = Mark{Symbol: b.tickers[i].symbol, Price: st.shown}
	if st.freshness != c.fresh {
		c.fresh, m.Freshness = st.freshness, st.freshness
	}
	base, ok := r.value.times(s.rate)
	ok = ok && base.small() && r.value.small() && r.known && p.money(&m.Value, r.value, valueScale, places) &&
		p.money(&m.Unrealised, r.value.less(c.cost), valueScale, places)
	if ok && !c.reference.null {
		ok = c.reference.ok && p.money(&m.DayChange, base.less(c.reference), baseScale, b.places)
	}
	if ok && s.exchange.from != s.exchange.to {
		m.Foreign = true
		ok = p.money(&m.ValueBase, base, baseScale, b.places) && p.money(&m.UnrealisedBase, base.less(c.costBase), baseScale, b.places)
	}
	return ok
}

func (p *printer) totals(t *Totals, b *valuation, worth fixed) bool {
	if !b.cost.ok || !b.pnl.ok || !b.cash.ok || !b.reference.ok && !b.reference.null {
		return false
	}
	t.DayChange, t.DayChangePct = "", ""
	if !b.reference.null { // where it is not known, the rest still is
		p.dayPercent(&t.DayChangePct, b, worth)
		if !p.money(&t.DayChange, worth.less(b.reference), baseScale, b.places) {
			return false
		}
	}
	return p.money(&t.Value, worth.less(b.cash), baseScale, b.places) &&
		p.money(&t.Unrealised, worth.less(b.cost), baseScale, b.places) &&
		p.money(&t.TotalPnL, worth.less(b.pnl), baseScale, b.places)
}

// dayPercent is the day change in per cent of what was there when the day began.
func (p *printer) dayPercent(to *Figure, b *valuation, worth fixed) {
	if b.reference.more || !b.start.ok || b.start.more || b.start.floor.hi <= 0 && b.start.floor.lo == 0 {
		*to = percent(ledger.Amount{Value: worth.exact(baseScale)}.Sub(b.dayBase), b.dayStart)
		return
	}
	q := quotients.Get().(*quotient)
	defer quotients.Put(q)
	day := worth.minus(b.reference.floor)
	// ⌊(2·10⁴·|day| + start) / (2·start)⌋: hundredths of a per cent, half away from zero
	q.set(&q.num, day)
	q.set(&q.den, b.start.floor)
	q.num.Mul(&q.num, twentyThousand)
	q.num.Add(&q.num, &q.den)
	q.den.Lsh(&q.den, 1)
	q.num.QuoRem(&q.num, &q.den, &q.rest)
	n := q.num.Int64()
	if day.hi < 0 {
		n = -n
	}
	from := len(p.buf)
	p.buf = appendFixed(p.buf, n, 2)
	p.spots = append(p.spots, spot{to, from, len(p.buf)})
}

// quotient is room for one division, used again so that a frame does not fill the heap.
type quotient struct{ num, den, rest, low big.Int }

var (
	quotients      = sync.Pool{New: func() any { return new(quotient) }}
	twentyThousand = big.NewInt(20_000)
)

// set makes n the size of f.
func (q *quotient) set(n *big.Int, f fixed) {
	hi, lo := f.abs()
	n.SetUint64(hi)
	n.Lsh(n, 64)
	n.Or(n, q.low.SetUint64(lo))
}

// exact makes the same valuation with fractions: slower, without limits.
func (l *live) exact(b *valuation, moved []int) Valuation {
	v := l.view()
	list := v.all()
	out := Valuation{Version: l.settings.version, Holdings: make([]Mark, 0, len(moved)), Totals: v.sum(list).show(v.base), T: time.Now().UnixMilli()}
	for _, x := range list {
		for _, i := range moved {
			c := &b.bases[i]
			if b.tickers[i].symbol != x.inst.Symbol || x.quantity.IsZero() {
				continue
			}
			h := x.show(v.base, false)
			m := Mark{Symbol: h.Symbol, Price: h.Price, Value: h.Value, DayChange: h.DayChange, Unrealised: h.Unrealised}
			if x.currency != v.base {
				m.Foreign, m.ValueBase, m.UnrealisedBase = true, h.ValueBase, h.UnrealisedBase
			}
			if h.Freshness != c.fresh {
				c.fresh, m.Freshness = h.Freshness, h.Freshness
			}
			out.Holdings = append(out.Holdings, m)
		}
	}
	return out
}
