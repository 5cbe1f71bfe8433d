package portfolio

import (
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"rosetree/portfolio/ledger"
	"rosetree/prices"
)

// flow books what came into the scope and what left it (rule 6). Where cash is tracked those are deposits,
// withdrawals and what moved from or to outside; where it is not, and for one holding, its trades with
// their costs, and dividends as outflow.
func (c *curve) flow(v *ledgerView, closes map[prices.Symbol]series) {
	pairs := map[string]int{} // sides of each transfer that are in the scope
	for _, t := range v.rows {
		if t.Pair != "" && (t.Type == ledger.TransferIn || t.Type == ledger.TransferOut) && v.scope.has(t) {
			pairs[t.Pair+"/"+string(t.Symbol)]++
		}
	}
	for _, t := range v.rows {
		if i := c.index(t.At); i < 1 || i >= len(c.value) || !v.scope.has(t) {
			continue
		}
		rate := v.rateOn(t.Currency, t.At)
		if t.Rate.Valid {
			rate = ledger.Amount{Value: ledger.FromDecimal(t.Rate.Decimal)}
		}
		gross := t.Gross(v.multiplier(t.Symbol))
		internal := pairs[t.Pair+"/"+string(t.Symbol)] == 2
		if v.accounts[t.Account].TracksCash && v.scope.symbol == "" {
			c.put(v, t, cashIn(t, gross, internal), rate)
		} else if !moneyAlone(t) {
			c.put(v, t, ledger.CashFlow(t, gross).Neg(), rate)
		}
		if t.Symbol != "" && !internal && (t.Type == ledger.TransferIn || t.Type == ledger.TransferOut || t.Type == ledger.Adjustment) {
			c.move(v, t, closes[t.Symbol])
		}
	}
}

// cashIn is what t brings from outside into cash that is tracked.
func cashIn(t *ledger.Transaction, gross decimal.Decimal, internal bool) decimal.Decimal {
	switch {
	case t.Type == ledger.Deposit, t.Type == ledger.TransferIn && t.Symbol == "" && !internal:
		return gross
	case t.Type == ledger.Withdrawal, t.Type == ledger.TransferOut && t.Symbol == "" && !internal:
		return gross.Neg()
	}
	return decimal.Decimal{}
}

// moneyAlone tells whether t concerns cash and nothing else, so that it is nothing where cash is not tracked.
func moneyAlone(t *ledger.Transaction) bool {
	switch t.Type {
	case ledger.Deposit, ledger.Withdrawal:
		return true
	case ledger.TransferIn, ledger.TransferOut, ledger.Adjustment:
		return t.Symbol == ""
	}
	return false
}

// put books money of t's currency: what comes in, or, negative, what leaves.
func (c *curve) put(v *ledgerView, t *ledger.Transaction, money decimal.Decimal, rate ledger.Amount) {
	i := c.index(t.At)
	if money.IsZero() || i < 1 || i >= len(c.value) {
		return
	}
	c.book(i, times(ledger.Amount{Value: ledger.FromDecimal(money)}, rate))
}

func (c *curve) book(i int, a ledger.Amount) {
	if a.Value.Sign() < 0 {
		c.out[i] = c.out[i].Sub(a)
	} else {
		c.in[i] = c.in[i].Add(a)
	}
}

// move books units that came from outside or went there, at what they were worth on the day.
func (c *curve) move(v *ledgerView, t *ledger.Transaction, closes series) {
	i := slices.IndexFunc(v.positions[t.Symbol], func(p *ledger.Position) bool { return p.Account == t.Account })
	if i < 0 {
		return
	}
	steps := v.positions[t.Symbol][i].Steps
	units := unitsAt(steps, t.At, true).Sub(unitsAt(steps, t.At, false)).Mul(ledger.FromDecimal(v.multiplier(t.Symbol)))
	step := c.index(t.At)
	worth := ledger.Amount{Missing: []string{string(t.Symbol)}}
	if p, ok := closes.at(c.day(step), priceAge); ok {
		worth = ledger.Amount{Value: units.Mul(p.worth())}
	}
	c.book(step, times(worth, c.rate(v, v.insts[t.Symbol].Currency, step)))
}

// unitsAt is what was held before t, or after what happened then.
func unitsAt(steps []ledger.Step, t time.Time, after bool) (units ledger.Exact) {
	for _, s := range steps {
		if s.At.After(t) || !after && s.At.Equal(t) {
			break
		}
		units = s.Units
	}
	return units
}
