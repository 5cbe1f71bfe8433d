package imports

import (
	"strings"

	"github.com/shopspring/decimal"

	"rosetree/portfolio/ledger"
)

func schwabRow(r record, row *Row) {
	when, _, _ := strings.Cut(r.get("Date"), " as of ")
	if strings.HasPrefix(strings.ToLower(when), "transactions total") {
		row.Skip = "a total"
		return
	}
	row.date(when, "01/02/2006", "1/2/2006")
	row.Symbol, row.Note, row.Currency = r.get("Symbol"), r.get("Description"), "USD"
	row.number(&row.Quantity, "quantity", r.get("Quantity"))
	row.null(&row.Price, "price", r.get("Price"))
	row.number(&row.Fee, "fee", r.get("Fees & Comm"))
	var amount decimal.Decimal
	row.number(&amount, "amount", r.get("Amount"))
	action := strings.ToLower(r.get("Action"))
	switch {
	case action == "buy" || strings.HasPrefix(action, "reinvest shares"):
		row.Type = ledger.Buy
		return
	case action == "sell":
		row.Type = ledger.Sell
		return
	case action == "stock split":
		split(row)
		return
	case strings.Contains(action, "div") || action == "cash in lieu" || strings.Contains(action, "cap gain"):
		row.Type = ledger.Dividend
	case strings.Contains(action, "interest"):
		row.interest(amount)
	case strings.Contains(action, "tax"):
		row.debit(ledger.Tax, amount)
	case strings.Contains(action, "fee"):
		row.debit(ledger.Fee, amount)
	case strings.HasPrefix(action, "moneylink") || strings.Contains(action, "wire") || strings.Contains(action, "funds"):
		row.transfer(amount)
	default:
		row.bad("action %q is not known", r.get("Action"))
	}
	row.Amount, row.Price, row.Quantity = decimal.NewNullDecimal(amount), decimal.NullDecimal{}, decimal.Decimal{}
}
