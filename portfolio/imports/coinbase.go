package imports

import (
	"strings"

	"github.com/shopspring/decimal"

	"rosetree/portfolio/ledger"
)

func coinbaseRow(r record, row *Row) {
	row.date(r.get("Timestamp"))
	row.ID, row.Note = r.get("ID"), r.get("Notes")
	row.Currency = r.get("Price Currency", "Spot Price Currency")
	asset := r.get("Asset")
	row.Symbol = asset + "-" + row.Currency
	row.number(&row.Quantity, "quantity", r.get("Quantity Transacted"))
	row.null(&row.Amount, "subtotal", r.get("Subtotal"))
	row.number(&row.Fee, "fee", r.get("Fees and/or Spread", "Fees"))
	price := r.get("Price at Transaction", "Spot Price at Transaction")
	switch kind := strings.ToLower(r.get("Transaction Type")); kind {
	case "buy", "advanced trade buy", "advance trade buy":
		row.Type = ledger.Buy
	case "sell", "advanced trade sell", "advance trade sell":
		row.Type = ledger.Sell
	case "staking income", "rewards income", "reward income", "learning reward", "coinbase earn", "inflation reward":
		row.Type = ledger.Reward
	case "receive", "pro withdrawal", "exchange withdrawal":
		row.Type, row.Amount = ledger.TransferIn, decimal.NullDecimal{}
		row.Hint = "what the units cost is not in the file: enter the amount, or their profit stays unknown"
	case "send", "pro deposit", "exchange deposit":
		row.Type, row.Amount = ledger.TransferOut, decimal.NullDecimal{}
	case "deposit", "withdrawal":
		row.Type = map[string]ledger.Type{"deposit": ledger.Deposit, "withdrawal": ledger.Withdrawal}[kind]
		row.Amount = decimal.NewNullDecimal(row.Quantity)
		row.Currency, row.Symbol, row.Quantity = asset, "", decimal.Decimal{}
	case "convert":
		row.bad("a conversion names its second coin only in its note: enter it as a sale and a purchase")
	default:
		row.bad("transaction type %q is not known", kind)
	}
	if row.Type == ledger.Reward && !row.Amount.Valid {
		row.null(&row.Price, "price", price)
	}
}
