// Package ledger replays transactions into positions, exactly: what is held, what it cost, what was
// earned. It is pure: no clock, no database, no current prices. The rules are those of
// docs/portfolio-rules.md; numbers in comments are its sections.
package ledger

import (
	"cmp"
	"time"

	"github.com/shopspring/decimal"

	"rosetree/prices"
)

// Type is a kind of transaction. Quantity and money are never negative: the type gives the sign (2).
type Type string

// The types of rule 2.
const (
	Buy             Type = "buy"
	Sell            Type = "sell"
	Dividend        Type = "dividend"
	Interest        Type = "interest"
	Fee             Type = "fee"
	Tax             Type = "tax"
	Deposit         Type = "deposit"
	Withdrawal      Type = "withdrawal"
	TransferIn      Type = "transfer_in"
	TransferOut     Type = "transfer_out"
	StockDividend   Type = "stock_dividend"    // units for nothing, or for their Amount as income
	ReturnOfCapital Type = "return_of_capital" // lowers the cost; what exceeds it is realised
	Reward          Type = "reward"            // as a stock dividend: staking, bonus shares
	Adjustment      Type = "adjustment"        // states what is held: Quantity, and Amount as its cost; no profit
)

// Transaction is one row of the ledger as it stands now.
type Transaction struct {
	ID       string
	Account  string
	Seq      int64 // order of entry
	At       time.Time
	Type     Type
	Symbol   prices.Symbol       // "" for what concerns an account alone
	Quantity decimal.Decimal     // in the units of that day: splits come later
	Price    decimal.NullDecimal // per unit; else Amount is the gross
	Amount   decimal.NullDecimal
	Currency string
	Fee, Tax decimal.Decimal
	Rate     decimal.NullDecimal // recorded: base units for one of Currency
	Pair     string              // joins the two sides of an internal transfer, or dividend and reinvestment
}

// order is rule 2's: by time, then by entry. Splits stand at the start of their day, before all of it.
func order(a, b *Transaction) int {
	return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Seq, b.Seq), cmp.Compare(a.ID, b.ID))
}

// Gross is quantity · price · multiplier, or the amount.
func (t *Transaction) Gross(multiplier decimal.Decimal) decimal.Decimal {
	if t.Amount.Valid {
		return t.Amount.Decimal
	}
	if t.Price.Valid {
		return t.Quantity.Mul(t.Price.Decimal).Mul(multiplier)
	}
	return decimal.Zero
}

// hasValue tells whether the row says what its units were worth.
func (t *Transaction) hasValue() bool { return t.Amount.Valid || t.Price.Valid }

// Method is how sold units find their cost (3).
type Method string

const (
	Average Method = "average"
	FIFO    Method = "fifo"
)

// Costs says whether fees and taxes are part of cost and proceeds (3).
type Costs string

const (
	Included Costs = "included"
	Excluded Costs = "excluded"
)

// Account is what the ledger must know of an account.
type Account struct {
	ID         string
	Name       string
	Currency   string
	Method     Method // "" follows the portfolio
	Short      bool   // a sale beyond what is held opens a short position
	TracksCash bool
}

// Options are a view's settings: the portfolio's own, or a request's.
type Options struct {
	Base   string
	Method Method
	Force  bool // Method also where an account has its own
	Costs  Costs
	AsOf   time.Time // rows later than this do not count; zero counts all
	Until  time.Time // splits later than this are not known yet; zero is AsOf
}

func (o Options) splitsUntil() time.Time {
	if o.Until.IsZero() {
		return o.AsOf
	}
	return o.Until
}

func (o Options) method(a Account) Method {
	if o.Force || a.Method == "" {
		return o.Method
	}
	return a.Method
}

// Rates answers what one unit of from was worth in to on a day: that day's rate, or the last of at
// most seven days before (4). ok is false where there is none: never 1, never a later day's rate.
type Rates interface {
	Rate(from, to string, day time.Time) (rate decimal.Decimal, stale, ok bool)
}

// Pair names a missing rate, as an exchange rate's symbol is written.
func Pair(from, to string) string { return from + "-" + to }
