package portfolio

import (
	"cmp"
	"time"

	"github.com/shopspring/decimal"

	"rosetree/internal/api"
	"rosetree/portfolio/ledger"
)

// check holds a row of a portfolio with that base currency against the rules of its type (2).
func (e *entry) check(base string, now time.Time) error {
	rule, known := typeRules[e.Type]
	switch {
	case e.Type == "":
		return api.Invalid("type", "is missing: say buy, sell, dividend, …")
	case !known:
		return api.Invalid("type", "is none of buy, sell, dividend, interest, fee, tax, deposit, withdrawal, transfer_in, transfer_out, stock_dividend, return_of_capital, reward, adjustment")
	case rule.symbol == must && e.Symbol == "":
		return api.Invalid("symbol", "is missing: a %s needs one", e.Type)
	case rule.symbol == never && e.Symbol != "":
		return api.Invalid("symbol", "has no place in a %s", e.Type)
	case e.At.After(now.Add(rowsAhead)):
		return api.Invalid("executed_at", "is in the future")
	case e.Rate.Valid && !e.Rate.Decimal.IsPositive():
		return api.Invalid("fx_rate", "must be greater than 0")
	case e.ratesItself(base):
		return api.Invalid("fx_rate", "must be 1 or left out: %s is the portfolio's own currency", base)
	}
	return e.checkNumbers(rule)
}

// ratesItself tells whether the recorded rate is of the base currency into itself and not 1.
func (e *entry) ratesItself(base string) bool {
	return e.Rate.Valid && e.Currency == base && cmp.Or(e.fxBase, base) == base && !e.Rate.Decimal.Equal(decimal.NewFromInt(1))
}

func (e *entry) checkNumbers(rule typeRule) error {
	units := rule.quantity
	if e.Symbol == "" && units != perUnit {
		units = never // money alone moves
	}
	switch {
	case units == must && !e.Quantity.IsPositive() && e.Type != ledger.Adjustment:
		return api.Invalid("quantity", "must be greater than 0")
	case units == never && !e.Quantity.IsZero():
		return api.Invalid("quantity", "has no place in this %s", e.Type)
	case e.Price.Valid && e.Amount.Valid:
		return api.Invalid("amount", "give price or amount, not both")
	case e.Price.Valid && e.Quantity.IsZero() && e.Type != ledger.Adjustment:
		return api.Invalid("price", "needs a quantity; for a sum of money give amount")
	case (rule.value == must || units == never) && !e.Price.Valid && !e.Amount.Valid && e.Type != ledger.Fee && e.Type != ledger.Tax:
		if units == must {
			return api.Invalid("price", "is missing: give price or amount")
		}
		return api.Invalid("amount", "is missing")
	case e.Type == ledger.Fee && !e.Amount.Valid && e.Fee.IsZero(), e.Type == ledger.Tax && !e.Amount.Valid && e.Tax.IsZero():
		return api.Invalid("amount", "is missing")
	}
	return nil
}

// need says whether a field must, may or must not be there.
type need int

const (
	may need = iota
	must
	never
	perUnit // may be there beside a price: money per unit held
)

type typeRule struct{ symbol, quantity, value need }

var typeRules = map[ledger.Type]typeRule{
	ledger.Buy:             {must, must, must},
	ledger.Sell:            {must, must, must},
	ledger.Dividend:        {may, perUnit, must},
	ledger.Interest:        {may, never, must},
	ledger.Fee:             {may, never, may},
	ledger.Tax:             {may, never, may},
	ledger.Deposit:         {never, never, must},
	ledger.Withdrawal:      {never, never, must},
	ledger.TransferIn:      {may, must, may},
	ledger.TransferOut:     {may, must, may},
	ledger.StockDividend:   {must, must, may},
	ledger.ReturnOfCapital: {must, perUnit, must},
	ledger.Reward:          {may, must, may},
	ledger.Adjustment:      {may, must, may},
}
