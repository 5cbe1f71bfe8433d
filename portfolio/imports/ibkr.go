package imports

import (
	"regexp"
	"strings"

	"github.com/shopspring/decimal"

	"rosetree/portfolio/ledger"
)

// parseIBKR reads the trades of a Flex query. Orders repeat their executions, and a cancelled trade
// repeats the one that it takes back.
func parseIBKR(data []byte, columns []string) (*File, error) {
	f, err := byRow(ibkrRow)(data, columns)
	if err != nil {
		return nil, err
	}
	base := rateBase(f.Rows)
	cancelled := map[string]bool{}
	for i := range f.Rows {
		r := &f.Rows[i]
		r.RateBase = base
		if r.Pair != "" {
			cancelled[r.Pair] = true
			r.Pair = ""
		}
	}
	for i := range f.Rows {
		if r := &f.Rows[i]; r.ID != "" && cancelled[r.ID] {
			r.Skip = "a trade that was cancelled"
		}
	}
	return f, nil
}

// rateBase is the currency of the account that the rates are into: the one whose own rate is 1. "" where no row is in it.
func rateBase(rows []Row) string {
	for _, r := range rows {
		if r.Rate.Valid && r.Rate.Decimal.Equal(decimal.NewFromInt(1)) {
			return r.Currency
		}
	}
	return ""
}

func ibkrRow(r record, row *Row) {
	when := r.get("DateTime")
	if when == "" {
		when = r.get("TradeDate")
	}
	row.date(when, "20060102;150405", "2006-01-02;15:04:05", "20060102")
	row.Symbol, row.ISIN, row.Name, row.Currency = r.get("Symbol"), r.get("ISIN"), r.get("Description"), r.get("CurrencyPrimary")
	row.ID = r.get("TradeID")
	row.number(&row.Quantity, "quantity", r.get("Quantity"))
	row.null(&row.Price, "price", r.get("TradePrice"))
	row.number(&row.Tax, "taxes", r.get("Taxes"))
	row.number(&row.Fee, "commission", r.get("IBCommission"))
	row.null(&row.Rate, "FXRateToBase", r.get("FXRateToBase"))
	if row.Rate.Valid && !row.Rate.Decimal.IsPositive() {
		row.Rate = decimal.NullDecimal{}
	}
	if c := r.get("IBCommissionCurrency"); c != "" && c != row.Currency && !row.Fee.IsZero() {
		row.Hint = "the commission was " + row.Fee.Abs().String() + " " + c + ": it is in another currency and not counted"
		row.Fee = decimal.Decimal{}
	}
	side := strings.ToUpper(r.get("Buy/Sell"))
	switch {
	case strings.EqualFold(r.get("LevelOfDetail"), "ORDER"):
		row.Skip = "an order: its executions are in the file"
	case strings.Contains(side, "(CA.)") || strings.EqualFold(r.get("TransactionType"), "TradeCancel"):
		row.Skip, row.Pair = "a cancellation", r.get("OrigTradeID")
	case r.get("AssetClass") == "CASH" || r.get("AssetClass") == "" && row.ISIN == "" && regexp.MustCompile(`^[A-Z]{3}\.[A-Z]{3}$`).MatchString(row.Symbol):
		row.Skip = "an exchange of currencies"
	case side == "BUY":
		row.Type = ledger.Buy
	case side == "SELL":
		row.Type = ledger.Sell
	default:
		row.bad("side %q is neither BUY nor SELL", side)
	}
	if m, err := parseNumber(r.get("Multiplier")); err == nil && m.GreaterThan(decimal.NewFromInt(1)) && row.Price.Valid {
		row.Amount = decimal.NewNullDecimal(row.Quantity.Mul(row.Price.Decimal).Mul(m))
		row.Price = decimal.NullDecimal{}
	}
}

func ibkrCashRow(r record, row *Row) {
	row.date(r.get("SettleDate", "DateTime"), "20060102;150405", "20060102")
	row.Symbol, row.ISIN, row.Note, row.Currency, row.ID = r.get("Symbol"), r.get("ISIN"), r.get("Description"), r.get("CurrencyPrimary"), r.get("TransactionID")
	var amount decimal.Decimal
	row.number(&amount, "amount", r.get("Amount"))
	row.Amount = decimal.NewNullDecimal(amount)
	kind := strings.ToLower(r.get("Type"))
	switch {
	case strings.Contains(kind, "withholding"):
		row.debit(ledger.Tax, amount)
	case strings.Contains(kind, "dividend"), strings.Contains(kind, "in lieu"):
		row.Type = ledger.Dividend
	case strings.Contains(kind, "interest"):
		row.interest(amount)
		row.Symbol = ""
	case strings.Contains(kind, "fee"), strings.Contains(kind, "commission"):
		row.debit(ledger.Fee, amount)
		row.Symbol = ""
	case strings.Contains(kind, "deposit"), strings.Contains(kind, "withdrawal"):
		row.transfer(amount)
	default:
		row.bad("type %q is not known", r.get("Type"))
	}
}
