package prices

// refusal is why the Book did not believe a tick. The zero value means believed.
type refusal int

const (
	believed      refusal = iota
	unknownSymbol         // no such instrument
	notPositive           // 0 or less
	tooManyDigits         // more than 38
	inFuture              // later than now, beyond what clocks may differ
	notNewer              // not later than what is already known: old, or the same again
	outlier               // far from the last price, and nothing has confirmed it yet
	notNumber             // text that is no number; counted by parsers
	refusals              // how many there are
)

// String is the value of the metric's label and the code that a posting feed is answered.
func (r refusal) String() string {
	return [...]string{"", "unknown_symbol", "not_positive", "too_many_digits", "in_future", "not_newer", "outlier", "not_number"}[r]
}

func (r refusal) message() string {
	return [...]string{"", "no instrument has this symbol", "a price is greater than 0", "a price has at most 38 digits",
		"the time lies in the future", "not newer than the last price", "far from the last price; it counts once a second tick or source confirms it",
		"not a decimal number"}[r]
}
