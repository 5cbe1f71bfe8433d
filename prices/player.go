package prices

import (
	"context"
	"math"
	"time"

	"github.com/shopspring/decimal"
)

// course is the price of an instrument over time, past and future: what sim and replay play.
type course interface {
	instrument() Instrument
	// prices appends what a step of market time from (exclusive) to (inclusive) shows: the opens,
	// extremes and closes that lie within it, so that no bar loses its high, and the price at its end.
	prices(dst []decimal.Decimal, from, to time.Time) []decimal.Decimal
	// close is the last price of the day that starts at 00:00 UTC of date; false where there was no session.
	close(date time.Time) (decimal.Decimal, bool)
}

// player turns courses into ticks that carry the current time.
type player struct {
	name    string
	courses []course
	speed   float64 // seconds of market time a second; 1 follows the calendar
	rate    float64 // ticks a second and symbol
}

// minStep bounds the work: ticks that fall due within it go out as one batch.
const minStep = 50 * time.Millisecond

func (p *player) Name() string { return p.name }

func (p *player) Instruments() []Instrument {
	all := make([]Instrument, len(p.courses))
	for i, c := range p.courses {
		all[i] = c.instrument()
	}
	return all
}

// Run plays from now on: at speed 1 market time is the current time, else it runs ahead from the start.
func (p *player) Run(ctx context.Context, emit func([]Tick)) error {
	interval := time.Duration(float64(time.Second) / p.rate)
	step := max(minStep, interval/time.Duration(max(1, len(p.courses))))
	clock := time.NewTicker(step)
	defer clock.Stop()
	start := time.Now()
	turns := p.turns(start, interval)
	batch := make([]Tick, 0, len(turns))
	var prices []decimal.Decimal
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-clock.C:
		}
		now := time.Now()
		batch = batch[:0]
		for i := range turns {
			if t := &turns[i]; !t.due.After(now) {
				market := start.Add(time.Duration(float64(now.Sub(start)) * p.speed))
				prices = t.course.prices(prices[:0], t.market, market)
				batch = appendTicks(batch, Tick{Symbol: t.symbol, At: now, Source: p.name}, prices)
				t.market, t.due = market, nextTurn(t.due, now, interval)
			}
		}
		if len(batch) > 0 {
			emit(batch)
		}
	}
}

// maxPerStep bounds what a fast replay shows of one step; ticks a millisecond apart must not reach
// back into the step before.
const maxPerStep = 8

// appendTicks makes ticks of prices, a millisecond apart, the last one at t.At.
func appendTicks(batch []Tick, t Tick, prices []decimal.Decimal) []Tick {
	prices = prices[max(0, len(prices)-maxPerStep):]
	end := t.At
	for i, price := range prices {
		t.Price, t.At = price, end.Add(-time.Duration(len(prices)-1-i)*time.Millisecond)
		batch = append(batch, t)
	}
	return batch
}

// turn is when a symbol ticks next, and the market time of its last tick.
type turn struct {
	course course
	symbol Symbol
	due    time.Time
	market time.Time
}

// turns spreads the symbols over the interval, so that they do not all tick at once; the first tick
// of each comes at once, so that nobody waits for a price.
func (p *player) turns(start time.Time, interval time.Duration) []turn {
	all := make([]turn, len(p.courses))
	for i, c := range p.courses {
		all[i] = turn{course: c, symbol: c.instrument().Symbol, due: start, market: start.Add(-interval * time.Duration(i) / time.Duration(len(p.courses)))}
	}
	return all
}

// nextTurn keeps the rhythm; a player that fell behind skips, it never bursts.
func nextTurn(due, now time.Time, interval time.Duration) time.Time {
	if next := due.Add(interval); next.After(now) {
		return next
	}
	return now.Add(interval - now.Sub(due)%interval)
}

// Past is what the courses closed at on each day of [from, to).
func (p *player) Past(from, to time.Time) []Close {
	var all []Close
	for _, c := range p.courses {
		s := c.instrument().Symbol
		for date := from.UTC().Truncate(24 * time.Hour); date.Before(to); date = date.AddDate(0, 0, 1) {
			if price, ok := c.close(date); ok {
				all = append(all, Close{Symbol: s, Date: date, Close: price, Source: p.name})
			}
		}
	}
	return all
}

// DayBars are the days of [from, to) of which the files say open, high and low.
func (p *player) DayBars(from, to time.Time) []ohlc {
	var all []ohlc
	for _, c := range p.courses {
		bars, ok := c.(*barCourse)
		if !ok || bars.monthly {
			continue
		}
		for _, b := range bars.bars {
			if d := dayOf(b.from.UTC()); b.high.IsPositive() && b.low.IsPositive() && !d.date().Before(from) && d.date().Before(to) {
				all = append(all, ohlc{bars.i.Symbol, d.date(), d, b.open, b.high, b.low, b.close, p.name})
			}
		}
	}
	return all
}

// rounded is f with so many decimals, and never less than the smallest price that they can say.
func rounded(f float64, decimals int32) decimal.Decimal {
	return decimal.New(max(1, int64(math.Round(f*math.Pow10(int(decimals))))), -decimals)
}
