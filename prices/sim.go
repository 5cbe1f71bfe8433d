package prices

import (
	"math"
	"net/url"
	"slices"
	"time"

	"github.com/shopspring/decimal"
)

// simulated instruments. They trade around the clock, also the shares, so that a demo moves on a
// Sunday; their names say what they are.
var simulated = []simCourse{
	{i: known("BTC-USD"), base: 91250, vol: 0.55, drift: 0.20, decimals: 2},
	{i: known("ETH-USD"), base: 3150, vol: 0.65, drift: 0.15, decimals: 2},
	{i: known("SOL-USD"), base: 142, vol: 0.75, drift: 0.15, decimals: 3},
	{i: known("EUR-USD"), base: 1.0871, vol: 0.07, decimals: 5},
	{i: known("GBP-USD"), base: 1.2924, vol: 0.08, decimals: 5},
	{i: known("USD-JPY"), base: 151.3, vol: 0.09, decimals: 3},
	{i: known("USD-CHF"), base: 0.882, vol: 0.07, decimals: 5},
	{i: known("AAPL"), base: 229, vol: 0.27, drift: 0.10, decimals: 2},
	{i: known("MSFT"), base: 428, vol: 0.24, drift: 0.10, decimals: 2},
	{i: known("GOOG"), base: 178, vol: 0.28, drift: 0.10, decimals: 2},
	{i: known("AMZN"), base: 207, vol: 0.30, drift: 0.10, decimals: 2},
	{i: known("IBM"), base: 224, vol: 0.22, drift: 0.06, decimals: 2},
	{i: known("NVDA"), base: 141, vol: 0.45, drift: 0.18, decimals: 2},
	{i: known("TSLA"), base: 262, vol: 0.50, drift: 0.08, decimals: 2},
	{i: known("VOO"), base: 538, vol: 0.17, drift: 0.08, decimals: 2},
	{i: known("VWCE"), base: 131, vol: 0.16, drift: 0.07, decimals: 2},
	{i: known("SAP"), base: 219, vol: 0.26, drift: 0.08, decimals: 2},
	{i: known("VOD"), base: 0.71, vol: 0.25, decimals: 4},
}

// simEpoch is when a simulated price without noise is its base.
var simEpoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// simCourse is a walk around a base that drifts: P(t) = base · e^(drift·years + noise).
type simCourse struct {
	i        Instrument
	base     float64
	vol      float64 // a year
	drift    float64 // log, a year
	decimals int32
	noise    noise
}

func (c *simCourse) instrument() Instrument { return c.i }

func (c *simCourse) prices(dst []decimal.Decimal, _, to time.Time) []decimal.Decimal {
	return append(dst, c.price(to))
}

func (c *simCourse) price(to time.Time) decimal.Decimal {
	years := to.Sub(simEpoch).Seconds() / year
	return rounded(c.base*math.Exp(c.drift*years+c.noise.at(to)), c.decimals)
}

// close: currencies and coins have a close every day, shares on working days.
func (c *simCourse) close(date time.Time) (decimal.Decimal, bool) {
	if w := date.Weekday(); c.i.Kind != KindCrypto && (w == time.Saturday || w == time.Sunday) {
		return decimal.Decimal{}, false
	}
	end := date.AddDate(0, 0, 1)
	return c.price(end), true
}

// newSim is the feed "sim?seed=1&rate=1&speed=1&symbols=A+B": all simulated instruments, or those
// named, without what other feeds bring.
func newSim(options url.Values, others func(Symbol) bool) (Feed, error) {
	o := readOptions(options)
	p := &player{name: "sim", speed: o.number("speed", 1, 1e6), rate: o.number("rate", 1, 1000)}
	seed, only := o.seed(), o.symbols("symbols")
	for _, c := range simulated {
		wanted := only == nil || slices.Contains(only, c.i.Symbol)
		if !wanted || others(c.i.Symbol) {
			continue
		}
		c.noise = newNoise(seed, c.i.Symbol, c.vol)
		c.i.Calendar, c.i.PriceAdjusted = "24x7", true
		c.i.Name += " (simulated)"
		p.courses = append(p.courses, &c)
	}
	for _, s := range only {
		if !slices.ContainsFunc(simulated, func(c simCourse) bool { return c.i.Symbol == s }) {
			o.refuse("symbols: %s is not simulated", s)
		}
	}
	return p, o.err()
}
