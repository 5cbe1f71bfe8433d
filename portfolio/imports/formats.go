package imports

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

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
	if err := checkText(data); err != nil {
		return nil, err
	}
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

// checkText refuses what PostgreSQL could not keep, and what would be taken for other letters than were meant.
func checkText(data []byte) error {
	if !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0 {
		return errors.New("the file is no text in UTF-8: save it again in that encoding")
	}
	return nil
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

// split makes a row of the units that a split added, for nothing. Where the instrument's own split is
// known, that one counts and the row is not needed: the caller sees to it.
func split(row *Row) {
	row.Type, row.Price, row.Amount = ledger.StockDividend, decimal.NullDecimal{}, decimal.NullDecimal{}
	row.Hint = SplitNote
	if row.Quantity.IsNegative() {
		row.bad("a reverse split that took %s units: enter it at the instrument", row.Quantity.Abs())
	}
}

// SplitNote marks a row that stands for a split.
const SplitNote = "a split: the units that it added, at no cost"
