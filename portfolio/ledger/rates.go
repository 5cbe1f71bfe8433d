package ledger

import (
	"slices"
	"time"

	"github.com/shopspring/decimal"
)

// MaxRateAge is how old a table's rate may be: the last one before a weekend or a holiday (4).
const MaxRateAge = 7 * 24 * time.Hour

// DayRate is a pair's closing rate of a day.
type DayRate struct {
	Day  time.Time // 00:00 UTC
	Rate decimal.Decimal
}

// Table is exchange rates by pair and day. A pair that is only known the other way round is turned,
// to 12 decimals, and one known on neither way is crossed over USD or EUR: the result then
// is the rate, and is used exactly.
type Table map[string][]DayRate

// Set stores a pair's rates, in any order.
func (t Table) Set(from, to string, days []DayRate) {
	days = slices.Clone(days)
	slices.SortFunc(days, func(a, b DayRate) int { return a.Day.Compare(b.Day) })
	t[Pair(from, to)] = days
}

// Rate is rule 4's.
func (t Table) Rate(from, to string, at time.Time) (rate decimal.Decimal, stale, ok bool) {
	if from == to {
		return decimal.NewFromInt(1), false, true
	}
	day := at.UTC().Truncate(24 * time.Hour)
	if rate, stale, ok = t.direct(from, to, day); ok {
		return rate, stale, true
	}
	for _, pivot := range []string{"USD", "EUR"} {
		a, staleA, okA := t.direct(from, pivot, day)
		b, staleB, okB := t.direct(pivot, to, day)
		if okA && okB {
			return Cross(a, b), staleA || staleB, true
		}
	}
	return decimal.Decimal{}, false, false
}

func (t Table) direct(from, to string, day time.Time) (rate decimal.Decimal, stale, ok bool) {
	if rate, stale, ok = last(t[Pair(from, to)], day); ok {
		return rate, stale, true
	}
	if rate, stale, ok = last(t[Pair(to, from)], day); ok {
		return Turn(rate), stale, true
	}
	return decimal.Decimal{}, false, false
}

// rateDecimals are those of a rate that was turned or crossed; a tiny one has as many significant digits.
const rateDecimals = 12

// Turn is 1/rate as a rate of its own.
func Turn(rate decimal.Decimal) decimal.Decimal {
	return derived(FromDecimal(decimal.NewFromInt(1)).Quo(FromDecimal(rate)))
}

// Cross is a·b as a rate of its own.
func Cross(a, b decimal.Decimal) decimal.Decimal { return derived(FromDecimal(a.Mul(b))) }

func derived(e Exact) decimal.Decimal {
	if e.Abs().Cmp(FromDecimal(decimal.New(1, -rateDecimals/2))) < 0 {
		return e.Digits(rateDecimals)
	}
	return e.Decimal(rateDecimals)
}

func last(days []DayRate, day time.Time) (rate decimal.Decimal, stale, ok bool) {
	i, found := slices.BinarySearchFunc(days, day, func(d DayRate, t time.Time) int { return d.Day.Compare(t) })
	if found {
		return days[i].Rate, false, true
	}
	if i == 0 || day.Sub(days[i-1].Day) > MaxRateAge {
		return decimal.Decimal{}, false, false
	}
	return days[i-1].Rate, true, true
}
