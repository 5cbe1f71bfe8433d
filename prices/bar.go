package prices

import (
	"math"
	"slices"
	"time"

	"github.com/shopspring/decimal"
)

// bar is what a price did in [from, until): a day or a month.
type bar struct {
	from, until time.Time
	open, close decimal.Decimal
	high, low   decimal.Decimal // zero where the source does not say
}

// barCourse plays bars of the past as if they happened now: all dates are moved by whole years of 52
// weeks, so that weekdays stay weekdays. Between what a bar says, the price follows a random bridge.
type barCourse struct {
	i        Instrument
	bars     []bar // oldest first, already moved
	monthly  bool
	decimals int32
	noise    noise
}

func (c *barCourse) instrument() Instrument { return c.i }

// era is how far bars move. Data that ended in the past are moved on by 52 weeks at a time, so that
// they last at least another eight weeks: the same for every start within a year, so that a kept
// database stays true to the live price.
func era(end, now time.Time) time.Duration {
	const period = 52 * 7 * 24 * time.Hour
	missing := now.Add(8 * 7 * 24 * time.Hour).Sub(end)
	if missing <= 0 {
		return 0
	}
	return (missing + period - 1) / period * period
}

// move shifts all bars by d.
func (c *barCourse) move(d time.Duration) {
	for i := range c.bars {
		c.bars[i].from, c.bars[i].until = c.bars[i].from.Add(d), c.bars[i].until.Add(d)
	}
}

// barAt is the bar that covers t. A day without one (a weekend) is quiet: it ends where it began. ok
// is false before the first bar; real is false for a quiet day.
func (c *barCourse) barAt(t time.Time) (b bar, real, ok bool) {
	i, _ := slices.BinarySearchFunc(c.bars, t, func(b bar, t time.Time) int {
		if b.from.After(t) {
			return 1
		}
		return -1
	})
	if i == 0 {
		return bar{}, false, false
	}
	b = c.bars[i-1]
	if t.Before(b.until) {
		return b, true, true
	}
	from := t.UTC().Truncate(24 * time.Hour)
	return bar{from: from, until: from.AddDate(0, 0, 1), open: b.close, close: b.close}, false, true
}

// knot is a moment at which the price is known.
type knot struct {
	at    time.Time
	price decimal.Decimal
}

// knots are a bar's open, extremes and close in time. Where the extremes lie is drawn from the seed.
func (c *barCourse) knots(b bar) []knot {
	last := b.until.Add(-time.Millisecond)
	if b.high.IsZero() || b.low.IsZero() {
		return []knot{{b.from, b.open}, {last, b.close}}
	}
	span, key := float64(b.until.Sub(b.from)), b.from.Unix()
	first := b.from.Add(time.Duration(span * (0.08 + 0.36*c.noise.unit(key))))
	second := b.from.Add(time.Duration(span * (0.56 + 0.36*c.noise.unit(key+1))))
	high, low := knot{first, b.high}, knot{second, b.low}
	if b.close.GreaterThan(b.open) { // a day that rises has mostly seen its low first
		high.at, low.at = second, first
	}
	if high.at.Before(low.at) {
		return []knot{{b.from, b.open}, high, low, {last, b.close}}
	}
	return []knot{{b.from, b.open}, low, high, {last, b.close}}
}

func (c *barCourse) prices(dst []decimal.Decimal, from, to time.Time) []decimal.Decimal {
	b, _, ok := c.barAt(to)
	if !ok {
		return dst
	}
	if before, _, ok := c.barAt(from); ok && before.from.Before(b.from) { // the step crosses into a new bar: first end the old one
		dst = c.passed(dst, before, from, to)
	}
	dst = c.passed(dst, b, from, to)
	return append(dst, c.priceIn(b, to))
}

// passed appends the knots of b in (from, to).
func (c *barCourse) passed(dst []decimal.Decimal, b bar, from, to time.Time) []decimal.Decimal {
	for _, k := range c.knots(b) {
		if k.at.After(from) && k.at.Before(to) {
			dst = append(dst, k.price)
		}
	}
	return dst
}

// priceIn is the price at t inside b: on the line between two knots in logarithms, plus a random
// bridge that is zero at both, never beyond what the bar allows.
func (c *barCourse) priceIn(b bar, t time.Time) decimal.Decimal {
	knots := c.knots(b)
	i := 1
	for i < len(knots)-1 && !knots[i].at.After(t) {
		i++
	}
	left, right := knots[i-1], knots[i]
	if !t.Before(right.at) {
		return right.price
	}
	if !t.After(left.at) {
		return left.price
	}
	u := float64(t.Sub(left.at)) / float64(right.at.Sub(left.at))
	line := math.Log(left.price.InexactFloat64())*(1-u) + math.Log(right.price.InexactFloat64())*u
	bridge := c.noise.at(t) - (c.noise.at(left.at)*(1-u) + c.noise.at(right.at)*u)
	price := rounded(math.Exp(line+bridge), c.decimals)
	if b.high.IsPositive() && price.GreaterThan(b.high) {
		return b.high
	}
	if b.low.IsPositive() && price.LessThan(b.low) {
		return b.low
	}
	return price
}

// close of a day is the bar's own, or, inside a month, where the bridge stands at the end of a working day.
func (c *barCourse) close(date time.Time) (decimal.Decimal, bool) {
	b, real, ok := c.barAt(date)
	if !ok || !real {
		return decimal.Decimal{}, false
	}
	if !c.monthly {
		return b.close, true
	}
	if w := date.Weekday(); w == time.Saturday || w == time.Sunday {
		return decimal.Decimal{}, false
	}
	return c.priceIn(b, date.AddDate(0, 0, 1).Add(-time.Millisecond)), true
}
