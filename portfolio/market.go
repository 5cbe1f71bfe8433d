package portfolio

import (
	"context"
	"time"

	"github.com/shopspring/decimal"

	"rosetree/portfolio/ledger"
	"rosetree/prices"
)

// Market is what this room needs of prices.Book.
type Market interface {
	Quote(prices.Symbol) (prices.Quote, bool)
	Instrument(prices.Symbol) (prices.Instrument, bool)
	Listen(func([]prices.Quote)) (stop func())
	Session(symbol prices.Symbol, at time.Time) (date time.Time, open bool)
}

// History is what this room needs of the prices' past: daily closes, oldest first, both days included.
type History interface {
	Closes(ctx context.Context, symbol prices.Symbol, from, to time.Time) ([]prices.Close, error)
}

// instruments answers for a portfolio: shared instruments first, then its owner's manual ones.
func (s *Service) instruments(own map[prices.Symbol]manual) ledger.Instruments {
	return func(symbol prices.Symbol) prices.Instrument {
		if inst, ok := s.market.Instrument(symbol); ok {
			return inst
		}
		if m, ok := own[symbol]; ok {
			return m.Instrument
		}
		return prices.Instrument{Symbol: symbol, Name: string(symbol), Kind: prices.KindManual, Multiplier: decimal.NewFromInt(1)}
	}
}

// manual is an instrument that only its owner knows, with the last price that they gave it.
type manual struct {
	prices.Instrument
	price decimal.NullDecimal
	at    time.Time
}

// quoted is the price that the owner gave: it stands until they give another, and moves on no day.
func (m manual) quoted() quoted {
	return quoted{price: m.price.Decimal, at: m.at, day: m.at.AddDate(0, 0, 1), previous: m.price, freshness: Closed}
}

// moment answers what things cost at one time: now, or at the end of a day in the past.
type moment interface {
	quote(symbol prices.Symbol) (q quoted, ok bool)
	rate(from, to string) (r decimal.Decimal, stale, ok bool)
	// before is the rate at the close before a day's session, for the day change.
	before(from, to string, day time.Time) (r decimal.Decimal, ok bool)
}

// quoted is a price with what is said of it.
type quoted struct {
	price     decimal.Decimal
	at        time.Time
	day       time.Time // of its session, 00:00 UTC: what the day change counts from
	previous  decimal.NullDecimal
	freshness Freshness
}

// now is the moment of the live market.
type now struct {
	service *Service
	own     map[prices.Symbol]manual
	table   ledger.Table
	at      time.Time
}

func (n now) quote(symbol prices.Symbol) (quoted, bool) {
	if q, ok := n.service.market.Quote(symbol); ok {
		day, _ := n.service.market.Session(symbol, q.At)
		return quoted{q.Price, q.At, day, q.Previous, n.service.freshness(symbol, q.At, n.at)}, true
	}
	if m, ok := n.own[symbol]; ok && m.price.Valid {
		return m.quoted(), true
	}
	return quoted{}, false
}

func (n now) rate(from, to string) (decimal.Decimal, bool, bool) {
	return n.service.liveRate(from, to, n.table, n.at)
}

func (n now) before(from, to string, day time.Time) (decimal.Decimal, bool) {
	r, _, ok := n.table.Rate(from, to, day.AddDate(0, 0, -1))
	return r, ok
}

// liveRate is the newest exchange rate: of the pair, of the pair turned, crossed over USD or EUR; where
// no feed has one, the table's by rule 4.
func (s *Service) liveRate(from, to string, table ledger.Table, at time.Time) (rate decimal.Decimal, stale, ok bool) {
	if from == to {
		return decimal.NewFromInt(1), false, true
	}
	if rate, ok = s.direct(from, to); ok {
		return rate, false, true
	}
	for _, pivot := range []string{"USD", "EUR"} {
		a, okA := s.direct(from, pivot)
		b, okB := s.direct(pivot, to)
		if okA && okB && from != pivot && to != pivot {
			return ledger.Cross(a, b), false, true
		}
	}
	return table.Rate(from, to, at)
}

func (s *Service) direct(from, to string) (decimal.Decimal, bool) {
	if q, ok := s.market.Quote(prices.Symbol(ledger.Pair(from, to))); ok {
		return q.Price, true
	}
	if q, ok := s.market.Quote(prices.Symbol(ledger.Pair(to, from))); ok && q.Price.IsPositive() {
		return ledger.Turn(q.Price), true
	}
	return decimal.Decimal{}, false
}
