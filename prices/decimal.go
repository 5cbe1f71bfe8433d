package prices

import (
	"errors"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"
)

// maxDigits is how many digits a price may have: what PostgreSQL's numeric and every client can hold.
const maxDigits = 38

var (
	errNotNumber = errors.New("not a decimal number")
	errDigits    = errors.New("more than 38 digits")
)

// parsePrice reads plain decimal text: digits, at most one point. No sign but a leading minus, no
// exponent: "1e999999999" is ten bytes that would cost gigabytes.
func parsePrice(text string) (decimal.Decimal, error) {
	digits, point := 0, false
	for i, c := range []byte(text) {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case c == '.' && !point && digits > 0:
			point = true
		case c == '-' && i == 0:
		default:
			return decimal.Decimal{}, errNotNumber
		}
	}
	if digits == 0 || text[len(text)-1] == '.' {
		return decimal.Decimal{}, errNotNumber
	}
	if digits > maxDigits {
		return decimal.Decimal{}, errDigits
	}
	return decimal.NewFromString(text)
}

// parseNumber reads a JSON number of an exchange, which may carry a small exponent ("1.2e-7").
func parseNumber(text string) (decimal.Decimal, error) {
	mantissa, exponent, has := strings.Cut(strings.ToLower(text), "e")
	d, err := parsePrice(mantissa)
	if err != nil || !has {
		return d, err
	}
	e, err := strconv.ParseInt(exponent, 10, 32)
	if err != nil {
		return decimal.Decimal{}, errNotNumber
	}
	if e < -maxDigits || e > maxDigits {
		return decimal.Decimal{}, errDigits
	}
	return d.Shift(int32(e)), nil
}

// measured says whether d has at most 38 digits before and after its point, and its coefficient where that
// has at most 18, else 0. It looks at the exponent before the coefficient, so that a huge exponent costs nothing.
func measured(d decimal.Decimal) (whole int64, holdable bool) {
	e := int(d.Exponent())
	if e > maxDigits || e < -maxDigits {
		return 0, false
	}
	digits := d.NumDigits()
	if digits <= wholeDigits {
		whole = d.CoefficientInt64()
	}
	return whole, digits+max(e, 0) <= maxDigits
}

// wholeDigits always fit in an int64.
const wholeDigits = 18
