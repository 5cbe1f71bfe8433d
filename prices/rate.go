package prices

import (
	"time"

	"github.com/shopspring/decimal"
)

// Rate is what one unit of From costs in To.
type Rate struct {
	From, To string
	Value    decimal.Decimal
	At       time.Time // of the older leg, where it is a cross
	Stale    bool      // a leg is stale
}

// pivots are the currencies through which a cross is made, in this order: most pairs are quoted
// against them.
var pivots = []string{"USD", "EUR"}

// rateDigits are the decimals of a rate that had to be divided; what is quoted or multiplied is exact.
const rateDigits = 18

// Rate is the live rate between two currencies: quoted, inverse, or a cross through the dollar or the
// euro. ok is false where a leg is missing; a rate is never assumed.
func (b *Book) Rate(from, to string) (r Rate, ok bool) {
	now := time.Now()
	return cross(from, to, now, func(s Symbol) (leg, bool) {
		q, ok := b.Quote(s)
		return leg{q.Price, q.At, b.Freshness(s, now) == Stale}, ok
	})
}

// leg is one quoted pair of a rate.
type leg struct {
	price decimal.Decimal
	at    time.Time
	stale bool
}

// cross makes a rate of the legs that lookup knows by their symbols.
func cross(from, to string, now time.Time, lookup func(Symbol) (leg, bool)) (Rate, bool) {
	if from == to {
		return Rate{from, to, one, now, false}, true
	}
	if l, ok := pair(from, to, lookup); ok {
		return Rate{from, to, l.price, l.at, l.stale}, true
	}
	for _, pivot := range pivots {
		if pivot == from || pivot == to {
			continue
		}
		a, okA := pair(from, pivot, lookup)
		b, okB := pair(pivot, to, lookup)
		if !okA || !okB {
			continue
		}
		r := Rate{from, to, a.price.Mul(b.price), a.at, a.stale || b.stale}
		if b.at.Before(r.At) {
			r.At = b.at
		}
		return r, true
	}
	return Rate{From: from, To: to}, false
}

// pair is the quoted rate or the inverse of the one quoted the other way round.
func pair(from, to string, lookup func(Symbol) (leg, bool)) (leg, bool) {
	if l, ok := lookup(Symbol(from + "-" + to)); ok {
		return l, true
	}
	l, ok := lookup(Symbol(to + "-" + from))
	if ok {
		l.price = one.DivRound(l.price, rateDigits)
	}
	return l, ok
}
