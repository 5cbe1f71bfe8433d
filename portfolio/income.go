package portfolio

import (
	"context"
	"maps"
	"slices"

	"rosetree/auth"
	"rosetree/internal/api"
	"rosetree/portfolio/ledger"
)

// Income is what came in a month, gross, and what was withheld from it; in the base currency.
type Income struct {
	Month     string `json:"month"` // "2024-05"
	Dividends Figure `json:"dividends"`
	Interest  Figure `json:"interest"`
	Other     Figure `json:"other"` // rewards, stock dividends
	Taxes     Figure `json:"taxes"`
	Total     Figure `json:"total"` // gross
}

type incomeQuery struct {
	which
	rangeQuery
}

type incomeView struct {
	Currency string   `json:"currency"`
	Months   []Income `json:"months"`
	Total    Figure   `json:"total"`
	Missing  []string `json:"missing"`
}

type monthly struct{ dividends, interest, other, taxes ledger.Amount }

func (m *monthly) total() ledger.Amount { return m.dividends.Add(m.interest).Add(m.other) }

// income lists income by month.
func (s *Service) income(ctx context.Context, p auth.Principal, in incomeQuery) (out incomeView, err error) {
	if in.Range == "" && in.From == "" && in.To == "" {
		in.Range = "ALL"
	}
	past, err := s.pastOf(ctx, p, in.Portfolio, in.rangeQuery)
	if err != nil {
		return out, err
	}
	if past.share != nil && past.share.hide {
		return out, api.Forbidden("this portfolio is shared without amounts")
	}
	months := map[string]*monthly{}
	for _, t := range past.view.rows {
		if i := past.index(t.At); i >= 1 && i < len(past.value) && past.view.scope.has(t) {
			past.view.earn(months, t)
		}
	}
	out = incomeView{Currency: past.view.base, Months: []Income{}, Missing: []string{}}
	sum := ledger.Amount{}
	for _, key := range slices.Sorted(maps.Keys(months)) {
		m, base := months[key], past.view.base
		sum = sum.Add(m.total())
		out.Months = append(out.Months, Income{Month: key, Dividends: money(m.dividends, base), Interest: money(m.interest, base), Other: money(m.other, base),
			Taxes: money(m.taxes, base), Total: money(m.total(), base)})
	}
	out.Total, out.Missing = money(sum, past.view.base), union(out.Missing, sum.Missing)
	return out, nil
}

func (v *ledgerView) earn(months map[string]*monthly, t *ledger.Transaction) {
	switch t.Type {
	case ledger.Dividend, ledger.Interest, ledger.Reward, ledger.StockDividend:
	default:
		return
	}
	key := t.At.UTC().Format("2006-01")
	if months[key] == nil {
		months[key] = &monthly{}
	}
	m, rate := months[key], v.rateOn(t.Currency, t.At)
	if t.Rate.Valid {
		rate = ledger.Amount{Value: ledger.FromDecimal(t.Rate.Decimal)}
	}
	gross := times(ledger.Amount{Value: ledger.FromDecimal(t.Gross(v.multiplier(t.Symbol)))}, rate)
	m.taxes = m.taxes.Add(times(ledger.Amount{Value: ledger.FromDecimal(t.Tax)}, rate))
	switch t.Type {
	case ledger.Dividend:
		m.dividends = m.dividends.Add(gross)
	case ledger.Interest:
		m.interest = m.interest.Add(gross)
	default:
		m.other = m.other.Add(gross)
	}
}
