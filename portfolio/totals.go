package portfolio

import (
	"cmp"
	"maps"
	"math/big"
	"slices"

	"github.com/shopspring/decimal"

	"rosetree/portfolio/ledger"
)

// sums are a view's totals before they are shown. What no price moves stands apart from what one does.
type sums struct {
	value, cost, dayChange, reference, bought ledger.Amount // of holdings
	realised, income, fees, taxes, charges    ledger.Amount
	cash                                      ledger.Amount
	tracksCash                                bool
	stale                                     []string
}

func (v *view) sum(list []*valued) *sums {
	t := &sums{}
	n := len(list)
	value, cost, day, reference := make([]ledger.Amount, n), make([]ledger.Amount, n), make([]ledger.Amount, n), make([]ledger.Amount, n)
	realised, income, charges := make([]ledger.Amount, n), make([]ledger.Amount, n), make([]ledger.Amount, n)
	for i, x := range list {
		realised[i], income[i], charges[i] = x.realisedBase, x.income, x.charges
		t.fees, t.taxes = t.fees.Add(x.fees), t.taxes.Add(x.taxes)
		cost[i], value[i] = x.costBase, x.valueBase
		if x.quantity.IsZero() && x.bought.Value.IsZero() && x.reference.Value.IsZero() {
			continue
		}
		day[i], reference[i] = x.dayChange, x.reference
		t.bought = t.bought.Add(x.bought)
		if x.freshness == Stale && !x.quantity.IsZero() {
			t.stale = append(t.stale, string(x.inst.Symbol))
		}
	}
	t.value, t.cost, t.dayChange, t.reference = ledger.SumAmounts(value...), ledger.SumAmounts(cost...), ledger.SumAmounts(day...), ledger.SumAmounts(reference...)
	t.realised, t.income, t.charges = ledger.SumAmounts(realised...), ledger.SumAmounts(income...), ledger.SumAmounts(charges...)
	v.sumMoney(t)
	return t
}

// sumMoney adds what belongs to accounts: cash at today's rates, interest, fees and taxes.
func (v *view) sumMoney(t *sums) {
	for _, id := range slices.Sorted(maps.Keys(v.state.Money)) {
		m := v.state.Money[id]
		if v.account != "" && v.account != id {
			continue
		}
		t.income, t.charges = t.income.Add(m.Income), t.charges.Add(m.Charges)
		t.fees, t.taxes = t.fees.Add(m.Fees), t.taxes.Add(m.Taxes)
		t.tracksCash = t.tracksCash || m.Cash != nil
		for currency, balance := range m.Cash {
			if !balance.IsZero() {
				t.cash = t.cash.Add(times(ledger.Amount{Value: ledger.FromDecimal(balance)}, v.rate(currency)))
			}
		}
	}
}

func (t *sums) unrealised() ledger.Amount { return t.value.Sub(t.cost) }

func (t *sums) totalPnL() ledger.Amount {
	return t.unrealised().Add(t.realised).Add(t.income).Sub(t.charges)
}

// show rounds the totals, each from its exact sum (rule 1).
func (t *sums) show(base string) Totals {
	worth := t.value.Add(t.cash)
	out := Totals{Currency: base, Value: money(worth, base), Cost: money(t.cost, base),
		DayChange: money(t.dayChange, base), DayChangePct: dayChangePct(t.dayChange, t.reference, t.bought),
		Unrealised: money(t.unrealised(), base), Realised: money(t.realised, base), Income: money(t.income, base),
		Fees: money(t.fees, base), Taxes: money(t.taxes, base), TotalPnL: money(t.totalPnL(), base),
		Missing: worth.Add(t.dayChange).Add(t.totalPnL()).Missing, Stale: t.stale}
	if t.tracksCash {
		out.Cash = money(t.cash, base)
	}
	if out.Missing == nil {
		out.Missing = []string{}
	}
	if out.Stale == nil {
		out.Stale = []string{}
	}
	return out
}

// weigh gives each holding its share of the holdings' value.
func weigh(list []*valued, shown []Holding) {
	values := make([]ledger.Amount, len(list))
	for i, x := range list {
		values[i] = x.valueBase
	}
	for i, share := range shares(values) {
		shown[i].Weight = share
	}
}

// shares are parts of the sum in per cent, by largest remainder, so that they add up to 100.00 (rule 1).
// Where a value is not known, or is negative, no share is.
func shares(values []ledger.Amount) []Figure {
	shown := make([]Figure, len(values))
	total := ledger.SumAmounts(values...)
	if !total.Known() || total.Value.IsZero() || slices.ContainsFunc(values, func(a ledger.Amount) bool { return a.Value.Sign() < 0 }) {
		return shown
	}
	type part struct {
		i     int
		floor int64 // hundredths of a per cent
		rest  ledger.Exact
	}
	parts, left := make([]part, len(values)), int64(10_000)
	for i, a := range values {
		exact := a.Value.Mul(ledger.FromDecimal(decimal.NewFromInt(10_000))).Quo(total.Value)
		floor := exact.Floor()
		parts[i] = part{i, floor.Int64(), exact.Sub(ledger.Fraction(floor, big.NewInt(1)))}
		left -= floor.Int64()
	}
	slices.SortStableFunc(parts, func(a, b part) int { return cmp.Or(b.rest.Cmp(a.rest), cmp.Compare(a.i, b.i)) })
	for k, p := range parts {
		if int64(k) < left {
			p.floor++
		}
		shown[p.i] = Figure(decimal.New(p.floor, -2).StringFixed(2))
	}
	return shown
}

// show is the whole view: holdings by symbol, closed ones only where asked for, and the totals of all.
func (v *view) show(lots, closed bool) ([]Holding, Totals) {
	return v.showOf(v.all(), lots, closed)
}

func (v *view) showOf(list []*valued, lots, closed bool) ([]Holding, Totals) {
	some := list
	if !closed {
		some = slices.DeleteFunc(slices.Clone(list), func(x *valued) bool { return x.quantity.IsZero() })
	}
	shown := make([]Holding, len(some))
	for i, x := range some {
		shown[i] = x.show(v.base, lots)
	}
	weigh(some, shown)
	return shown, v.sum(list).show(v.base)
}
