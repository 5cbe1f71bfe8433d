// Package prices knows what things cost now and what they cost before. It knows no users and no sockets.
package prices

import (
	"fmt"
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

// Tick is one price as a feed reports it, not yet believed.
type Tick struct {
	Symbol Symbol
	Price  decimal.Decimal
	At     time.Time
	Source string
}

// Quote is the newest believed price of a symbol.
type Quote struct {
	Symbol   Symbol
	Price    decimal.Decimal
	At       time.Time           // when the source saw it, to the millisecond
	N        uint64              // the symbol's update number; only grows
	Previous decimal.NullDecimal // close of the last completed session; the reference of the day change
	Source   string
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

// Instrument is what a symbol stands for.
type Instrument struct {
	Symbol        Symbol          `json:"symbol"`
	Name          string          `json:"name"`
	Kind          Kind            `json:"kind"`
	Currency      string          `json:"currency"` // ISO 4217 of its quotes
	Multiplier    decimal.Decimal `json:"multiplier"`
	ISIN          string          `json:"isin,omitempty"`
	MIC           string          `json:"mic,omitempty"`
	PriceAdjusted bool            `json:"price_adjusted"` // history already counts splits
	Splits        []Split         `json:"splits,omitempty"`
}

// Split turns D shares into N at the start of ExDate.
type Split struct {
	ExDate time.Time
	N, D   int64
}
