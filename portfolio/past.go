package portfolio

import (
	"context"
	"fmt"
	"math/big"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"rosetree/auth"
	"rosetree/portfolio/ledger"
	"rosetree/prices"
)

// series is an instrument's daily closes in shares of the last day: splits are counted.
type series []dayPrice

type dayPrice struct {
	day   time.Time // 00:00 UTC
	price decimal.Decimal
	after ledger.Exact // what splits made of one share since; 1 where the closes count them already
	units int64        // worth in 1e-8
	whole bool         // units says it all
}

// at is the last close on or before day, by at most so many days. What did not trade that long has no price.
func (s series) at(day time.Time, maxAge time.Duration) (dayPrice, bool) {
	i, found := slices.BinarySearchFunc(s, day, func(p dayPrice, t time.Time) int { return p.day.Compare(t) })
	if found {
		return s[i], true
	}
	if i == 0 || day.Sub(s[i-1].day) > maxAge {
		return dayPrice{}, false
	}
	return s[i-1], true
}

// priceAge is how old a close may be to value a holding in the past: longer than any holiday.
const priceAge = 14 * 24 * time.Hour

// worth is the price of one share of the last day.
func (p dayPrice) worth() ledger.Exact { return ledger.FromDecimal(p.price).Quo(p.after) }

// closesAge is how old a copy of an instrument's closes may be.
const closesAge = time.Minute

// closesBook keeps what was read of the past; all portfolios share it.
type closesBook struct {
	mu   sync.Mutex
	seen map[prices.Symbol]closesCopy
}

type closesCopy struct {
	closes   series
	from, to time.Time
	read     time.Time
}

// closesOf is an instrument's daily closes; those of an instrument that only its owner knows are the
// prices that they gave it, which hold until the next one.
func (s *Service) closesOf(ctx context.Context, owner *live, inst prices.Instrument, from, to time.Time) (series, error) {
	if _, shared := s.market.Instrument(inst.Symbol); !shared {
		return owner.ownCloses(ctx, inst, to)
	}
	s.closes.mu.Lock()
	c, ok := s.closes.seen[inst.Symbol]
	s.closes.mu.Unlock()
	if ok && time.Since(c.read) < closesAge && !c.from.After(from) && !c.to.Before(to) {
		return c.closes, nil
	}
	list, err := s.past.Closes(ctx, inst.Symbol, from, to)
	if err != nil {
		return nil, fmt.Errorf("portfolio: closes of %s: %w", inst.Symbol, err)
	}
	out := make(series, len(list))
	for i, c := range list {
		out[i] = newDayPrice(inst, c.Date, c.Close)
	}
	slices.SortFunc(out, func(a, b dayPrice) int { return a.day.Compare(b.day) })
	s.closes.mu.Lock()
	s.closes.seen[inst.Symbol] = closesCopy{out, from, to, time.Now()}
	s.closes.mu.Unlock()
	return out, nil
}

// newDayPrice counts splits until now, as positions do.
func newDayPrice(inst prices.Instrument, day time.Time, price decimal.Decimal) dayPrice {
	p := dayPrice{day: day.UTC().Truncate(oneDay), price: price, after: splitsAfter(inst, day, time.Now())}
	worth := p.worth()
	d := worth.Decimal(unitScale)
	if p.units, p.whole = units(d); p.whole {
		p.whole = ledger.FromDecimal(d).Cmp(worth) == 0
	}
	return p
}

// ownCloses are the prices that the owner gave, one for each day until the next.
func (l *live) ownCloses(ctx context.Context, inst prices.Instrument, to time.Time) (out series, err error) {
	var b pgx.Batch
	b.Queue(`SELECT date, close FROM app.user_prices WHERE symbol = $1 AND date <= $2 ORDER BY date`, inst.Symbol, to).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var day time.Time
			var price numeric
			if err := rows.Scan(&day, &price); err != nil {
				return err
			}
			for n := len(out); n > 0 && out[n-1].day.AddDate(0, 0, 1).Before(day); n = len(out) {
				out = append(out, newDayPrice(inst, out[n-1].day.AddDate(0, 0, 1), out[n-1].price))
			}
			out = append(out, newDayPrice(inst, day, number(price)))
		}
		return rows.Err()
	})
	if err := l.service.db.As(auth.Principal{User: l.user}).Do(ctx, &b); err != nil {
		return nil, err
	}
	for n := len(out); n > 0 && out[n-1].day.Before(to.Truncate(oneDay)); n = len(out) {
		out = append(out, newDayPrice(inst, out[n-1].day.AddDate(0, 0, 1), out[n-1].price))
	}
	return out, nil
}

func splitsAfter(inst prices.Instrument, day, until time.Time) ledger.Exact {
	factor := unit.Value
	if inst.PriceAdjusted {
		return factor
	}
	for _, sp := range inst.Splits {
		if sp.ExDate.After(day) && !sp.ExDate.After(until) {
			factor = factor.Mul(ledger.Fraction(big.NewInt(sp.N), big.NewInt(sp.D)))
		}
	}
	return factor
}

// pastMoment answers what things cost at the end of a day.
type pastMoment struct {
	day    time.Time
	prices map[prices.Symbol]series
	table  ledger.Table
	insts  map[prices.Symbol]prices.Instrument
}

// momentAt reads the closes of everything that l ever held, as of a day.
func (l *live) momentAt(ctx context.Context, asOf time.Time) (*pastMoment, error) {
	l.mu.Lock()
	symbols, inst, table := l.ledger.Symbols(), l.inst(), l.rates
	l.mu.Unlock()
	m := &pastMoment{day: asOf.Truncate(oneDay), prices: map[prices.Symbol]series{}, table: table, insts: map[prices.Symbol]prices.Instrument{}}
	for _, symbol := range symbols {
		i := inst(symbol)
		i.Symbol = symbol
		closes, err := l.service.closesOf(ctx, l, i, m.day.Add(-2*priceAge), m.day)
		if err != nil {
			return nil, err
		}
		m.prices[symbol], m.insts[symbol] = closes, i
	}
	return m, nil
}

// quote is the close of the day. A price that already counts later splits is turned back into the
// day's own shares.
func (m *pastMoment) quote(symbol prices.Symbol) (quoted, bool) {
	p, ok := m.prices[symbol].at(m.day, priceAge)
	if !ok {
		return quoted{}, false
	}
	q := quoted{price: m.ofTheDay(symbol, p), at: p.day.Add(24*time.Hour - time.Millisecond), day: p.day, freshness: Closed}
	if before, ok := m.prices[symbol].at(p.day.AddDate(0, 0, -1), priceAge); ok {
		q.previous = decimal.NewNullDecimal(m.ofTheDay(symbol, before))
	}
	return q, true
}

func (m *pastMoment) ofTheDay(symbol prices.Symbol, p dayPrice) decimal.Decimal {
	inst := m.insts[symbol]
	if !inst.PriceAdjusted {
		return p.price
	}
	inst.PriceAdjusted = false
	later := splitsAfter(inst, m.day, time.Now().UTC())
	return ledger.FromDecimal(p.price).Mul(later).Decimal(18)
}

func (m *pastMoment) rate(from, to string) (decimal.Decimal, bool, bool) {
	return m.table.Rate(from, to, m.day)
}

func (m *pastMoment) before(from, to string, day time.Time) (decimal.Decimal, bool) {
	r, _, ok := m.table.Rate(from, to, day.AddDate(0, 0, -1))
	return r, ok
}
