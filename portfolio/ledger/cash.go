package ledger

import (
	"slices"

	"github.com/shopspring/decimal"
)

// Money is what an account earned and paid apart from instruments, and its cash.
type Money struct {
	Account string
	Cash    map[string]decimal.Decimal // by currency; nil where the account does not track it

	Income, Fees, Taxes, Charges Amount // of rows without a symbol, in the base currency
}

// replayMoney books an account's cash from all its rows, and the income and costs of those without a symbol.
func replayMoney(account Account, rows []*Transaction, multiplier func(*Transaction) decimal.Decimal, rates Rates, opts Options) *Money {
	m := &Money{Account: account.ID}
	if account.TracksCash {
		m.Cash = map[string]decimal.Decimal{}
	}
	rows = counted(rows, opts.AsOf)
	slices.SortFunc(rows, order)
	for _, t := range rows {
		gross := t.Gross(multiplier(t))
		if m.Cash != nil {
			m.Cash[t.Currency] = CashAfter(m.Cash[t.Currency], t, gross)
		}
		if t.Symbol == "" {
			m.book(t, gross, rates, opts.Base)
		}
	}
	return m
}

// CashAfter is an account's balance in t's currency after t.
func CashAfter(balance decimal.Decimal, t *Transaction, gross decimal.Decimal) decimal.Decimal {
	if t.Type == Adjustment && t.Symbol == "" {
		return gross
	}
	return balance.Add(CashFlow(t, gross))
}

// CashFlow is what t brings to its account's cash (negative: takes), an adjustment apart.
func CashFlow(t *Transaction, gross decimal.Decimal) decimal.Decimal {
	costs := t.Fee.Add(t.Tax)
	switch t.Type {
	case Buy, Fee, Tax, Withdrawal:
		return gross.Add(costs).Neg()
	case Sell, Dividend, Interest, Deposit, ReturnOfCapital:
		return gross.Sub(costs)
	}
	if t.Symbol != "" { // units moved; only the costs are cash
		return costs.Neg()
	}
	switch t.Type {
	case TransferIn, Reward, StockDividend:
		return gross.Sub(costs)
	case TransferOut:
		return gross.Add(costs).Neg()
	}
	return costs.Neg()
}

func (m *Money) book(t *Transaction, gross decimal.Decimal, rates Rates, base string) {
	rate := find(rates, t.Currency, base, t.At)
	if t.Rate.Valid {
		rate = lookup{rate: t.Rate.Decimal}
	}
	amount := lookupAmount(rate)
	fee, tax := t.Fee, t.Tax
	switch t.Type {
	case Dividend, Interest, Reward, StockDividend, ReturnOfCapital:
		m.Income = m.Income.Add(amount(gross))
	case Fee:
		fee = fee.Add(gross)
	case Tax:
		tax = tax.Add(gross)
	}
	m.Fees, m.Taxes = m.Fees.Add(amount(fee)), m.Taxes.Add(amount(tax))
	m.Charges = m.Charges.Add(amount(fee)).Add(amount(tax))
}
