package prices

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// options reads what stands behind the ? of an entry in PRICE_FEEDS. Each read takes its option; what
// is left in the end is a typo, and an error.
type options struct {
	left  url.Values
	wrong []error
}

func readOptions(values url.Values) *options {
	left := url.Values{}
	maps.Copy(left, values)
	return &options{left: left}
}

// take is an option's value; "": not given.
func (o *options) take(name string) string {
	values := o.left[name]
	delete(o.left, name)
	switch {
	case len(values) == 0:
		return ""
	case len(values) > 1:
		o.refuse("%s is there %d times", name, len(values))
	case values[0] == "":
		o.refuse("%s has no value", name)
	}
	return values[0]
}

func (o *options) refuse(format string, args ...any) {
	o.wrong = append(o.wrong, fmt.Errorf(format, args...))
}

// number is a number in (0, most].
func (o *options) number(name string, fallback, most float64) float64 {
	text := o.take(name)
	if text == "" {
		return fallback
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || !(f > 0 && f <= most) {
		o.refuse("%s=%s is not a number above 0 and up to %g", name, text, most)
		return fallback
	}
	return f
}

// count is a whole number from 1 to most.
func (o *options) count(name string, fallback, most int32) int32 {
	text := o.take(name)
	if text == "" {
		return fallback
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 1 || n > int64(most) {
		o.refuse("%s=%s is not a whole number from 1 to %d", name, text, most)
		return fallback
	}
	return int32(n)
}

func (o *options) seed() uint64 {
	text := o.take("seed")
	if text == "" {
		return 1
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		o.refuse("seed=%s is not a whole number", text)
	}
	return n
}

// symbols reads a list joined by + or blanks, because a comma ends the entry. nil: not given.
func (o *options) symbols(name string) []Symbol {
	var all []Symbol
	list := o.take(name)
	texts := strings.FieldsFunc(list, func(r rune) bool { return r == ' ' || r == '+' })
	if list != "" && len(texts) == 0 {
		o.refuse("%s names none", name)
	}
	for _, text := range texts {
		s, err := ParseSymbol(text)
		if err != nil {
			o.refuse("%s: %w", name, err)
		}
		all = append(all, s)
	}
	return all
}

// symbol is one symbol; "": not given.
func (o *options) symbol(name string) Symbol {
	all := o.symbols(name)
	if len(all) > 1 {
		o.refuse("%s is one symbol, not %d", name, len(all))
	}
	return append(all, "")[0]
}

func (o *options) err() error {
	for name := range o.left {
		o.refuse("%q is not an option here", name)
	}
	return errors.Join(o.wrong...)
}

// address is a URL of one of the schemes, without a query.
func (o *options) address(name, fallback string, schemes ...string) string {
	text := o.take(name)
	if text == "" {
		return fallback
	}
	u, err := url.Parse(text)
	if err != nil || !slices.Contains(schemes, u.Scheme) || u.Host == "" || u.RawQuery != "" {
		o.refuse("%s is not an address that begins with %s://", name, strings.Join(schemes, ":// or "))
		return fallback
	}
	return text
}
