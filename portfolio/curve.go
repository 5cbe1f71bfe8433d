package portfolio

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/shopspring/decimal"
	"golang.org/x/sync/errgroup"

	"rosetree/portfolio/ledger"
	"rosetree/prices"
)

const oneDay = 24 * time.Hour

// scope narrows a history down: to an account, to one symbol. The zero scope is the portfolio.
type scope struct {
	account string
	symbol  prices.Symbol
}

func (s scope) has(t *ledger.Transaction) bool {
	return (s.account == "" || t.Account == s.account) && (s.symbol == "" || t.Symbol == s.symbol)
}

// curve is worth and flows by step, a day or some minutes, in the base currency: index 0 is the end of the
// step before the range.
type curve struct {
	first   time.Time
	step    time.Duration
	pairs   map[string]series // exchange rates of the day, where steps are shorter than one
	value   []ledger.Amount
	in, out []ledger.Amount
	traded  []bool // something that was held had a price of its own on the day
}

func newCurve(first time.Time, step time.Duration, n int) *curve {
	return &curve{first: first, step: step, value: make([]ledger.Amount, n), in: make([]ledger.Amount, n), out: make([]ledger.Amount, n), traded: make([]bool, n)}
}

// index is the step of t, negative before the first.
func (c *curve) index(t time.Time) int {
	if t.Before(c.first) {
		return -1
	}
	return int(t.Sub(c.first) / c.step)
}

// day is when step i begins: a day is 24 hours in UTC.
func (c *curve) day(i int) time.Time { return c.first.Add(time.Duration(i) * c.step) }

// ledgerView is what a curve is made of: a copy, so that nobody waits while it is.
type ledgerView struct {
	base      string
	rows      []*ledger.Transaction
	positions map[prices.Symbol][]*ledger.Position
	accounts  map[string]ledger.Account
	insts     map[prices.Symbol]prices.Instrument
	rates     ledger.Table
	version   int64
	now       ledger.Amount // worth now, in the scope
	at        time.Time
	scope     scope
}

// look copies what the scope of a history needs; loading it again is not.
func (l *live) look(sc scope) *ledgerView {
	l.mu.Lock()
	defer l.mu.Unlock()
	v := l.view()
	v.account = sc.account
	out := &ledgerView{base: l.settings.base, rows: l.ledger.Rows(), positions: maps.Clone(l.state.Positions), accounts: maps.Clone(l.ledger.Accounts),
		insts: map[prices.Symbol]prices.Instrument{}, rates: l.rates, version: l.settings.version, at: time.Now().UTC(), scope: sc}
	for symbol := range out.positions {
		i := v.inst(symbol)
		i.Symbol = symbol
		out.insts[symbol] = i
	}
	list := v.all()
	if sc.symbol != "" {
		list = slices.DeleteFunc(list, func(x *valued) bool { return x.inst.Symbol != sc.symbol })
		for _, x := range list {
			out.now = x.valueBase
		}
		return out
	}
	t := v.sum(list)
	out.now = t.value.Add(t.cash)
	return out
}

// curve values every day from the one before from until to; where to is today, the last day is now.
func (s *Service) curve(ctx context.Context, owner *live, v *ledgerView, from, to time.Time) (*curve, error) {
	closes, err := s.allCloses(ctx, owner, v, from, to)
	if err != nil {
		return nil, err
	}
	n := int(to.Sub(from)/oneDay) + 2
	c := newCurve(from.AddDate(0, 0, -1), oneDay, n)
	c.fill(v, closes)
	if !to.Before(v.at.Truncate(oneDay)) {
		c.value[n-1] = v.now
	}
	return c, nil
}

// fill values what the scope held at the end of each step, at the last price by then, and books what came
// in and what left.
func (c *curve) fill(v *ledgerView, closes map[prices.Symbol]series) {
	sums := map[string][]daySum{}
	for symbol, positions := range v.positions {
		for _, p := range positions {
			if (v.scope.account == "" || p.Account == v.scope.account) && (v.scope.symbol == "" || symbol == v.scope.symbol) {
				c.hold(sums, p, v.insts[symbol], closes[symbol])
			}
		}
	}
	for currency, days := range sums {
		c.convert(days, currency, v)
	}
	c.cash(v)
	c.flow(v, closes)
}

// daySum is the worth of a currency's holdings at the end of a day: whole numbers where they fit.
type daySum struct {
	whole fixed // in 1e-16
	rest  ledger.Exact
	why   []string
}

// hold adds what a position was worth on each day.
func (c *curve) hold(sums map[string][]daySum, p *ledger.Position, inst prices.Instrument, closes series) {
	days := sums[p.Currency]
	if days == nil {
		days = make([]daySum, len(c.value))
		sums[p.Currency] = days
	}
	multiplier := decimal.NewFromInt(1)
	if !inst.Multiplier.IsZero() {
		multiplier = inst.Multiplier
	}
	step, price := -1, -1
	held, heldUnits, heldOK := ledger.Exact{}, int64(0), true
	for i := range days {
		end := c.day(i).Add(c.step)
		moved := false
		for step+1 < len(p.Steps) && p.Steps[step+1].At.Before(end) {
			step++
			moved = true
		}
		if moved {
			held = p.Steps[step].Units.Mul(ledger.FromDecimal(multiplier))
			d := held.Decimal(unitScale)
			heldUnits, heldOK = units(d)
			heldOK = heldOK && ledger.FromDecimal(d).Cmp(held) == 0
		}
		for price+1 < len(closes) && !closes[price+1].day.After(c.day(i)) {
			price++
		}
		if held.IsZero() {
			continue
		}
		if price < 0 || c.day(i).Sub(closes[price].day) > priceAge {
			days[i].why = append(days[i].why, string(p.Symbol))
			continue
		}
		q := &closes[price]
		c.traded[i] = c.traded[i] || q.day.Equal(c.day(i))
		if heldOK && q.whole {
			days[i].whole = days[i].whole.plus(product(heldUnits, q.units))
		} else {
			days[i].rest = days[i].rest.Add(held.Mul(q.worth()))
		}
	}
}

// convert adds a currency's days in the base currency, each at its own rate.
func (c *curve) convert(days []daySum, currency string, v *ledgerView) {
	for i := range days {
		d := &days[i]
		worth := d.whole.exact(valueScale).Add(d.rest)
		if len(d.why) == 0 && worth.IsZero() {
			continue
		}
		slices.Sort(d.why)
		rate := c.rate(v, currency, i)
		c.value[i] = c.value[i].Add(times(ledger.Amount{Value: worth, Missing: slices.Compact(d.why)}, rate))
	}
}

// rate is the table's of the day; within a day the last one by step i, today's own is not known yet.
func (c *curve) rate(v *ledgerView, currency string, i int) ledger.Amount {
	if c.step == oneDay || currency == v.base {
		return v.rateOn(currency, c.day(i))
	}
	today, then := c.day(i).Truncate(oneDay), ledger.Table{}
	for _, pair := range wanted(v.base, []string{currency}) {
		days := v.rates[pair]
		if p, ok := c.pairs[pair].at(c.day(i), oneDay); ok {
			days = []ledger.DayRate{{Day: today, Rate: p.price}}
		} else if i > 0 {
			before, _ := slices.BinarySearchFunc(days, today, func(d ledger.DayRate, t time.Time) int { return d.Day.Compare(t) })
			days = days[:before]
		}
		then[pair] = days
	}
	view := *v
	view.rates = then
	return view.rateOn(currency, c.day(i))
}

func (v *ledgerView) rateOn(currency string, day time.Time) ledger.Amount {
	r, _, ok := v.rates.Rate(currency, v.base, day)
	if !ok {
		return ledger.Amount{Missing: []string{ledger.Pair(currency, v.base)}}
	}
	return ledger.Amount{Value: ledger.FromDecimal(r)}
}

// cash adds the balances of accounts that track it.
func (c *curve) cash(v *ledgerView) {
	if v.scope.symbol != "" {
		return
	}
	balances := map[string]decimal.Decimal{}
	next := 0
	accountCash := map[[2]string]decimal.Decimal{}
	for i := range c.value {
		end := c.day(i).Add(c.step)
		for ; next < len(v.rows) && v.rows[next].At.Before(end); next++ {
			t := v.rows[next]
			if !v.accounts[t.Account].TracksCash || !v.scope.has(t) {
				continue
			}
			k := [2]string{t.Account, t.Currency}
			after := ledger.CashAfter(accountCash[k], t, t.Gross(v.multiplier(t.Symbol)))
			change := after.Sub(accountCash[k])
			accountCash[k] = after
			balances[t.Currency] = balances[t.Currency].Add(change)
			if t.Type == ledger.Adjustment && t.Symbol == "" {
				c.put(v, t, change, v.rateOn(t.Currency, t.At))
			}
		}
		for currency, balance := range balances {
			if !balance.IsZero() {
				c.value[i] = c.value[i].Add(times(ledger.Amount{Value: ledger.FromDecimal(balance)}, c.rate(v, currency, i)))
			}
		}
	}
}

func (v *ledgerView) multiplier(symbol prices.Symbol) decimal.Decimal {
	if m := v.insts[symbol].Multiplier; !m.IsZero() {
		return m
	}
	return decimal.NewFromInt(1)
}

// allCloses reads the past of all that the scope ever held, several at a time.
func (s *Service) allCloses(ctx context.Context, owner *live, v *ledgerView, from, to time.Time) (map[prices.Symbol]series, error) {
	out := map[prices.Symbol]series{}
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(4)
	for symbol, inst := range v.insts {
		if v.scope.symbol != "" && symbol != v.scope.symbol {
			continue
		}
		g.Go(func() error {
			list, err := s.closesOf(ctx, owner, inst, from.Add(-priceAge), to)
			mu.Lock()
			defer mu.Unlock()
			out[symbol] = list
			return err
		})
	}
	return out, g.Wait()
}
