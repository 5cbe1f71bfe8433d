package ledger

import "slices"

// Amount is money that may be unknown: Missing says why, and is empty where Value counts.
type Amount struct {
	Value   Exact
	Missing []string // pairs without a rate, "basis:SYMBOL" for units of unknown cost; sorted
}

// Known tells whether Value counts.
func (a Amount) Known() bool { return len(a.Missing) == 0 }

// Add is a + b; unknown where one of them is.
func (a Amount) Add(b Amount) Amount {
	return Amount{Value: a.Value.Add(b.Value), Missing: join(a.Missing, b.Missing)}
}

// Sub is a - b; unknown where one of them is.
func (a Amount) Sub(b Amount) Amount {
	return Amount{Value: a.Value.Sub(b.Value), Missing: join(a.Missing, b.Missing)}
}

// SumAmounts adds a list.
func SumAmounts(list ...Amount) Amount {
	values, missing := make([]Exact, len(list)), []string(nil)
	for i, a := range list {
		values[i] = a.Value
		missing = join(missing, a.Missing)
	}
	return Amount{Value: Sum(values...), Missing: missing}
}

// join is the sorted union; neither list is changed.
func join(a, b []string) []string {
	if len(b) == 0 {
		return a
	}
	if len(a) == 0 {
		return b
	}
	all := append(slices.Clone(a), b...)
	slices.Sort(all)
	return slices.Compact(all)
}
