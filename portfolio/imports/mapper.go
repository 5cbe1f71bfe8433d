package imports

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"rosetree/portfolio/ledger"
)

// Mapping says how to read a CSV that no format knows. A user makes it once and it is remembered.
type Mapping struct {
	Columns  map[string]string      `json:"columns"`            // our field → the file's column
	Types    map[string]ledger.Type `json:"types,omitempty"`    // the file's word, lower case → our type
	Currency string                 `json:"currency,omitempty"` // where the file has no such column
	DayFirst bool                   `json:"day_first,omitempty"`
}

// Fields are what a Mapping's columns may name.
var Fields = []string{"executed_at", "type", "symbol", "isin", "name", "quantity", "price", "amount", "currency", "fee", "tax", "fx_rate", "note", "id", "account"}

// Check says what is wrong with a mapping.
func (m Mapping) Check() error {
	for field := range m.Columns {
		if !slices.Contains(Fields, field) {
			return fmt.Errorf("%q is no field; there are %s", field, strings.Join(Fields, ", "))
		}
	}
	for _, field := range []string{"executed_at", "type"} {
		if m.Columns[field] == "" {
			return fmt.Errorf("say which column is %s", field)
		}
	}
	if m.Columns["currency"] == "" && m.Currency == "" {
		return fmt.Errorf("say which column is currency, or give one for all rows")
	}
	return nil
}

// ParseMapped reads a CSV by a mapping; name is the mapping's, and part of the rows' keys.
func ParseMapped(name string, m Mapping, data []byte) (*File, error) {
	if err := errors.Join(m.Check(), checkText(data)); err != nil {
		return nil, err
	}
	var columns []string
	for _, c := range m.Columns {
		columns = append(columns, c)
	}
	slices.Sort(columns)
	f, err := byRow(m.row)(data, columns)
	if err != nil {
		return nil, err
	}
	f.Format = "mapped-" + name
	finish(f)
	return f, nil
}

func (m Mapping) row(r record, row *Row) {
	get := func(field string) string {
		if c := m.Columns[field]; c != "" {
			return r.get(c)
		}
		return ""
	}
	layouts := []string{"01/02/2006 15:04:05", "01/02/2006", "1/2/2006"}
	if m.DayFirst {
		layouts = []string{"02/01/2006 15:04:05", "02/01/2006", "2/1/2006"}
	}
	row.date(get("executed_at"), append(layouts, "02.01.2006 15:04:05", "02.01.2006", "02-01-2006", "20060102", "2006/01/02")...)
	word := strings.ToLower(get("type"))
	row.Type = ledger.Type(word)
	if t, ok := m.Types[word]; ok {
		row.Type = t
	}
	row.Symbol, row.ISIN, row.Name, row.Account, row.Note, row.ID = get("symbol"), get("isin"), get("name"), get("account"), get("note"), get("id")
	if row.Symbol == "" {
		row.Symbol = row.ISIN
	}
	if row.Currency = get("currency"); row.Currency == "" {
		row.Currency = m.Currency
	}
	row.number(&row.Quantity, "quantity", get("quantity"))
	row.null(&row.Price, "price", get("price"))
	row.null(&row.Amount, "amount", get("amount"))
	row.number(&row.Fee, "fee", get("fee"))
	row.number(&row.Tax, "tax", get("tax"))
	row.null(&row.Rate, "fx_rate", get("fx_rate"))
}
