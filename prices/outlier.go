package prices

import (
	"time"

	"github.com/shopspring/decimal"
)

// farOf is how far one tick may lie from what is believed before it has to be confirmed, as a share.
func farOf(k Kind) decimal.Decimal {
	switch k {
	case KindFX:
		return decimal.New(5, -2)
	case KindCrypto:
		return decimal.New(20, -2)
	default:
		return decimal.New(30, -2)
	}
}

// trusted sources are not held back: who posts a price by hand means it, and a split is a fact.
func trusted(source string) bool { return source == postedSource || source == splitSource }

// guard holds back a tick far from the last price until a second one, of any source, agrees with it.
// It compares against bands around an anchor that follows the price: decimals of one exponent compare
// without an allocation, and the bands are made again only where the price has moved far.
type guard struct {
	anchor  decimal.Decimal // zero: everything is near
	bands   [3]band         // for the exponents that the source uses ("1.5", "1.25", "2")
	next    int
	suspect Tick // the far tick that waits; Price zero: none
}

type band struct {
	low, high     decimal.Decimal // beyond: far
	under, beyond decimal.Decimal // beyond: near, but the anchor follows
}

// far says whether t must wait, and remembers it then.
func (g *guard) far(t *Tick, limit decimal.Decimal) bool {
	if g.anchor.IsZero() {
		g.follow(t.Price)
		return false
	}
	b := g.band(t.Price.Exponent(), limit)
	if t.Price.Cmp(b.under) >= 0 && t.Price.Cmp(b.beyond) <= 0 {
		g.suspect = Tick{}
		return false
	}
	if t.Price.Cmp(b.low) >= 0 && t.Price.Cmp(b.high) <= 0 || g.confirms(t, limit) {
		g.follow(t.Price)
		return false
	}
	g.suspect = *t
	return true
}

// confirms says whether t agrees with the tick that waits.
func (g *guard) confirms(t *Tick, limit decimal.Decimal) bool {
	waits := g.suspect.Price
	return waits.IsPositive() && t.At.Sub(g.suspect.At) < time.Hour && t.Price.Sub(waits).Abs().LessThanOrEqual(waits.Mul(limit))
}

func (g *guard) follow(price decimal.Decimal) { *g = guard{anchor: price} }

func (g *guard) band(exponent int32, limit decimal.Decimal) *band {
	for i := range g.bands {
		if b := &g.bands[i]; b.high.IsPositive() && b.high.Exponent() == exponent {
			return b
		}
	}
	b := &g.bands[g.next]
	g.next = (g.next + 1) % len(g.bands)
	half := limit.Div(decimal.NewFromInt(2))
	at := func(share decimal.Decimal) decimal.Decimal {
		return withExponent(g.anchor.Mul(one.Add(share)), exponent)
	}
	*b = band{low: at(limit.Neg()), high: at(limit), under: at(half.Neg()), beyond: at(half)}
	return b
}

// withExponent is d with that exponent, rounded down: 90 and 90.00 are equal and compare at different cost.
func withExponent(d decimal.Decimal, exponent int32) decimal.Decimal {
	return decimal.NewFromBigInt(d.Shift(-exponent).Truncate(0).BigInt(), exponent)
}
