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

func (o *options) take(name string) string {
	value := o.left.Get(name)
	o.left.Del(name)
	return value
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
	for _, text := range strings.FieldsFunc(o.take(name), func(r rune) bool { return r == ' ' || r == '+' }) {
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
