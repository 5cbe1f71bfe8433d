package ledger

import (
	"math/big"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"rosetree/prices"
)

// A chain is all that ever happened to one symbol in a portfolio, over its accounts. Within a chain
// units and money are whole numbers: units of the last day's share, so that a 7:3 split stays whole,
// and money in the finest decimals that any of its rows uses.
type chain struct {
	symbol   prices.Symbol
	currency string
	multiply decimal.Decimal
	opts     Options
	splits   []prices.Split // those that count, oldest first

	quantity         int32    // decimals of a quantity
	perShare         *big.Int // units of one share today
	factor           *big.Int // units·10^-quantity of one share on the day of the replay
	instScale, rates int32    // decimals of money in the instrument's currency, and of a rate
	baseScale        int32
	positions        map[string]*position
	order            []*position
	transfers        map[string]*fact // arriving sides, by pair
	foreign          bool             // the instrument's currency is not the base
}

// fact is a transaction with what had to be looked up for it.
type fact struct {
	*Transaction
	gross      decimal.Decimal
	conv       lookup // of its currency in the instrument's
	base       lookup // of its currency in the base
	instrument lookup // of the instrument's currency in the base
}

type lookup struct {
	rate  decimal.Decimal
	stale bool
	why   []string // why there is none
}

// replay turns the rows of one symbol, in any order, into a position per account.
func replay(symbol prices.Symbol, rows []*Transaction, inst prices.Instrument, accounts map[string]Account, rates Rates, opts Options) []*Position {
	c := &chain{symbol: symbol, currency: inst.Currency, multiply: inst.Multiplier, opts: opts,
		positions: map[string]*position{}, transfers: map[string]*fact{}}
	rows = counted(rows, opts.AsOf)
	slices.SortFunc(rows, order)
	if len(rows) == 0 {
		return nil
	}
	if c.currency == "" {
		c.currency = rows[0].Currency
	}
	if c.multiply.IsZero() {
		c.multiply = decimal.NewFromInt(1)
	}
	c.foreign = c.currency != opts.Base
	facts := c.lookUp(rows, rates)
	c.measure(facts, inst.Splits)
	c.join(facts)
	c.run(facts, accounts)
	out := make([]*Position, len(c.order))
	for i, p := range c.order {
		out[i] = p.result()
	}
	return out
}

func counted(rows []*Transaction, asOf time.Time) []*Transaction {
	if asOf.IsZero() {
		return slices.Clone(rows)
	}
	return slices.DeleteFunc(slices.Clone(rows), func(t *Transaction) bool { return t.At.After(asOf) })
}

func (c *chain) lookUp(rows []*Transaction, rates Rates) []fact {
	facts := make([]fact, len(rows))
	for i, t := range rows {
		f := &facts[i]
		f.Transaction, f.gross = t, t.Gross(c.multiply)
		f.conv = find(rates, t.Currency, c.currency, t.At)
		if t.Rate.Valid {
			f.base = lookup{rate: t.Rate.Decimal}
		} else {
			f.base = find(rates, t.Currency, c.opts.Base, t.At)
		}
		f.instrument = f.base
		if t.Currency != c.currency {
			f.instrument = find(rates, c.currency, c.opts.Base, t.At)
		}
	}
	return facts
}

// find is rule 4 for one flow.
func find(rates Rates, from, to string, at time.Time) lookup {
	if from == to {
		return lookup{rate: decimal.NewFromInt(1)}
	}
	if rate, stale, ok := rates.Rate(from, to, at); ok {
		return lookup{rate: rate, stale: stale}
	}
	return lookup{why: []string{Pair(from, to)}}
}

// measure finds the chain's whole numbers: how many decimals its rows need, and which splits count.
func (c *chain) measure(facts []fact, splits []prices.Split) {
	money, conv := int32(0), int32(0)
	for i := range facts {
		f := &facts[i]
		c.quantity = max(c.quantity, -f.Quantity.Exponent())
		money = max(money, -f.gross.Exponent(), -f.Fee.Exponent(), -f.Tax.Exponent())
		conv = max(conv, -f.conv.rate.Exponent())
		c.rates = max(c.rates, -f.base.rate.Exponent(), -f.instrument.rate.Exponent())
	}
	c.instScale, c.baseScale = money+conv, money+c.rates
	c.splits = relevant(splits, c.opts.splitsUntil())
	c.factor, c.perShare = big.NewInt(1), new(big.Int).Set(pow10(c.quantity))
	for _, s := range c.splits {
		c.factor.Mul(c.factor, big.NewInt(s.N))
		c.perShare.Mul(c.perShare, big.NewInt(s.D))
	}
}

// relevant are the splits up to asOf, oldest first. Until then they are in the future and unknown.
func relevant(splits []prices.Split, asOf time.Time) []prices.Split {
	list := slices.Clone(splits)
	if !asOf.IsZero() {
		list = slices.DeleteFunc(list, func(s prices.Split) bool { return s.ExDate.After(asOf) })
	}
	slices.SortStableFunc(list, func(a, b prices.Split) int { return a.ExDate.Compare(b.ExDate) })
	return list
}

// join finds internal transfers: a pair whose two sides move this symbol. The arriving side happens
// together with the leaving one, so that units in transit are never missing from the portfolio.
func (c *chain) join(facts []fact) {
	leaving := map[string]bool{}
	for i := range facts {
		if f := &facts[i]; f.Type == TransferOut && f.Pair != "" {
			leaving[f.Pair] = true
		}
	}
	for i := range facts {
		if f := &facts[i]; f.Type == TransferIn && leaving[f.Pair] {
			c.transfers[f.Pair] = f
		}
	}
}

func (c *chain) run(facts []fact, accounts map[string]Account) {
	next := 0
	for i := range facts {
		f := &facts[i]
		for ; next < len(c.splits) && !f.At.Before(c.splits[next].ExDate); next++ {
			c.split(c.splits[next])
		}
		if c.transfers[f.Pair] == f {
			continue // it happens with its other side
		}
		c.at(f.Account, accounts).apply(f, accounts)
	}
	for ; next < len(c.splits); next++ {
		c.split(c.splits[next])
	}
}

// split changes what a share of the day is in units; positions are in units and stay as they are.
func (c *chain) split(s prices.Split) {
	c.factor.Quo(c.factor, big.NewInt(s.N))
	c.factor.Mul(c.factor, big.NewInt(s.D))
}

func (c *chain) at(id string, accounts map[string]Account) *position {
	p := c.positions[id]
	if p == nil {
		account := accounts[id]
		account.ID = id
		p = &position{chain: c, account: account, pool: newPool(c.opts.method(account))}
		c.positions[id] = p
		c.order = append(c.order, p)
	}
	return p
}

// units is a quantity of the day as the chain counts.
func (c *chain) units(q decimal.Decimal) *big.Int {
	n := scaled(q, c.quantity)
	return n.Mul(n, c.factor)
}

// inst is money of f in the instrument's currency, base in the base currency; whole numbers.
func (c *chain) inst(f *fact, d decimal.Decimal) *big.Int {
	return scaled(d.Mul(f.conv.rate), c.instScale)
}

func (c *chain) base(f *fact, d decimal.Decimal) *big.Int {
	return scaled(d.Mul(f.base.rate), c.baseScale)
}
