package portfolio

import (
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"rosetree/internal/api"
	"rosetree/portfolio/ledger"
	"rosetree/prices"
)

const (
	maxDigits   = 38  // of a number that a client may send (rule 1)
	maxName     = 100 // characters
	maxNote     = 2000
	maxExternal = 200
)

// parseNumber reads a decimal that is not negative. The guard stands before the library: it would take
// exponents, and a short text could then stand for gigabytes of digits.
func parseNumber(field, text string) (decimal.Decimal, error) {
	whole, fraction, point := strings.Cut(text, ".")
	switch {
	case strings.HasPrefix(text, "-") && isDigits(whole[1:]):
		return decimal.Decimal{}, api.Invalid(field, "must not be negative: the type gives the sign")
	case !isDigits(whole) || point && !isDigits(fraction):
		return decimal.Decimal{}, api.Invalid(field, "must be a decimal number such as \"12.5\"")
	case len(whole)+len(fraction) > maxDigits:
		return decimal.Decimal{}, api.Invalid(field, "has more than %d digits", maxDigits)
	}
	d, err := decimal.NewFromString(text)
	if err != nil {
		return decimal.Decimal{}, api.Invalid(field, "must be a decimal number such as \"12.5\"")
	}
	return d, nil
}

func isDigits(s string) bool {
	return s != "" && strings.IndexFunc(s, func(c rune) bool { return c < '0' || c > '9' }) < 0
}

// optional reads a number that may be missing; "" counts as missing.
func optional(field string, text *string) (decimal.NullDecimal, error) {
	if text == nil || *text == "" {
		return decimal.NullDecimal{}, nil
	}
	d, err := parseNumber(field, *text)
	return decimal.NullDecimal{Decimal: d, Valid: err == nil}, err
}

func parseCurrency(field, text string) (string, error) {
	if len(text) != 3 || strings.IndexFunc(text, func(c rune) bool { return c < 'A' || c > 'Z' }) >= 0 {
		return "", api.Invalid(field, "must be a currency of three capital letters, such as \"EUR\"")
	}
	return text, nil
}

func parseName(field, text string) (string, error) {
	text = strings.TrimSpace(text)
	if n := len([]rune(text)); n == 0 || n > maxName || strings.ContainsRune(text, 0) {
		return "", api.Invalid(field, "must have 1 to %d characters", maxName)
	}
	return text, nil
}

func parseMethod(field, text string) (ledger.Method, error) {
	switch m := ledger.Method(text); m {
	case ledger.Average, ledger.FIFO:
		return m, nil
	}
	return "", api.Invalid(field, "must be \"average\" or \"fifo\"")
}

func parseCosts(field, text string) (ledger.Costs, error) {
	switch c := ledger.Costs(text); c {
	case ledger.Included, ledger.Excluded:
		return c, nil
	}
	return "", api.Invalid(field, "must be \"included\" or \"excluded\"")
}

func parseSymbol(field, text string) (prices.Symbol, error) {
	symbol, err := prices.ParseSymbol(text)
	if err != nil {
		return "", api.Invalid(field, "%s", err)
	}
	return symbol, nil
}

// parseTime reads RFC 3339, or a day, which is its first moment in UTC.
func parseTime(field, text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil && t.Year() >= 1900 && t.Year() < 10000 {
			return t, nil
		}
	}
	return time.Time{}, api.Invalid(field, "must be a time such as \"2024-05-31T15:04:05Z\", or a day such as \"2024-05-31\"")
}
