package imports

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"rosetree/portfolio/ledger"
	"rosetree/prices"
)

// Own is our own JSON: all of a portfolio, to the last digit.
type Own struct {
	Format       string           `json:"format"` // "rosetree"
	Version      int              `json:"version"`
	ExportedAt   time.Time        `json:"exported_at"`
	Portfolio    OwnPortfolio     `json:"portfolio"`
	Accounts     []OwnAccount     `json:"accounts"`
	Instruments  []OwnInstrument  `json:"instruments"` // those that only the owner knows
	Transactions []OwnTransaction `json:"transactions"`
}

// Own tells whether the file is an export of ours.
func (f *File) Own() bool { return strings.HasPrefix(f.Format, "rosetree-") }

// OwnPortfolio is the portfolio's settings.
type OwnPortfolio struct {
	Name         string `json:"name"`
	BaseCurrency string `json:"base_currency"`
	CostMethod   string `json:"cost_method"`
	Costs        string `json:"costs"`
}

// OwnAccount is an account; transactions name it.
type OwnAccount struct {
	Name       string `json:"name"`
	Currency   string `json:"currency"`
	CostMethod string `json:"cost_method,omitempty"`
	Oversell   string `json:"oversell"`
	TracksCash bool   `json:"tracks_cash"`
}

// OwnInstrument is an instrument that only the owner knows.
type OwnInstrument struct {
	Symbol     string      `json:"symbol"`
	Name       string      `json:"name"`
	Currency   string      `json:"currency"`
	Kind       prices.Kind `json:"kind,omitempty"`
	Multiplier string      `json:"multiplier,omitempty"`
	ISIN       string      `json:"isin,omitempty"`
	Prices     []OwnPrice  `json:"prices,omitempty"`
}

// OwnPrice is what the owner said that an instrument of theirs was worth, from a day on.
type OwnPrice struct {
	Date  string `json:"date"`
	Close string `json:"close"`
}

// instrument holds what a file says of an instrument against the rules for one that is entered.
func (o OwnInstrument) instrument() (i Instrument, err error) {
	symbol, err := prices.ParseSymbol(o.Symbol)
	if err != nil {
		return i, err
	}
	i = Instrument{Symbol: string(symbol), Name: o.Name, Currency: o.Currency, ISIN: o.ISIN, Kind: cmp.Or(o.Kind, prices.KindManual), Multiplier: decimal.NewFromInt(1)}
	if !slices.Contains(prices.Kinds, i.Kind) {
		return i, fmt.Errorf("kind %q is none", o.Kind)
	}
	if o.Multiplier != "" {
		if i.Multiplier, err = parseNumber(o.Multiplier); err != nil || !i.Multiplier.IsPositive() {
			return i, fmt.Errorf("multiplier %q is no positive number", o.Multiplier)
		}
	}
	for _, p := range o.Prices {
		day, err := time.Parse(time.DateOnly, p.Date)
		if err != nil {
			return i, fmt.Errorf("%q is no day", p.Date)
		}
		last, err := parseNumber(p.Close)
		if err != nil || !last.IsPositive() {
			return i, fmt.Errorf("price %q is no positive number", p.Close)
		}
		i.Days, i.Closes = append(i.Days, day), append(i.Closes, last)
	}
	return i, nil
}

// OwnTransaction is a row of the ledger.
type OwnTransaction struct {
	ID         string      `json:"id"`
	Account    string      `json:"account"`
	Type       ledger.Type `json:"type"`
	Symbol     string      `json:"symbol,omitempty"`
	Quantity   string      `json:"quantity,omitempty"`
	Price      string      `json:"price,omitempty"`
	Amount     string      `json:"amount,omitempty"`
	Currency   string      `json:"currency"`
	Fee        string      `json:"fee"`
	Tax        string      `json:"tax"`
	FxRate     string      `json:"fx_rate,omitempty"`
	FxBase     string      `json:"fx_base,omitempty"` // the currency that the rate is into; "" is the portfolio's
	ExecutedAt time.Time   `json:"executed_at"`
	Note       string      `json:"note,omitempty"`
	Pair       string      `json:"pair,omitempty"`
}

func parseOwnJSON(data []byte, _ []string) (*File, error) {
	var o Own
	if err := json.Unmarshal(bytes.TrimPrefix(data, []byte("\ufeff")), &o); err != nil {
		return nil, fmt.Errorf("not the JSON of an export: %w", err)
	}
	if o.Format != "rosetree" || o.Version != 1 {
		return nil, errors.New("not version 1 of our own export")
	}
	f, names := &File{}, map[string]string{}
	for _, a := range o.Accounts {
		f.Accounts = append(f.Accounts, Account{a.Name, a.Currency, a.CostMethod, a.Oversell, a.TracksCash})
	}
	for _, i := range o.Instruments {
		names[i.Symbol] = i.Name
		inst, err := i.instrument()
		if err != nil {
			return nil, fmt.Errorf("instrument %q: %w", i.Symbol, err)
		}
		f.Instruments = append(f.Instruments, inst)
	}
	for i, t := range o.Transactions {
		row := Row{Line: i + 1, Account: t.Account, Type: t.Type, Symbol: t.Symbol, Name: names[t.Symbol], Currency: t.Currency, At: t.ExecutedAt, Note: t.Note, ID: t.ID, Pair: t.Pair,
			RateBase: cmp.Or(t.FxBase, o.Portfolio.BaseCurrency)}
		row.number(&row.Quantity, "quantity", t.Quantity)
		row.null(&row.Price, "price", t.Price)
		row.null(&row.Amount, "amount", t.Amount)
		row.number(&row.Fee, "fee", t.Fee)
		row.number(&row.Tax, "tax", t.Tax)
		row.null(&row.Rate, "fx_rate", t.FxRate)
		row.refuseSigns()
		f.Rows = append(f.Rows, row)
	}
	return f, nil
}
