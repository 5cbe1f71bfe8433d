// Package imports reads the export files of brokers and other trackers into rows of the ledger. It is
// pure: it knows no database and no portfolio. What a file says wrongly becomes a row with a reason,
// never a lost row and never a guess.
package imports

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"rosetree/portfolio/ledger"
	"rosetree/prices"
)

// Row is one line of a file as the ledger would take it.
type Row struct {
	Line     int    // in the file, from 1
	Account  string // name; "" is the account that the user chose
	Type     ledger.Type
	Symbol   string
	ISIN     string
	Name     string
	Quantity decimal.Decimal
	Price    decimal.NullDecimal
	Amount   decimal.NullDecimal
	Currency string
	Fee, Tax decimal.Decimal
	Rate     decimal.NullDecimal
	RateBase string // the currency that Rate is into, as far as the file says it; "" is taken for the portfolio's
	At       time.Time
	Note     string
	ID       string // the source's own; "" where it has none
	Key      string // what makes the row the same when the file is read again; set by Parse
	Pair     string // joins rows that belong together

	Bad  string // why the row cannot be taken
	Skip string // why the row is none of the ledger's business
	Hint string // what the user should know of it
}

// File is what a file holds.
type File struct {
	Format   string
	Rows     []Row
	Accounts []Account // where the file describes its accounts

	Instruments []Instrument // those that only their owner knows, where the file describes them
}

// Instrument is an instrument that only its owner knows, with the prices that they gave it.
type Instrument struct {
	Symbol, Name, Currency, ISIN string
	Kind                         prices.Kind
	Multiplier                   decimal.Decimal
	Days                         []time.Time
	Closes                       []decimal.Decimal
}

// Account is an account as a file describes it.
type Account struct {
	Name, Currency, Method, Oversell string
	TracksCash                       bool
}

// number sets a decimal from a cell; a cell that is none makes the row bad.
func (r *Row) number(to *decimal.Decimal, what, cell string) {
	d, err := parseNumber(cell)
	if err != nil {
		r.bad("%s %q is no number", what, cell)
		return
	}
	*to = d
}

func (r *Row) null(to *decimal.NullDecimal, what, cell string) {
	if strings.TrimSpace(cell) == "" {
		return
	}
	r.number(&to.Decimal, what, cell)
	to.Valid = true
}

// date sets the time; layouts are tried in order.
func (r *Row) date(cell string, layouts ...string) {
	t, ok := parseDate(cell, layouts...)
	if !ok {
		r.bad("date %q cannot be read", cell)
	}
	r.At = t
}

// Tell gives the row a hint, unless it has one.
func (r *Row) Tell(format string, args ...any) {
	if r.Hint == "" {
		r.Hint = fmt.Sprintf(format, args...)
	}
}

func (r *Row) bad(format string, args ...any) {
	if r.Bad == "" {
		r.Bad = fmt.Sprintf(format, args...)
	}
}

// debit makes the row a sum that goes out, of a broker that signs such sums. One that comes in gives back what was
// booked before, for which the ledger has no type: without its sign it would be counted once more.
func (r *Row) debit(kind ledger.Type, amount decimal.Decimal) {
	if r.Type = kind; amount.IsPositive() {
		r.bad("a %s of %s was given back: enter it by hand", kind, amount)
	}
}

// refuseSigns is for our own files, which have none.
func (r *Row) refuseSigns() {
	for _, d := range []decimal.Decimal{r.Quantity, r.Price.Decimal, r.Amount.Decimal, r.Fee, r.Tax} {
		if d.IsNegative() {
			r.bad("%s is negative: the type gives the sign", d)
		}
	}
}

// transfer makes the row a sum of cash that comes in from outside, or goes out.
func (r *Row) transfer(amount decimal.Decimal) {
	if r.Type, r.Symbol = ledger.Deposit, ""; amount.IsNegative() {
		r.Type = ledger.Withdrawal
	}
}

// interest makes the row interest that was received, or that was paid.
func (r *Row) interest(amount decimal.Decimal) {
	if r.Type = ledger.Interest; amount.IsNegative() {
		r.Type = ledger.Fee
	}
}

// bringing are the types of what comes in: units, money, or both. No broker writes them with a minus.
var bringing = []ledger.Type{ledger.Buy, ledger.Dividend, ledger.Interest, ledger.Deposit, ledger.TransferIn, ledger.StockDividend, ledger.ReturnOfCapital, ledger.Reward}

// unsign makes what a broker writes with a sign positive: the type says the direction. What comes in with a minus takes
// back what was booked before, as in debit. Only what a purchase cost may have one.
func (r *Row) unsign() {
	money := r.Type != ledger.Buy && (r.Amount.Decimal.IsNegative() || r.Price.Decimal.IsNegative())
	if slices.Contains(bringing, r.Type) && (r.Quantity.IsNegative() || money) {
		r.bad("a %s was taken back: enter it by hand", r.Type)
	}
	r.Quantity, r.Fee, r.Tax = r.Quantity.Abs(), r.Fee.Abs(), r.Tax.Abs()
	r.Price.Decimal, r.Amount.Decimal = r.Price.Decimal.Abs(), r.Amount.Decimal.Abs()
}

// finish gives every row its key (2): the source's id, or a hash of what the row says with its ordinal
// among equal rows, so that two equal fills stay two and a file read twice adds nothing.
func finish(f *File) {
	seen, taken := map[string]int{}, map[string]bool{}
	for i := range f.Rows {
		r := &f.Rows[i]
		r.unsign()
		r.pence()
		if r.Price.Valid && r.Amount.Valid {
			r.prefer()
		}
		base := Key(f.Format, r.ID)
		if r.ID == "" {
			text := fmt.Sprint(r.Account, "|", r.Type, "|", r.Symbol, "|", r.Quantity, "|", r.Price.Decimal, "|", r.Amount.Decimal, "|", r.Currency, "|", r.Fee, "|", r.Tax, "|", r.At.UnixNano(), "|", r.Note)
			sum := sha256.Sum256([]byte(text))
			base = f.Format + ":#" + hex.EncodeToString(sum[:12])
		}
		key := base
		for taken[key] {
			seen[base]++
			key = fmt.Sprintf("%s~%d", base, seen[base])
		}
		taken[key] = true
		r.Key = key
	}
}

// Key is what a row with an id of its source's is known by.
func Key(format, id string) string { return format + ":" + id }

// prefer keeps one of price and amount: the price where it explains the amount, else the amount, which
// is what the account was really charged.
func (r *Row) prefer() {
	if !r.Quantity.IsZero() && r.Quantity.Mul(r.Price.Decimal).Round(2).Equal(r.Amount.Decimal.Round(2)) {
		r.Amount = decimal.NullDecimal{}
		return
	}
	r.Price = decimal.NullDecimal{}
}

// pence turns hundredths into the currency that they are of: GBX, ZAC, ILA.
func (r *Row) pence() {
	whole, ok := map[string]string{"GBX": "GBP", "GBp": "GBP", "ZAC": "ZAR", "ZAc": "ZAR", "ILA": "ILS"}[r.Currency]
	if !ok {
		return
	}
	r.Currency = whole
	r.Price.Decimal, r.Amount.Decimal = r.Price.Decimal.Shift(-2), r.Amount.Decimal.Shift(-2)
	r.Fee, r.Tax = r.Fee.Shift(-2), r.Tax.Shift(-2)
}
