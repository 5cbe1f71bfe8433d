package prices

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// Symbol names an instrument: 1 to 32 characters of A-Z 0-9 . - _ : = ^ /, upper case.
// Exchange rates are symbols too: EUR-USD is the price of one EUR in USD.
type Symbol string

// ParseSymbol accepts a symbol in any case.
func ParseSymbol(s string) (Symbol, error) {
	if len(s) == 0 || len(s) > 32 {
		return "", fmt.Errorf("a symbol has 1 to 32 characters, not %d", len(s))
	}
	s = strings.ToUpper(s)
	for _, c := range []byte(s) {
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune(".-_:=^/", rune(c)) {
			return "", fmt.Errorf("a symbol has only A-Z 0-9 . - _ : = ^ /, not %q", c)
		}
	}
	return Symbol(s), nil
}

// Kind is a class of instrument.
type Kind string

const (
	KindEquity Kind = "equity"
	KindETF    Kind = "etf"
	KindFund   Kind = "fund"
	KindBond   Kind = "bond"
	KindCrypto Kind = "crypto"
	KindFX     Kind = "fx"
	KindIndex  Kind = "index"
	KindManual Kind = "manual"
)

// Kinds are all classes, in the order in which they are named to users.
var Kinds = []Kind{KindEquity, KindETF, KindFund, KindBond, KindCrypto, KindFX, KindIndex, KindManual}

// Instrument is what a symbol stands for.
type Instrument struct {
	Symbol        Symbol          `json:"symbol"`
	Name          string          `json:"name"`
	Kind          Kind            `json:"kind"`
	Currency      string          `json:"currency"`          // ISO 4217 of its quotes
	MinorUnit     decimal.Decimal `json:"minor_unit_factor"` // how much of Currency one unit of what sources quote is: 0.01 for pence. Our prices are in Currency
	Multiplier    decimal.Decimal `json:"multiplier"`
	ISIN          string          `json:"isin,omitempty"`
	MIC           string          `json:"mic,omitempty"`
	Calendar      string          `json:"calendar,omitempty"` // name of its session calendar; empty: the one of its MIC or kind
	PriceAdjusted bool            `json:"price_adjusted"`     // history already counts splits
	Splits        []Split         `json:"splits,omitempty"`
}

// Split turns D shares into N at the start of ExDate. Its JSON form is {"ex_date":"2024-06-10","ratio":"10:1"}.
type Split struct {
	ExDate time.Time
	N, D   int64
}

type splitJSON struct {
	ExDate string `json:"ex_date"`
	Ratio  string `json:"ratio"`
}

// MarshalJSON writes the form of the protocol.
func (s Split) MarshalJSON() ([]byte, error) {
	return json.Marshal(splitJSON{s.ExDate.Format(time.DateOnly), strconv.FormatInt(s.N, 10) + ":" + strconv.FormatInt(s.D, 10)})
}

// UnmarshalJSON reads the form of the protocol.
func (s *Split) UnmarshalJSON(data []byte) error {
	var in splitJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	date, err := time.Parse(time.DateOnly, in.ExDate)
	if err != nil {
		return fmt.Errorf("ex_date %q is not a date such as 2024-06-10", in.ExDate)
	}
	n, d, ok := strings.Cut(in.Ratio, ":")
	s.N, s.D, s.ExDate = shares(n), shares(d), date
	if !ok || s.N == 0 || s.D == 0 {
		return fmt.Errorf("ratio %q is not new:old whole shares such as 2:1", in.Ratio)
	}
	return nil
}

// shares is the whole number > 0 that text holds, or 0.
func shares(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// one is the multiplier of everything but contracts.
var one = decimal.NewFromInt(1)
