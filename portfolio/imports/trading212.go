package imports

import (
	"regexp"
	"strings"

	"github.com/shopspring/decimal"

	"rosetree/portfolio/ledger"
)

// parseTrading212 reads by header, because columns differ between exports. A split is a pair of rows.
func parseTrading212(data []byte, columns []string) (*File, error) {
	f, err := byRow(trading212Row)(data, columns)
	if err != nil {
		return nil, err
	}
	closed := map[string]*Row{}
	for i := range f.Rows {
		r := &f.Rows[i]
		switch {
		case r.Pair == "close":
			closed[r.Symbol] = r
		case r.Pair == "open" && closed[r.Symbol] == nil:
			r.bad("a split is opened that was not closed")
		case r.Pair == "open":
			joinSplit(r, closed[r.Symbol])
			delete(closed, r.Symbol)
		}
		r.Pair = ""
	}
	for _, r := range closed {
		r.Skip = ""
		r.bad("a split is closed that was not opened")
	}
	return f, nil
}

// joinSplit makes the opening row what the split added.
func joinSplit(r, before *Row) {
	added := r.Quantity.Abs().Sub(before.Quantity.Abs())
	if !added.IsPositive() {
		r.bad("a reverse split from %s to %s units: enter it at the instrument", before.Quantity.Abs(), r.Quantity.Abs())
		return
	}
	r.Quantity = added
	split(r)
}

// trading212Total is what the account was charged or credited. Older exports say the currency in the column's name: "Total (EUR)".
func trading212Total(r record) (total, currency string) {
	for _, name := range r.t.names {
		if m := totalIn.FindStringSubmatch(name); m != nil {
			return r.get(name), m[1]
		}
	}
	return r.get("Total"), r.get("Currency (Total)")
}

var totalIn = regexp.MustCompile(`^Total \(([A-Z]{3})\)$`)

func trading212Row(r record, row *Row) {
	row.date(r.get("Time"))
	row.ID, row.ISIN, row.Symbol, row.Name, row.Note = r.get("ID"), r.get("ISIN"), r.get("Ticker"), r.get("Name"), r.get("Notes")
	row.Currency = r.get("Currency (Price / share)")
	row.number(&row.Quantity, "shares", r.get("No. of shares"))
	row.null(&row.Price, "price", r.get("Price / share"))
	text, currency := trading212Total(r)
	var total decimal.Decimal
	row.number(&total, "total", text)
	action := strings.ToLower(r.get("Action"))
	sum := func(kind ledger.Type) {
		row.Type, row.Price, row.Quantity, row.Symbol, row.Currency = kind, decimal.NullDecimal{}, decimal.Decimal{}, "", currency
		row.Amount = decimal.NewNullDecimal(total)
	}
	switch {
	case strings.HasSuffix(action, "buy"):
		row.Type = ledger.Buy
	case strings.HasSuffix(action, "sell"):
		row.Type = ledger.Sell
	case strings.HasPrefix(action, "dividend"):
		if row.Type = ledger.Dividend; total.IsNegative() { // the price, which counts, has no sign
			row.bad("a dividend was taken back: enter it by hand")
		}
		if tax := r.get("Withholding tax"); r.get("Currency (Withholding tax)") == row.Currency {
			row.number(&row.Tax, "withholding tax", tax)
		}
	case action == "deposit":
		sum(ledger.Deposit)
	case action == "withdrawal":
		sum(ledger.Withdrawal)
	case strings.Contains(action, "interest"):
		sum(ledger.Interest)
		row.interest(total)
	case action == "stock split close":
		row.Pair, row.Skip = "close", "a side of a split: the other row counts"
	case action == "stock split open":
		row.Pair, row.Type = "open", ledger.StockDividend
	case action == "currency conversion":
		row.Skip = "an exchange of currencies"
	default:
		row.bad("action %q is not known", r.get("Action"))
	}
	fee, feeCurrency := r.get("Currency conversion fee"), r.get("Currency (Currency conversion fee)")
	if fee != "" && feeCurrency == row.Currency {
		row.number(&row.Fee, "fee", fee)
	} else if fee != "" {
		row.Hint = "a fee of " + fee + " " + feeCurrency + " is in another currency and not counted"
	}
}
