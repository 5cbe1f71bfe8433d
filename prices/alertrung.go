package prices

import (
	"math"

	"github.com/shopspring/decimal"
)

// rung is what most ticks are compared with: between which two prices nothing happens, as whole numbers of one exponent.
// All rungs lie side by side, so that a tick that reaches nothing touches one line of memory; whatever does not fit
// asks the ladder, which is exact.
type rung struct {
	ladder   *ladder // nil: no alert
	up, down int64   // nothing happens strictly between them
	exponent int32
	era      uint32 // of the quotes for which they hold
	known    bool
}

// wholeDigits always fit in an int64.
const wholeDigits = 18

// passes says that q certainly reaches nothing.
func (r *rung) passes(q *Quote) bool {
	if !r.known || q.era != r.era || q.Price.Exponent() != r.exponent || q.Price.NumDigits() > wholeDigits {
		return false
	}
	c := q.Price.CoefficientInt64()
	return c > r.down && c < r.up
}

// learn takes over what the ladder says for quotes like q.
func (r *rung) learn(q *Quote) {
	t := r.ladder.top(q.Price.Exponent())
	r.known, r.exponent, r.era = true, q.Price.Exponent(), q.era
	r.up, r.down = math.MaxInt64, math.MinInt64
	if t.up.Valid {
		r.up = whole(t.up.Decimal)
	}
	if t.down.Valid {
		r.down = whole(t.down.Decimal)
	}
}

// whole is d's coefficient; one that is beyond all that passes compares is the greatest number.
func whole(d decimal.Decimal) int64 {
	if d.NumDigits() > wholeDigits {
		return math.MaxInt64
	}
	return d.CoefficientInt64()
}
