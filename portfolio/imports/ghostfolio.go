package imports

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/shopspring/decimal"

	"rosetree/portfolio/ledger"
)

var ghostfolioTypes = map[string]ledger.Type{"buy": ledger.Buy, "sell": ledger.Sell, "dividend": ledger.Dividend, "fee": ledger.Fee, "interest": ledger.Interest}

func ghostfolioRow(r record, row *Row) {
	row.date(r.get("date", "tradedate"), "02-01-2006", "02/01/2006", "02.01.2006", "20060102")
	row.Symbol, row.Currency, row.Note = r.get("code", "symbol", "ticker"), r.get("ccy", "currency", "currencyprimary"), r.get("comment", "note")
	row.Account = r.get("account")
	row.number(&row.Quantity, "quantity", r.get("quantity", "qty", "shares", "units"))
	row.null(&row.Price, "price", r.get("price", "unitprice", "tradeprice", "value"))
	row.number(&row.Fee, "fee", r.get("fee", "commission", "ibcommission"))
	ghostfolioType(row, r.get("action", "type", "buy/sell"))
}

// ghostfolioType gives a row the ledger's type. A fee stands in the fee column there; an interest or fee
// with a price is an amount, and its code a name.
func ghostfolioType(row *Row, text string) {
	kind, ok := ghostfolioTypes[strings.ToLower(text)]
	if !ok {
		row.Skip = "a " + text + " is not part of the ledger"
		return
	}
	row.Type = kind
	if kind == ledger.Fee || kind == ledger.Interest {
		row.Note = strings.TrimSpace(row.Symbol + " " + row.Note)
		row.Symbol = ""
		if amount := row.Quantity.Mul(row.Price.Decimal); !amount.IsZero() {
			row.Amount = decimal.NewNullDecimal(amount)
		}
		row.Quantity, row.Price = decimal.Decimal{}, decimal.NullDecimal{}
	}
}

type ghostfolioFile struct {
	Accounts []struct {
		ID, Name, Currency string
	} `json:"accounts"`
	Activities []struct {
		AccountID string      `json:"accountId"`
		Comment   *string     `json:"comment"`
		Fee       json.Number `json:"fee"`
		Quantity  json.Number `json:"quantity"`
		Type      string      `json:"type"`
		UnitPrice json.Number `json:"unitPrice"`
		Currency  string      `json:"currency"`
		Date      string      `json:"date"`
		Symbol    string      `json:"symbol"`
		ID        string      `json:"id"`
	} `json:"activities"`
}

func parseGhostfolioJSON(data []byte, _ []string) (*File, error) {
	var g ghostfolioFile
	if err := json.Unmarshal(bytes.TrimPrefix(data, []byte("\ufeff")), &g); err != nil {
		return nil, fmt.Errorf("not the JSON of an export: %w", err)
	}
	if g.Activities == nil {
		return nil, errors.New("the JSON has no activities")
	}
	f, names := &File{}, map[string]string{}
	for _, a := range g.Accounts {
		names[a.ID] = a.Name
		f.Accounts = append(f.Accounts, Account{Name: a.Name, Currency: a.Currency, Oversell: "reject"})
	}
	for i, a := range g.Activities {
		row := Row{Line: i + 1, Account: names[a.AccountID], Symbol: a.Symbol, Currency: a.Currency, ID: a.ID}
		if a.Comment != nil {
			row.Note = *a.Comment
		}
		row.date(a.Date)
		row.number(&row.Quantity, "quantity", a.Quantity.String())
		row.null(&row.Price, "unitPrice", a.UnitPrice.String())
		row.number(&row.Fee, "fee", a.Fee.String())
		ghostfolioType(&row, a.Type)
		f.Rows = append(f.Rows, row)
	}
	return f, nil
}
