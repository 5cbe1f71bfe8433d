package portfolio

import (
	"cmp"
	"math/big"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"rosetree/portfolio/ledger"
	"rosetree/prices"
)

// held is one instrument over the accounts of a view: exact, and without a price.
type held struct {
	inst     prices.Instrument
	currency string
	quantity ledger.Exact

	cost, costBase, realised, realisedBase, realisedPrice, realisedCurrency ledger.Amount
	income, fees, taxes, charges                                            ledger.Amount

	positions []*ledger.Position
}

// gather sums a symbol's positions; only those of account, where that is given.
func gather(inst prices.Instrument, positions []*ledger.Position, account string) *held {
	h := &held{inst: inst, currency: inst.Currency}
	for _, p := range positions {
		if account != "" && p.Account != account {
			continue
		}
		h.positions = append(h.positions, p)
		h.currency = p.Currency
		h.quantity = h.quantity.Add(p.Quantity)
		h.cost, h.costBase = h.cost.Add(p.Cost), h.costBase.Add(p.CostBase)
		h.realised, h.realisedBase = h.realised.Add(p.Realised), h.realisedBase.Add(p.RealisedBase)
		h.realisedPrice, h.realisedCurrency = h.realisedPrice.Add(p.RealisedPrice), h.realisedCurrency.Add(p.RealisedCurrency)
		h.income, h.fees, h.taxes = h.income.Add(p.Income), h.fees.Add(p.Fees), h.taxes.Add(p.Taxes)
		h.charges = h.charges.Add(p.Charges)
	}
	return h
}

// multiplier is what one unit at price 1 is worth.
func (h *held) multiplier() decimal.Decimal {
	if h.inst.Multiplier.IsZero() {
		return decimal.NewFromInt(1)
	}
	return h.inst.Multiplier
}

// before is what was held when a day began, in shares of today, and what was bought (less sold) since,
// gross, in the base currency: what the day change leaves out (rule 5).
func (h *held) before(day time.Time, chain []*ledger.Transaction, rates ledger.Rates, base string) (quantity ledger.Exact, bought ledger.Amount) {
	accounts := map[string]bool{}
	for _, p := range h.positions {
		accounts[p.Account] = true
		i, _ := slices.BinarySearchFunc(p.Steps, day, func(s ledger.Step, t time.Time) int {
			if s.At.Before(t) {
				return -1
			}
			return 1
		})
		if i > 0 {
			quantity = quantity.Add(p.Steps[i-1].Units)
		}
	}
	for _, t := range chain {
		if accounts[t.Account] && !t.At.Before(day) {
			bought = bought.Add(netPurchase(t, h.multiplier(), rates, base, accounts, chain))
		}
	}
	return quantity, bought
}

// netPurchase is what t put into its instrument from outside: what units brought counts like a purchase
// at its value, so that no transfer looks like a gain of the day.
func netPurchase(t *ledger.Transaction, multiplier decimal.Decimal, rates ledger.Rates, base string, accounts map[string]bool, chain []*ledger.Transaction) ledger.Amount {
	gross := t.Gross(multiplier)
	switch t.Type {
	case ledger.Sell:
		gross = gross.Neg()
	case ledger.Buy:
	case ledger.TransferIn, ledger.TransferOut, ledger.Adjustment:
		if t.Pair != "" && slices.ContainsFunc(chain, func(o *ledger.Transaction) bool {
			return o != t && o.Pair == t.Pair && accounts[o.Account]
		}) {
			return ledger.Amount{}
		}
		if t.Type != ledger.TransferIn || gross.IsZero() {
			return ledger.Amount{Missing: []string{"basis:" + string(t.Symbol)}}
		}
	default:
		return ledger.Amount{}
	}
	if t.Rate.Valid {
		return ledger.Amount{Value: ledger.FromDecimal(gross.Mul(t.Rate.Decimal))}
	}
	rate, _, ok := rates.Rate(t.Currency, base, t.At)
	if !ok {
		return ledger.Amount{Missing: []string{ledger.Pair(t.Currency, base)}}
	}
	return ledger.Amount{Value: ledger.FromDecimal(gross.Mul(rate))}
}

// valued is a holding at a moment: what is exact before it is shown.
type valued struct {
	*held
	quoted
	hasPrice bool
	rate     ledger.Amount // of the instrument's currency in the base

	value, valueBase                            ledger.Amount
	reference, bought                           ledger.Amount // worth when the day began; net purchases of the day
	dayChange                                   ledger.Amount
	unrealised, unrealisedBase, unrealisedPrice ledger.Amount
}

// view is a portfolio seen at a moment: by its own settings or by others.
type view struct {
	base    string
	opts    ledger.Options
	account string // "" is all
	rates   ledger.Rates
	at      moment
	ledger  *ledger.Ledger
	state   *ledger.State
	inst    ledger.Instruments
}

// value prices h.
func (v *view) value(h *held, chain []*ledger.Transaction) *valued {
	x := &valued{held: h}
	symbol := string(h.inst.Symbol)
	x.quoted, x.hasPrice = v.at.quote(h.inst.Symbol)
	x.rate = v.rate(h.currency)
	if !x.hasPrice {
		x.freshness = None
		x.value.Missing = []string{symbol}
	} else {
		x.value.Value = h.quantity.Mul(ledger.FromDecimal(x.price.Mul(h.multiplier())))
	}
	if h.quantity.IsZero() {
		x.value, x.rate.Missing = ledger.Amount{}, nil
	}
	x.valueBase = times(x.value, x.rate)
	x.unrealised = x.value.Sub(h.cost)
	x.unrealisedBase = x.valueBase.Sub(h.costBase)
	x.unrealisedPrice = times(x.unrealised, x.rate)
	v.dayChange(x, chain)
	return x
}

// dayChange is rule 5's: the worth now, less the worth at the close before the session of the latest
// price, less what was bought since.
func (v *view) dayChange(x *valued, chain []*ledger.Transaction) {
	if !x.hasPrice {
		x.dayChange = x.valueBase
		return
	}
	day := x.quoted.day
	quantity, bought := x.before(day, v.until(chain), v.rates, v.base)
	x.bought = bought
	if !quantity.IsZero() {
		x.reference = v.worthBefore(x, quantity, day)
	}
	x.dayChange = x.valueBase.Sub(x.reference).Sub(x.bought)
}

// until are the rows that count in a view of the past.
func (v *view) until(chain []*ledger.Transaction) []*ledger.Transaction {
	if v.opts.AsOf.IsZero() {
		return chain
	}
	return slices.DeleteFunc(slices.Clone(chain), func(t *ledger.Transaction) bool { return t.At.After(v.opts.AsOf) })
}

func (v *view) worthBefore(x *valued, quantity ledger.Exact, day time.Time) ledger.Amount {
	if !x.previous.Valid {
		return ledger.Amount{Missing: []string{string(x.inst.Symbol)}}
	}
	rate, ok := v.at.before(x.currency, v.base, day)
	if !ok {
		return ledger.Amount{Missing: []string{ledger.Pair(x.currency, v.base)}}
	}
	worth := quantity.Mul(ledger.FromDecimal(x.previous.Decimal.Mul(x.multiplier()).Mul(rate)))
	return ledger.Amount{Value: worth.Mul(splitOn(x.inst, day))}
}

// splitOn turns the close before a split into shares of the day on which it counts (rule 3).
func splitOn(inst prices.Instrument, day time.Time) ledger.Exact {
	factor := unit.Value
	for _, s := range inst.Splits {
		if !inst.PriceAdjusted && s.ExDate.Equal(day) {
			factor = factor.Mul(ledger.Fraction(big.NewInt(s.D), big.NewInt(s.N)))
		}
	}
	return factor
}

func (v *view) rate(currency string) ledger.Amount {
	r, _, ok := v.at.rate(currency, v.base)
	if !ok {
		return ledger.Amount{Missing: []string{ledger.Pair(currency, v.base)}}
	}
	return ledger.Amount{Value: ledger.FromDecimal(r)}
}

func times(a, b ledger.Amount) ledger.Amount {
	return ledger.Amount{Value: a.Value.Mul(b.Value), Missing: a.Add(b).Missing}
}

// dayChangePct is per cent of what was there when the day began, plus what came (rule 5).
func dayChangePct(change, reference, bought ledger.Amount) Figure {
	if bought.Value.Sign() < 0 {
		bought.Value = ledger.Exact{}
	}
	return percent(change, reference.Add(bought))
}

// all values every instrument that ever occurred, by symbol.
func (v *view) all() []*valued {
	list := make([]*valued, 0, len(v.state.Positions))
	for symbol, positions := range v.state.Positions {
		inst := v.inst(symbol)
		inst.Symbol = symbol
		if h := gather(inst, positions, v.account); len(h.positions) > 0 {
			list = append(list, v.value(h, v.ledger.Chain(symbol)))
		}
	}
	slices.SortFunc(list, func(a, b *valued) int { return cmp.Compare(a.inst.Symbol, b.inst.Symbol) })
	return list
}

// show rounds a holding for the outside.
func (x *valued) show(base string, lots bool) Holding {
	h := Holding{Symbol: x.inst.Symbol, Name: x.inst.Name, Kind: x.inst.Kind, Currency: x.currency, Quantity: quantity(x.quantity),
		Cost: money(x.cost, x.currency), CostBase: money(x.costBase, base), Freshness: x.freshness,
		Value: money(x.value, x.currency), ValueBase: money(x.valueBase, base),
		DayChange: money(x.dayChange, base), DayChangePct: dayChangePct(x.dayChange, x.reference, x.bought),
		Unrealised: money(x.unrealised, x.currency), UnrealisedBase: money(x.unrealisedBase, base),
		UnrealisedPrice: money(x.unrealisedPrice, base), UnrealisedCurrency: money(x.unrealisedBase.Sub(x.unrealisedPrice), base),
		Realised: money(x.realised, x.currency), RealisedBase: money(x.realisedBase, base),
		RealisedPrice: money(x.realisedPrice, base), RealisedCurrency: money(x.realisedCurrency, base),
		Income: money(x.income, base), Fees: money(x.fees, base), Taxes: money(x.taxes, base)}
	if x.cost.Known() && !x.quantity.IsZero() {
		h.AveragePrice = price(x.cost.Value.Quo(x.quantity.Mul(ledger.FromDecimal(x.multiplier()))).Abs())
	}
	if x.hasPrice {
		at := x.at.UTC()
		h.Price, h.PriceAt = price(ledger.FromDecimal(x.price)), &at
	}
	if lots {
		h.Lots = x.lots(base)
	}
	return h
}

func (x *valued) lots(base string) (list []Lot) {
	for _, p := range x.positions {
		for _, l := range p.Lots {
			list = append(list, Lot{Account: p.Account, OpenedAt: l.OpenedAt.UTC(), Quantity: quantity(l.Quantity),
				Cost: money(l.Cost, x.currency), CostBase: money(l.CostBase, base)})
		}
	}
	return list
}
