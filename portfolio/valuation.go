package portfolio

import (
	"slices"

	"github.com/shopspring/decimal"

	"rosetree/portfolio/ledger"
	"rosetree/prices"
)

// valuation is what a frame needs of a watched portfolio: its open holdings as whole numbers, and a
// running sum per currency. It is made anew with each version; live.mu guards it.
type valuation struct {
	// Holding i is in all four. A frame reads all of the first two, which for 20 holdings are five lines of
	// the processor's cache, and of the others those whose price has moved.
	tickers []*ticker
	seen    []uint64 // the ticker's generation that was shown
	rows    []row
	bases   []basis

	slots []slot

	// Exact constants of this version, in the base currency.
	cost, reference, cash, pnl constant      // pnl: cost − realised − income + charges
	dayBase, dayStart          ledger.Amount // what the day change is less, and per cent of
	start                      constant      // dayStart in 1e-28
	fixedTotals                Totals        // what no price moves, as shown
	places                     int
	frames                     int
}

// row is what a price moves of one open holding.
type row struct {
	value   fixed // in 1e-16; part of the slot's sum
	units   int64 // quantity · multiplier in 1e-8
	session uint64
	slot    int32
	places  int8 // of its currency's minor unit
	exact   bool // units says it all
	priced  bool
	known   bool // its basis is known and fits
}

// basis is what else a holding's figures are made of.
type basis struct {
	fresh     Freshness // that was shown
	cost      constant  // in 1e-16 of the holding's currency
	costBase  constant  // in 1e-28
	reference constant  // in 1e-28: worth when the day began, plus what was bought since
}

// slot is one currency of the holdings.
type slot struct {
	exchange *exchange
	count    uint64
	moved    bool  // in the frame under way
	rate     int64 // in 1e-12; of the frame under way
	sum      fixed // of the rows' values, in 1e-16
	unpriced int   // rows without a price, or on the exact path
}

// revalue makes l.book anew; mu is held.
func (l *live) revalue() {
	v := l.view()
	l.revalueOf(v, v.all())
}

// revalueOf is revalue of a view that is made already.
func (l *live) revalueOf(v *view, list []*valued) {
	if len(l.viewers) == 0 {
		l.book = nil
		return
	}
	t := v.sum(list)
	base := l.settings.base
	b := &valuation{fixedTotals: t.show(base), places: int(minorUnit(base)),
		cost: newConstant(t.cost, baseScale), reference: newConstant(t.reference.Add(t.bought), baseScale), cash: newConstant(negative(t.cash), baseScale),
		pnl: newConstant(t.cost.Sub(t.realised).Sub(t.income).Add(t.charges), baseScale)}
	b.dayBase = t.reference.Add(t.bought)
	b.dayStart = ledger.Amount{Value: t.reference.Value, Missing: t.dayChange.Missing}
	if t.bought.Value.Sign() > 0 {
		b.dayStart.Value = b.dayStart.Value.Add(t.bought.Value)
	}
	b.start = newConstant(b.dayStart, baseScale)
	n := len(list)
	b.tickers, b.seen, b.rows, b.bases = make([]*ticker, 0, n), make([]uint64, 0, n), make([]row, 0, n), make([]basis, 0, n)
	for _, x := range list {
		if !x.quantity.IsZero() {
			l.add(b, x)
		}
	}
	b.inherit(l.book)
	for _, m := range l.state.Money {
		for currency, balance := range m.Cash {
			if currency != base && !balance.IsZero() {
				b.cash.ok = false // its worth moves: the exact path
			}
		}
	}
	l.book = b
}

// inherit keeps what the viewers have not been told yet: a price that moved after the last frame.
func (b *valuation) inherit(old *valuation) {
	if old == nil {
		return
	}
	for i, t := range old.tickers {
		if j := slices.Index(b.tickers, t); j >= 0 && b.seen[j] != old.seen[i] {
			b.seen[j], b.bases[j].fresh = old.seen[i], old.bases[i].fresh
		}
	}
}

// ticker is the shared one, or, for an instrument that only the owner knows, one that stands still.
func (l *live) ticker(symbol prices.Symbol) *ticker {
	t := l.service.ticker(symbol)
	m, manual := l.own[symbol]
	if t.state().generation > 0 || !manual || !m.price.Valid {
		return t
	}
	still := &ticker{symbol: symbol}
	still.set(m.quoted(), 1)
	return still
}

func negative(a ledger.Amount) ledger.Amount { return ledger.Amount{}.Sub(a) }

func (l *live) add(b *valuation, x *valued) {
	t := l.ticker(x.inst.Symbol)
	r := row{places: int8(minorUnit(x.currency)), slot: int32(l.slot(b, x.currency))}
	r.units, r.exact = units(x.quantity.Mul(ledger.FromDecimal(x.multiplier())).Decimal(18))
	if r.exact && x.quantity.Mul(ledger.FromDecimal(x.multiplier())).Cmp(ledger.FromDecimal(decimal.New(r.units, -unitScale))) != 0 {
		r.exact = false
	}
	st := t.state()
	c := basis{fresh: st.freshness, cost: newConstant(x.cost, valueScale), costBase: newConstant(x.costBase, baseScale),
		reference: newConstant(x.reference.Add(x.bought), baseScale)}
	r.known, r.session = c.cost.ok && c.costBase.ok, st.session
	b.slots[r.slot].unpriced++
	b.price(&r, st)
	b.tickers, b.seen, b.rows, b.bases = append(b.tickers, t), append(b.seen, st.generation), append(b.rows, r), append(b.bases, c)
}

func (l *live) slot(b *valuation, currency string) int {
	i := slices.IndexFunc(b.slots, func(s slot) bool { return s.exchange.from == currency })
	if i < 0 {
		i = len(b.slots)
		b.slots = append(b.slots, slot{exchange: l.service.exchange(currency, l.settings.base)})
		_, _, _, b.slots[i].count = b.slots[i].exchange.now(l.service, l.rates)
	}
	return i
}

// price brings a row to a price, and its currency's sum along: a delta, exact, so that sums never drift.
func (b *valuation) price(r *row, st *ticked) {
	s := &b.slots[r.slot]
	value, priced := fixed{}, false
	if r.exact && st.exact && st.generation > 0 {
		value, priced = product(r.units, st.units), true
	}
	if priced != r.priced {
		s.unpriced += map[bool]int{true: -1, false: 1}[priced]
	}
	s.sum = s.sum.plus(value.minus(r.value))
	r.value, r.priced = value, priced
}

// drifted compares the running sums with full ones. They must be equal.
func (b *valuation) drifted() bool {
	sums := make([]fixed, len(b.slots))
	for i := range b.rows {
		r := &b.rows[i]
		sums[r.slot] = sums[r.slot].plus(r.value)
	}
	for i := range b.slots {
		if sums[i] != b.slots[i].sum {
			return true
		}
	}
	return false
}
