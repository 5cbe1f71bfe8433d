package imports

import (
	"fmt"
	"strings"

	"github.com/shopspring/decimal"

	"rosetree/portfolio/ledger"
)

// format is one kind of file.
type format struct {
	name    string
	columns []string // of its header, enough to know it by; none for JSON
	parse   func(data []byte, columns []string) (*File, error)
}

// formats in the order in which a file is tried: those with the most telling header first.
var formats = []format{
	{"rosetree-json", nil, parseOwnJSON},
	{"ghostfolio-json", nil, parseGhostfolioJSON},
	{"rosetree-csv", []string{"executed_at", "type", "symbol", "quantity", "price", "amount", "currency"}, byRow(rosetreeRow)},
	{"ibkr-flex-csv", []string{"CurrencyPrimary", "Symbol", "Buy/Sell", "Quantity", "TradePrice"}, parseIBKR},
	{"ibkr-flex-cash", []string{"CurrencyPrimary", "Type", "Amount", "SettleDate"}, byRow(ibkrCashRow)},
	{"trading212", []string{"Action", "Time", "No. of shares", "Price / share"}, parseTrading212},
	{"coinbase", []string{"Timestamp", "Transaction Type", "Asset", "Quantity Transacted"}, byRow(coinbaseRow)},
	{"portfolio-performance", []string{"Date", "Type", "Value", "Transaction Currency", "Shares"}, byRow(performanceRow)},
	{"portfolio-performance-de", []string{"Datum", "Typ", "Wert", "Buchungswährung", "Stück"}, byRow(performanceRow)},
	{"degiro-account", []string{"Datum", "Omschrijving", "ISIN", "Order Id"}, parseDegiro},
	{"degiro-account-en", []string{"Date", "Time", "Product", "ISIN", "Description", "Order ID"}, parseDegiro},
	{"schwab", []string{"Date", "Action", "Symbol", "Fees & Comm", "Amount"}, byRow(schwabRow)},
	{"revolut-invest", []string{"Date", "Ticker", "Type", "Price per share", "Total Amount"}, byRow(revolutRow)},
	{"ghostfolio-csv", []string{"Date", "Code", "Currency", "Price", "Quantity", "Action"}, byRow(ghostfolioRow)},
}

// Formats are the names of all kinds of file that can be read.
func Formats() (names []string) {
	for _, f := range formats {
		names = append(names, f.name)
	}
	return names
}

// Parse reads a file of a format, or finds out which it is where name is "". Rows that cannot be read
// are in the result, with the reason.
func Parse(name string, data []byte) (*File, error) {
	for _, f := range formats {
		if name != "" && f.name != name {
			continue
		}
		file, err := f.parse(data, f.columns)
		if err == nil {
			file.Format = f.name
			finish(file)
			return file, nil
		}
		if name != "" {
			return nil, err
		}
	}
	if name != "" {
		return nil, fmt.Errorf("%q is none of the formats that can be read: %s", name, strings.Join(Formats(), ", "))
	}
	return nil, fmt.Errorf("the file is of no known format: map its columns, or name one of %s", strings.Join(Formats(), ", "))
}

// byRow reads a format whose lines stand alone.
func byRow(read func(record, *Row)) func([]byte, []string) (*File, error) {
	return func(data []byte, columns []string) (*File, error) {
		t, err := readTable(data, columns...)
		if err != nil {
			return nil, err
		}
		f := &File{}
		for _, r := range t.records() {
			row := Row{Line: r.line}
			read(r, &row)
			f.Rows = append(f.Rows, row)
		}
		return f, nil
	}
}

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

// rosetreeRow is a line of our own CSV.
func rosetreeRow(r record, row *Row) {
	row.date(r.get("executed_at"))
	row.Account, row.Type, row.Symbol, row.Currency = r.get("account"), ledger.Type(r.get("type")), r.get("symbol"), r.get("currency")
	row.number(&row.Quantity, "quantity", r.get("quantity"))
	row.null(&row.Price, "price", r.get("price"))
	row.null(&row.Amount, "amount", r.get("amount"))
	row.number(&row.Fee, "fee", r.get("fee"))
	row.number(&row.Tax, "tax", r.get("tax"))
	row.null(&row.Rate, "fx_rate", r.get("fx_rate"))
	row.Note, row.Pair, row.ID = r.get("note"), r.get("pair"), r.get("id")
}

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
		row.credit(ledger.Dividend, amount)
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

// split makes a row of the units that a split added, for nothing. Where the instrument's own split is
// known, that one counts and the row is not needed: the caller sees to it.
func split(row *Row) {
	row.Type, row.Price, row.Amount = ledger.StockDividend, decimal.NullDecimal{}, decimal.NullDecimal{}
	row.Hint = SplitNote
}

// SplitNote marks a row that stands for a split.
const SplitNote = "a split: the units that it added, at no cost"

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
		row.Symbol = ""
	case kind == "STOCK SPLIT":
		split(row)
	case strings.HasPrefix(kind, "TRANSFER"):
		row.Skip = "a transfer between the broker's own companies"
	default:
		row.bad("type %q is not known", r.get("Type"))
	}
}
