package portfolio

import (
	"context"
	"math/big"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"rosetree/portfolio/ledger"
	"rosetree/prices"
)

// series is an instrument's daily closes in shares of the last day: splits are counted.
type series []dayPrice

type dayPrice struct {
	day   time.Time // 00:00 UTC
	price decimal.Decimal
	after ledger.Exact // what splits made of one share since; 1 where the closes count them already
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

// closes reads an instrument's past. What is a manual instrument's comes from its owner's own prices.
func (s *Service) closes(ctx context.Context, inst prices.Instrument, from, to time.Time) (series, error) {
	list, err := s.past.Closes(ctx, inst.Symbol, from, to)
	if err != nil {
		return nil, err
	}
	out := make(series, len(list))
	for i, c := range list {
		out[i] = dayPrice{day: c.Date.UTC().Truncate(24 * time.Hour), price: c.Close, after: splitsAfter(inst, c.Date, to)}
	}
	slices.SortFunc(out, func(a, b dayPrice) int { return a.day.Compare(b.day) })
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
	m := &pastMoment{day: asOf.Truncate(24 * time.Hour), prices: map[prices.Symbol]series{}, table: table, insts: map[prices.Symbol]prices.Instrument{}}
	for _, symbol := range symbols {
		i := inst(symbol)
		i.Symbol = symbol
		closes, err := l.service.closes(ctx, i, m.day.AddDate(0, 0, -2*14), m.day)
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
