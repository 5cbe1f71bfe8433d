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
	cancelled := map[string]bool{}
	for i := range f.Rows {
		if r := &f.Rows[i]; r.Pair != "" {
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
		row.credit(ledger.Dividend, amount)
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

func trading212Row(r record, row *Row) {
	row.date(r.get("Time"))
	row.ID, row.ISIN, row.Symbol, row.Name, row.Note = r.get("ID"), r.get("ISIN"), r.get("Ticker"), r.get("Name"), r.get("Notes")
	row.Currency = r.get("Currency (Price / share)")
	row.number(&row.Quantity, "shares", r.get("No. of shares"))
	row.null(&row.Price, "price", r.get("Price / share"))
	total, currency := r.get("Total", "Total (EUR)", "Total (GBP)"), r.get("Currency (Total)")
	action := strings.ToLower(r.get("Action"))
	sum := func(kind ledger.Type) {
		row.Type, row.Price, row.Quantity, row.Symbol, row.Currency = kind, decimal.NullDecimal{}, decimal.Decimal{}, "", currency
		row.null(&row.Amount, "total", total)
	}
	switch {
	case strings.HasSuffix(action, "buy"):
		row.Type = ledger.Buy
	case strings.HasSuffix(action, "sell"):
		row.Type = ledger.Sell
	case strings.HasPrefix(action, "dividend"):
		row.Type = ledger.Dividend
		if tax := r.get("Withholding tax"); r.get("Currency (Withholding tax)") == row.Currency {
			row.number(&row.Tax, "withholding tax", tax)
		}
	case action == "deposit":
		sum(ledger.Deposit)
	case action == "withdrawal":
		sum(ledger.Withdrawal)
	case strings.Contains(action, "interest"):
		sum(ledger.Interest)
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

var performanceTypes = map[string]ledger.Type{
	"buy": ledger.Buy, "sell": ledger.Sell, "dividend": ledger.Dividend, "interest": ledger.Interest, "deposit": ledger.Deposit, "removal": ledger.Withdrawal,
	"fees": ledger.Fee, "taxes": ledger.Tax, "delivery (inbound)": ledger.TransferIn, "delivery (outbound)": ledger.TransferOut, "interest charge": ledger.Fee,
	"transfer (inbound)": ledger.TransferIn, "transfer (outbound)": ledger.TransferOut,
	"kauf": ledger.Buy, "verkauf": ledger.Sell, "dividende": ledger.Dividend, "zinsen": ledger.Interest, "einlage": ledger.Deposit, "entnahme": ledger.Withdrawal,
	"gebühren": ledger.Fee, "steuern": ledger.Tax, "einlieferung": ledger.TransferIn, "auslieferung": ledger.TransferOut, "zinsbelastung": ledger.Fee,
	"umbuchung (eingang)": ledger.TransferIn, "umbuchung (ausgang)": ledger.TransferOut,
}

// performanceRow is a line of Portfolio Performance, in English or German. Value is net: what was
// charged or credited; the gross is what it was before fees and taxes.
func performanceRow(r record, row *Row) {
	row.date(r.get("Date", "Datum"), "2006-01-02T15:04", "2006-01-02T15:04:05", "02.01.2006 15:04", "02.01.2006")
	row.Currency = r.get("Transaction Currency", "Buchungswährung")
	row.Symbol, row.ISIN, row.Name = r.get("Ticker Symbol", "Ticker-Symbol"), r.get("ISIN"), r.get("Security Name", "Wertpapiername")
	row.Note = r.get("Note", "Notiz")
	if row.Symbol == "" {
		row.Symbol = row.ISIN
	}
	row.number(&row.Quantity, "shares", r.get("Shares", "Stück"))
	row.number(&row.Fee, "fees", r.get("Fees", "Gebühren"))
	row.number(&row.Tax, "taxes", r.get("Taxes", "Steuern"))
	var value decimal.Decimal
	row.number(&value, "value", r.get("Value", "Wert"))
	kind, ok := performanceTypes[strings.ToLower(r.get("Type", "Typ"))]
	if !ok {
		row.bad("type %q is not known", r.get("Type", "Typ"))
		return
	}
	row.Type = kind
	gross, costs := value.Abs(), row.Fee.Abs().Add(row.Tax.Abs())
	switch kind {
	case ledger.Buy, ledger.TransferIn:
		gross = gross.Sub(costs)
	case ledger.Sell, ledger.Dividend, ledger.Interest:
		gross = gross.Add(costs)
	case ledger.Fee:
		row.Fee = decimal.Decimal{}
	case ledger.Tax:
		row.Tax = decimal.Decimal{}
	}
	row.Amount = decimal.NewNullDecimal(gross)
	switch kind {
	case ledger.Dividend, ledger.Interest, ledger.Fee, ledger.Tax, ledger.Deposit, ledger.Withdrawal:
		row.Quantity = decimal.Decimal{}
		if kind == ledger.Deposit || kind == ledger.Withdrawal || kind == ledger.Interest {
			row.Symbol = ""
		}
	case ledger.TransferOut:
		row.Amount = decimal.NullDecimal{}
	}
}

// One trade of DEGIRO is two to four rows that share an order: the trade, with quantity and price only in
// its description, its costs, and the two sides of a currency exchange.
var degiroTrade = regexp.MustCompile(`(?i)^(koop|verkoop|buy|sell|kauf|verkauf|achat|vente)\s+([\d.,' ]+)\s+.*?@\s*([\d.,' ]+)\s*([A-Z]{3})`)

func parseDegiro(data []byte, columns []string) (*File, error) {
	t, err := readTable(data, columns...)
	if err != nil {
		return nil, err
	}
	f := &File{}
	trades := map[string]int{} // by order: where the trade is
	for _, r := range t.records() {
		row, order := Row{Line: r.line}, r.get("Order Id", "Order ID")
		degiroRow(r, &row)
		if row.Type == ledger.Fee && row.Bad == "" && order != "" {
			if i, ok := trades[order]; ok && f.Rows[i].Currency == row.Currency {
				f.Rows[i].Fee = f.Rows[i].Fee.Add(row.Amount.Decimal.Abs())
				row.Skip = "a cost of its order: counted there"
			}
		}
		if (row.Type == ledger.Buy || row.Type == ledger.Sell) && order != "" {
			trades[order] = len(f.Rows)
		}
		f.Rows = append(f.Rows, row)
	}
	return f, nil
}

func degiroRow(r record, row *Row) {
	row.date(r.get("Datum", "Date")+" "+r.get("Tijd", "Time"), "02-01-2006 15:04")
	row.Symbol, row.ISIN, row.Name = r.get("ISIN"), r.get("ISIN"), r.get("Product")
	text := r.get("Omschrijving", "Description")
	row.Note = text
	change := columnAfter(r, "Mutatie", "Change")
	row.Currency = r.get("Mutatie", "Change")
	var amount decimal.Decimal
	row.number(&amount, "amount", change)
	row.Amount = decimal.NewNullDecimal(amount)
	lower := strings.ToLower(text)
	if m := degiroTrade.FindStringSubmatch(text); m != nil {
		row.number(&row.Quantity, "quantity", m[2])
		row.null(&row.Price, "price", m[3])
		row.Currency = m[4]
		row.Type = ledger.Buy
		if amount.IsPositive() {
			row.Type = ledger.Sell
		}
		return
	}
	switch {
	case strings.Contains(lower, "dividendbelasting") || strings.Contains(lower, "dividend tax"):
		row.debit(ledger.Tax, amount)
	case strings.Contains(lower, "dividend"):
		row.credit(ledger.Dividend, amount)
	case strings.Contains(lower, "transactiekosten") || strings.Contains(lower, "transaction and/or third") || strings.Contains(lower, "kosten") || strings.Contains(lower, "fee"):
		row.debit(ledger.Fee, amount)
	case strings.Contains(lower, "rente") || strings.Contains(lower, "interest"):
		row.interest(amount)
		row.Symbol = ""
	case strings.Contains(lower, "storting"), strings.Contains(lower, "deposit"), strings.Contains(lower, "withdrawal"): // and terugstorting, which goes out
		row.transfer(amount)
	case strings.Contains(lower, "valuta") || strings.Contains(lower, "fx ") || strings.Contains(lower, "cash sweep"):
		row.Skip = "an exchange of currencies, or a move between accounts of the broker"
	default:
		row.bad("what %q means is not known", text)
	}
}

// columnAfter is the unnamed column that follows a named one: DEGIRO writes the currency under the name
// and the amount beside it.
func columnAfter(r record, names ...string) string {
	for _, name := range names {
		if i, ok := r.t.header[normal(name)]; ok {
			return r.at(i + 1)
		}
	}
	return ""
}
