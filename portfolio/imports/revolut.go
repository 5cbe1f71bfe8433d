package imports

import (
	"strings"

	"github.com/shopspring/decimal"

	"rosetree/portfolio/ledger"
)

func revolutRow(r record, row *Row) {
	row.date(r.get("Date"))
	row.Symbol, row.Currency = r.get("Ticker"), r.get("Currency")
	row.number(&row.Quantity, "quantity", r.get("Quantity"))
	row.null(&row.Price, "price", r.get("Price per share"))
	var amount decimal.Decimal
	row.number(&amount, "amount", r.get("Total Amount"))
	sum := decimal.NewNullDecimal(amount)
	money := func(kind ledger.Type) {
		row.Type, row.Amount, row.Quantity, row.Price = kind, sum, decimal.Decimal{}, decimal.NullDecimal{}
	}
	switch kind := strings.ToUpper(r.get("Type")); {
	case strings.HasPrefix(kind, "BUY"):
		row.Type = ledger.Buy
	case strings.HasPrefix(kind, "SELL"):
		row.Type = ledger.Sell
	case kind == "DIVIDEND":
		money(ledger.Dividend)
	case strings.HasPrefix(kind, "CASH TOP-UP"):
		money(ledger.Deposit)
	case strings.HasPrefix(kind, "CASH WITHDRAWAL"):
		money(ledger.Withdrawal)
	case strings.Contains(kind, "FEE"):
		money(ledger.Fee)
		row.debit(ledger.Fee, amount)
		row.Symbol = ""
	case kind == "STOCK SPLIT":
		split(row)
	case strings.HasPrefix(kind, "TRANSFER"):
		row.Skip = "a transfer between the broker's own companies"
	default:
		row.bad("type %q is not known", r.get("Type"))
	}
}
