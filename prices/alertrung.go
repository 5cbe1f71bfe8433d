package prices

import (
	"math"

	"github.com/shopspring/decimal"
)

// rung is what most ticks are compared with: between which two prices nothing happens, as whole numbers of one exponent.
// All rungs lie side by side, two in a line of memory, so that a tick that reaches nothing touches little; whatever does
// not fit asks the ladder, which is exact.
type rung struct {
	ladder   *ladder // nil: no alert
	up, down int64   // nothing happens strictly between them; down is 0 or more
	exponent int32
	era      uint32 // of the quotes for which they hold; 0: nothing is known
}

// passes says that q certainly reaches nothing.
func (r *rung) passes(q *Quote) bool {
	return q.era == r.era && q.whole > r.down && q.whole < r.up && q.Price.Exponent() == r.exponent
}

// learn takes over what the ladder says for quotes like q.
func (r *rung) learn(q *Quote) {
	t := r.ladder.top(q.Price.Exponent())
	r.exponent, r.era, r.up, r.down = q.Price.Exponent(), q.era, math.MaxInt64, 0
	if t.up.Valid {
		r.up = whole(t.up.Decimal)
	}
	if t.down.Valid {
		r.down = max(0, whole(t.down.Decimal))
	}
}

// whole is d's coefficient; one that is beyond all that passes compares is the greatest number.
func whole(d decimal.Decimal) int64 {
	if d.NumDigits() > wholeDigits {
		return math.MaxInt64
	}
	return d.CoefficientInt64()
}
