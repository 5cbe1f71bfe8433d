package ledger

import (
	"math/big"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"rosetree/prices"
)

// This is the second implementation that the first is held against: the rules written down as
// plainly as possible, in big.Rat, with accumulators and no shared denominators. It knows ledgers
// whose rates are all known.

type plainLot struct {
	q, c, cb *big.Rat
	at       time.Time // lots that move keep it
}

type plainPosition struct {
	method                       Method
	short                        bool
	opened                       time.Time
	lots                         []plainLot // average: at most one
	r, rb                        *big.Rat   // realised
	price                        *big.Rat   // of rb, what the price did
	income, fees, taxes, charges *big.Rat
}

func rat(d decimal.Decimal) *big.Rat { return d.Rat() }
func mul(a, b *big.Rat) *big.Rat     { return new(big.Rat).Mul(a, b) }
func add(a, b *big.Rat) *big.Rat     { return new(big.Rat).Add(a, b) }
func sub(a, b *big.Rat) *big.Rat     { return new(big.Rat).Sub(a, b) }
func quo(a, b *big.Rat) *big.Rat     { return new(big.Rat).Quo(a, b) }
func abs(a *big.Rat) *big.Rat        { return new(big.Rat).Abs(a) }
func zero() *big.Rat                 { return new(big.Rat) }

func (p *plainPosition) total() (q, c, cb *big.Rat) {
	q, c, cb = zero(), zero(), zero()
	for _, l := range p.lots {
		q, c, cb = add(q, l.q), add(c, l.c), add(cb, l.cb)
	}
	return q, c, cb
}

func (p *plainPosition) open(l plainLot) {
	p.lots = append(p.lots, l)
	slices.SortStableFunc(p.lots, func(a, b plainLot) int { return a.at.Compare(b.at) })
	if p.method == Average {
		if len(p.lots) > 1 { // a pool is as old as its first purchase
			l.at = p.opened
		}
		p.opened = l.at
		q, c, cb := p.total()
		p.lots = []plainLot{{q, c, cb, l.at}}
	}
}

// take gives up n units (positive), oldest first, and returns them.
func (p *plainPosition) take(n *big.Rat) (out []plainLot) {
	for n.Sign() > 0 {
		l := &p.lots[0]
		part := quo(n, abs(l.q))
		if part.Cmp(big.NewRat(1, 1)) >= 0 {
			n = sub(n, abs(l.q))
			out = append(out, *l)
			p.lots = p.lots[1:]
			continue
		}
		x := plainLot{mul(l.q, part), mul(l.c, part), mul(l.cb, part), l.at}
		*l = plainLot{sub(l.q, x.q), sub(l.c, x.c), sub(l.cb, x.cb), l.at}
		return append(out, x)
	}
	return out
}

// trade: dq signed units for dc, dcb (signed cost: a buy's positive, a sale's negative); rate is the instrument's.
func (p *plainPosition) trade(at time.Time, dq, dc, dcb, rate *big.Rat) {
	held, _, _ := p.total()
	if held.Sign()*dq.Sign() >= 0 {
		p.open(plainLot{dq, dc, dcb, at})
		return
	}
	n := abs(dq)
	if n.Cmp(abs(held)) > 0 {
		n = abs(held)
	}
	part := quo(n, abs(dq))
	p.realise(n, mul(dc, part), mul(dcb, part), rate)
	rest := sub(abs(dq), n)
	tiny := mul(abs(dq), big.NewRat(1, 1_000_000_000))
	if rest.Cmp(tiny) > 0 {
		part = quo(rest, abs(dq))
		p.open(plainLot{mul(dq, part), mul(dc, part), mul(dcb, part), at})
	} else if rest.Sign() > 0 { // dust on the other side: its money is realised with the rest
		part = quo(rest, abs(dq))
		p.r, p.rb = sub(p.r, mul(dc, part)), sub(p.rb, mul(dcb, part))
	}
	if left, _, _ := p.total(); left.Sign() != 0 && abs(left).Cmp(tiny) <= 0 {
		p.realise(abs(left), zero(), zero(), rate)
	}
}

func (p *plainPosition) realise(n, dc, dcb, rate *big.Rat) {
	basis, basisBase := zero(), zero()
	for _, l := range p.take(n) {
		basis, basisBase = add(basis, l.c), add(basisBase, l.cb)
	}
	p.r = sub(p.r, add(dc, basis)) // proceeds = −dc
	p.rb = sub(p.rb, add(dcb, basisBase))
	p.price = sub(p.price, add(dcb, mul(basis, rate)))
}

func (p *plainPosition) returnCapital(money, base, rate *big.Rat) {
	q, _, _ := p.total()
	if q.Sign() == 0 {
		p.r, p.rb, p.price = add(p.r, money), add(p.rb, base), add(p.price, base)
		return
	}
	for i := range p.lots {
		l := &p.lots[i]
		part := quo(l.q, abs(q)) // signed
		c, cb := sub(l.c, mul(money, part)), sub(l.cb, mul(base, part))
		if c.Sign()*l.q.Sign() <= 0 { // what exceeds the cost is realised
			p.r, p.rb, p.price = sub(p.r, c), sub(p.rb, cb), sub(p.price, mul(c, rate))
			c, cb = zero(), zero()
		}
		l.c, l.cb = c, cb
	}
}

func plain(rows []*Transaction, accounts map[string]Account, inst prices.Instrument, rates Rates, opts Options) map[string]*plainPosition {
	rows = slices.Clone(rows)
	slices.SortFunc(rows, order)
	out := map[string]*plainPosition{}
	at := func(id string) *plainPosition {
		if out[id] == nil {
			a := accounts[id]
			out[id] = &plainPosition{method: opts.method(a), short: a.Short, r: zero(), rb: zero(), price: zero(),
				income: zero(), fees: zero(), taxes: zero(), charges: zero()}
		}
		return out[id]
	}
	splits := slices.Clone(inst.Splits)
	slices.SortFunc(splits, func(a, b prices.Split) int { return a.ExDate.Compare(b.ExDate) })
	until := func(t time.Time) {
		for len(splits) > 0 && !t.Before(splits[0].ExDate) {
			for _, p := range out {
				for i := range p.lots {
					p.lots[i].q = mul(p.lots[i].q, big.NewRat(splits[0].N, splits[0].D))
				}
			}
			splits = splits[1:]
		}
	}
	legs := map[string][2]*Transaction{}
	for _, t := range rows {
		l := legs[t.Pair]
		if t.Type == TransferOut {
			l[0] = t
		} else if t.Type == TransferIn {
			l[1] = t
		}
		legs[t.Pair] = l
	}
	for _, t := range rows {
		until(t.At)
		p := at(t.Account)
		p.apply(t, legs, at, inst, rates, opts)
	}
	until(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC))
	return out
}

func (p *plainPosition) apply(t *Transaction, legs map[string][2]*Transaction, at func(string) *plainPosition, inst prices.Instrument, rates Rates, opts Options) {
	get := func(from, to string) *big.Rat { r, _, _ := rates.Rate(from, to, t.At); return rat(r) }
	conv, base, rate := get(t.Currency, inst.Currency), get(t.Currency, opts.Base), get(inst.Currency, opts.Base)
	if t.Rate.Valid {
		base = rat(t.Rate.Decimal)
		if t.Currency == inst.Currency {
			rate = base
		}
	}
	gross, fee, tax, q := rat(t.Gross(inst.Multiplier)), rat(t.Fee), rat(t.Tax), rat(t.Quantity)
	pay := func(inTrade bool) {
		f, x := mul(fee, base), mul(tax, base)
		p.fees, p.taxes = add(p.fees, f), add(p.taxes, x)
		if !inTrade || opts.Costs == Excluded {
			p.charges = add(p.charges, add(f, x))
		}
	}
	costs := add(fee, tax)
	if opts.Costs == Excluded {
		costs = zero()
	}
	switch t.Type {
	case Buy, Reward, StockDividend:
		pay(true)
		if t.Type != Buy {
			p.income = add(p.income, mul(gross, base))
		}
		money := add(gross, costs)
		p.trade(t.At, q, mul(money, conv), mul(money, base), rate)
	case Sell:
		pay(true)
		money := sub(gross, costs)
		p.trade(t.At, new(big.Rat).Neg(q), mul(new(big.Rat).Neg(money), conv), mul(new(big.Rat).Neg(money), base), rate)
	case Dividend, Interest:
		pay(false)
		p.income = add(p.income, mul(gross, base))
	case Fee:
		pay(false)
		p.fees, p.charges = add(p.fees, mul(gross, base)), add(p.charges, mul(gross, base))
	case Tax:
		pay(false)
		p.taxes, p.charges = add(p.taxes, mul(gross, base)), add(p.charges, mul(gross, base))
	case ReturnOfCapital:
		pay(false)
		p.returnCapital(mul(gross, conv), mul(gross, base), rate)
	case TransferIn:
		if l := legs[t.Pair]; t.Pair != "" && l[0] != nil {
			return // came with its other side
		}
		pay(false)
		p.open(plainLot{q, mul(gross, conv), mul(gross, base), t.At})
	case TransferOut:
		pay(false)
		lots := p.take(q)
		if l := legs[t.Pair]; t.Pair != "" && l[1] != nil {
			to := at(l[1].Account)
			for _, x := range lots {
				to.open(x)
			}
		}
	case Adjustment:
		pay(false)
		held, _, _ := p.total()
		if t.hasValue() {
			p.lots = nil
			if q.Sign() > 0 {
				p.open(plainLot{q, mul(gross, conv), mul(gross, base), t.At})
			}
		} else {
			p.take(sub(held, q))
		}
	}
}
