package imports

import (
	"encoding/csv"
	"io"
	"strings"
	"time"

	"rosetree/portfolio/ledger"
)

var ownColumns = []string{"executed_at", "account", "type", "symbol", "quantity", "price", "amount", "currency", "fee", "tax", "fx_rate", "fx_base", "note", "pair", "id"}

// WriteCSV writes the transactions, each with the name of its account; what else a portfolio has is in the JSON alone.
func (o Own) WriteCSV(w io.Writer) error {
	c := csv.NewWriter(w)
	if err := c.Write(ownColumns); err != nil {
		return err
	}
	for _, t := range o.Transactions {
		if err := c.Write([]string{t.ExecutedAt.Format(time.RFC3339Nano), guarded(t.Account), string(t.Type), t.Symbol, t.Quantity, t.Price, t.Amount, t.Currency, t.Fee, t.Tax,
			t.FxRate, t.FxBase, guarded(t.Note), t.Pair, t.ID}); err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
}

// rosetreeRow is a line of our own CSV.
func rosetreeRow(r record, row *Row) {
	row.date(r.get("executed_at"))
	row.Account, row.Type, row.Symbol, row.Currency = unguarded(r.get("account")), ledger.Type(r.get("type")), r.get("symbol"), r.get("currency")
	row.number(&row.Quantity, "quantity", r.get("quantity"))
	row.null(&row.Price, "price", r.get("price"))
	row.null(&row.Amount, "amount", r.get("amount"))
	row.number(&row.Fee, "fee", r.get("fee"))
	row.number(&row.Tax, "tax", r.get("tax"))
	row.null(&row.Rate, "fx_rate", r.get("fx_rate"))
	row.RateBase = r.get("fx_base")
	row.Note, row.Pair, row.ID = unguarded(r.cell("note")), r.get("pair"), r.get("id")
	row.refuseSigns()
}

// guard keeps a spreadsheet from running what somebody wrote into a note.
const guard = "'"

// guarded sets a guard before a text that a spreadsheet would run, and before one that looks as if it had one already:
// so that unguarded gives back every text.
func guarded(s string) string {
	if isFormula(s) {
		return guard + s
	}
	return s
}

func unguarded(s string) string {
	if text, ok := strings.CutPrefix(s, guard); ok && isFormula(text) {
		return text
	}
	return s
}

func isFormula(s string) bool {
	s = strings.TrimLeft(s, guard)
	return s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0]))
}
