package ledger

import (
	"time"

	"rosetree/prices"
)

// Position is what one account holds of one instrument, and what became of it.
type Position struct {
	Symbol   prices.Symbol
	Account  string
	Currency string // the instrument's
	Quantity Exact  // in shares of the last day

	Cost     Amount // of what is held, in Currency
	CostBase Amount // at the rates of the trade dates
	Realised Amount
	// RealisedBase takes every flow at its own rate; it is the sum of the next two.
	RealisedBase     Amount
	RealisedPrice    Amount // profit in Currency at the rates of the sales
	RealisedCurrency Amount // what the rate did to the cost between purchase and sale

	// In the base currency: Income is gross; Charges are those fees and taxes that Cost and Realised
	// do not contain already.
	Income, Fees, Taxes, Charges Amount

	Lots     []Lot
	Steps    []Step // what was held over time
	Oversold []Oversold
	Stale    bool // a rate was up to seven days old
}

// Lot is units that came together, and what they cost.
type Lot struct {
	OpenedAt       time.Time
	Quantity       Exact
	Cost, CostBase Amount
}

// TotalPnL is all that the position earned, given what it is worth in the base currency.
func (p *Position) TotalPnL(value Amount) Amount {
	return value.Sub(p.CostBase).Add(p.RealisedBase).Add(p.Income).Sub(p.Charges)
}

// money and moneyBase turn the chain's whole numbers into money.
func (c *chain) money(e Exact) Exact     { return e.Mul(Exact{one, pow10(c.instScale)}) }
func (c *chain) moneyBase(e Exact) Exact { return e.Mul(Exact{one, pow10(c.baseScale)}) }

func (p *position) result() *Position {
	c := p.chain
	inst, base := p.pool.cost()
	why := p.pool.unknown()
	r := &Position{Symbol: c.symbol, Account: p.account.ID, Currency: c.currency,
		Quantity: Exact{p.pool.held(), c.perShare},
		Cost:     Amount{c.money(inst), why.inst}, CostBase: Amount{c.moneyBase(base), why.base},
		Income: p.income, Fees: p.fees, Taxes: p.taxes, Charges: p.charges,
		Steps: p.steps, Oversold: p.oversold, Stale: p.stale}
	r.Realised = Amount{c.money(Exact{num: &p.flow}.Add(inst).Sub(Sum(p.moved...))), p.realisedWhy.inst}
	r.RealisedBase = Amount{c.moneyBase(Exact{num: &p.flowBase}.Add(base).Sub(Sum(p.movedBase...))), p.realisedWhy.base}
	p.divide(r)
	for _, l := range p.pool.lots() {
		cost, costBase := l.left()
		r.Lots = append(r.Lots, Lot{OpenedAt: l.at, Quantity: Exact{l.units, c.perShare},
			Cost: Amount{c.money(cost), l.why.inst}, CostBase: Amount{c.moneyBase(costBase), l.why.base}})
	}
	return r
}

// divide splits the realised profit in what the price did and what the exchange rate did.
func (p *position) divide(r *Position) {
	if !p.chain.foreign {
		r.RealisedPrice = r.RealisedBase
		return
	}
	c := p.chain
	sold := Exact{one, pow10(c.instScale + c.rates)}.Mul(p.pool.sold())
	price := c.moneyBase(Exact{num: &p.closing}).Add(Sum(p.priced...)).Sub(sold)
	r.RealisedPrice = Amount{price, join(r.RealisedBase.Missing, p.realisedWhy.inst)}
	r.RealisedCurrency = r.RealisedBase.Sub(r.RealisedPrice)
}
