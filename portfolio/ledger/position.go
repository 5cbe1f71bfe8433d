package ledger

import (
	"math/big"
	"time"

	"github.com/shopspring/decimal"

	"rosetree/prices"
)

// dust is how small a remainder a closing trade may leave: 1e-9 of its own quantity (3).
var dust = big.NewInt(1_000_000_000)

// position is one account's side of a chain while it is replayed. Realised profit needs no
// accumulator of fractions: it is what flowed in, plus the cost of what is held, minus the cost that
// came by transfer.
type position struct {
	chain   *chain
	account Account
	pool    pool

	flow, flowBase      big.Int // Σ money in − money out of trades
	closing             big.Int // Σ proceeds of closing trades in the base; whole numbers of baseScale
	priced              []Exact // further terms of the price's part of the realised profit, as money
	moved, movedBase    []Exact // cost that came by transfer, minus cost that went
	realisedWhy         unknowns
	income, fees, taxes Amount
	charges             Amount // fees and taxes that are no part of cost or proceeds
	steps               []Step
	oversold            []Oversold
	stale               bool
}

// Step is what an account holds from a time on.
type Step struct {
	At    time.Time
	Units Exact // in shares of the last day: later splits are counted
}

// Oversold is a sale of more than was held, where the account allows no short position: the missing
// units have an unknown cost.
type Oversold struct {
	Transaction string
	Symbol      prices.Symbol
	Account     string
	At          time.Time
	Missing     decimal.Decimal
}

func (p *position) apply(f *fact, accounts map[string]Account) {
	p.stale = p.stale || f.base.stale || f.conv.stale
	switch f.Type {
	case Buy:
		p.trade(f, 1, p.charged(f, f.gross, 1))
	case Sell:
		p.trade(f, -1, p.charged(f, f.gross, -1))
	case StockDividend, Reward:
		p.receive(f)
	case Dividend, Interest:
		p.earn(f, f.gross)
		p.charge(f, f.Fee, f.Tax)
	case Fee:
		p.charge(f, f.gross.Add(f.Fee), f.Tax)
	case Tax:
		p.charge(f, f.Fee, f.gross.Add(f.Tax))
	case ReturnOfCapital:
		p.returnCapital(f)
	case TransferOut:
		p.transferOut(f, accounts)
	case TransferIn:
		p.transferIn(f)
	case Adjustment:
		p.adjust(f)
	case Deposit, Withdrawal: // money alone: never in a chain
	}
	p.steps = append(p.steps, Step{At: f.At, Units: Exact{new(big.Int).Set(p.pool.held()), p.chain.perShare}})
}

// charged is the gross with fee and tax, where costs count (3): more for a buy, less for a sale.
func (p *position) charged(f *fact, gross decimal.Decimal, sign int64) decimal.Decimal {
	rate := lookupAmount(f.base)
	p.fees = p.fees.Add(rate(f.Fee))
	p.taxes = p.taxes.Add(rate(f.Tax))
	if p.chain.opts.Costs == Excluded {
		p.charges = p.charges.Add(rate(f.Fee)).Add(rate(f.Tax))
		return gross
	}
	return gross.Add(f.Fee.Add(f.Tax).Mul(decimal.NewFromInt(sign)))
}

// lookupAmount turns money of a fact's currency into the base.
func lookupAmount(l lookup) func(decimal.Decimal) Amount {
	return func(d decimal.Decimal) Amount {
		if d.IsZero() {
			return Amount{}
		}
		return Amount{Value: FromDecimal(d.Mul(l.rate)), Missing: l.why}
	}
}

func (p *position) earn(f *fact, gross decimal.Decimal) {
	p.income = p.income.Add(lookupAmount(f.base)(gross))
}

// charge books fees and taxes that belong to no trade.
func (p *position) charge(f *fact, fee, tax decimal.Decimal) {
	rate := lookupAmount(f.base)
	p.fees, p.taxes = p.fees.Add(rate(fee)), p.taxes.Add(rate(tax))
	p.charges = p.charges.Add(rate(fee)).Add(rate(tax))
}

// receive opens units that nobody paid for; what they were worth, where the row says it, is income.
func (p *position) receive(f *fact) {
	p.earn(f, f.gross)
	p.trade(f, 1, p.charged(f, f.gross, 1))
}

// trade changes units by sign·quantity against money; money is what a buy cost or a sale brought.
func (p *position) trade(f *fact, sign int, money decimal.Decimal) {
	c := p.chain
	units := c.units(f.Quantity)
	if units.Sign() == 0 {
		return
	}
	cost, costBase := c.inst(f, money), c.base(f, money)
	if sign < 0 {
		units.Neg(units)
		cost.Neg(cost)
		costBase.Neg(costBase)
	}
	p.flow.Sub(&p.flow, cost)
	p.flowBase.Sub(&p.flowBase, costBase)
	held := p.pool.held()
	if held.Sign()*sign >= 0 {
		p.grow(f, units, units, cost, costBase)
		return
	}
	all := new(big.Int).Abs(units)
	rest := new(big.Int).Sub(all, new(big.Int).Abs(held))
	if rest.Sign() <= 0 {
		p.shrink(f, all, all, costBase)
		return
	}
	p.shrink(f, new(big.Int).Abs(held), all, costBase) // crossing zero: the first part closes …
	if new(big.Int).Mul(rest, dust).Cmp(all) > 0 {
		if sign < 0 {
			rest.Neg(rest)
		}
		p.grow(f, rest, units, cost, costBase) // … the rest opens the other side at the trade's own price
	}
}

// grow opens n of a trade's all units with their share of its cost.
func (p *position) grow(f *fact, n, all, cost, costBase *big.Int) {
	if n.Sign() < 0 && !p.account.Short {
		p.oversell(f, n)
		return
	}
	l := lot{at: f.At, units: n, inst: Exact{num: cost}, base: Exact{num: costBase}, why: p.chain.why(f)}
	if n.Cmp(all) != 0 {
		share := Exact{new(big.Int).Abs(n), new(big.Int).Abs(all)}
		l.inst, l.base = l.inst.Mul(share), l.base.Mul(share)
	}
	p.pool.open(l)
}

// why says what of a flow is not known. Its money counts 0 then, on both sides of the profit.
func (c *chain) why(f *fact) unknowns {
	return unknowns{inst: f.conv.why, base: f.base.why}
}

// shrink closes n of a trade's all units.
func (p *position) shrink(f *fact, n, all, costBase *big.Int) {
	p.realisedWhy = p.realisedWhy.join(p.chain.why(f))
	proceeds := new(big.Int).Neg(costBase)
	if n.Cmp(all) == 0 {
		p.closing.Add(&p.closing, proceeds)
	} else {
		p.priced = append(p.priced, Exact{proceeds, pow10(p.chain.baseScale)}.Mul(Exact{n, all}))
	}
	rate := p.saleRate(f)
	p.realisedWhy = p.realisedWhy.join(p.pool.close(n, rate))
	if left := new(big.Int).Abs(p.pool.held()); left.Sign() > 0 && new(big.Int).Mul(left, dust).Cmp(all) <= 0 {
		p.realisedWhy = p.realisedWhy.join(p.pool.close(left, rate)) // dust: the remainder of the cost is realised
	}
}

// saleRate is the instrument's rate on the day of f, where profit is to be split in price and currency.
func (p *position) saleRate(f *fact) *big.Int {
	if !p.chain.foreign {
		return nil
	}
	p.realisedWhy.base = join(p.realisedWhy.base, f.instrument.why)
	return scaled(f.instrument.rate, p.chain.rates)
}

func (p *position) oversell(f *fact, n *big.Int) {
	why := []string{"basis:" + string(p.chain.symbol)}
	p.realisedWhy = p.realisedWhy.join(unknowns{why, why})
	shares := Exact{new(big.Int).Abs(n), new(big.Int).Mul(pow10(p.chain.quantity), p.chain.factor)}
	p.oversold = append(p.oversold, Oversold{Transaction: f.ID, Symbol: p.chain.symbol, Account: p.account.ID, At: f.At, Missing: shares.Decimal(18)})
}
