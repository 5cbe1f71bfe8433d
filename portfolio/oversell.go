package portfolio

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"rosetree/internal/api"
	"rosetree/portfolio/ledger"
	"rosetree/prices"
)

func touchedBy(e, old *entry) (symbols []prices.Symbol) {
	for _, x := range []*entry{e, old} {
		if x != nil && x.Symbol != "" && !slices.Contains(symbols, x.Symbol) {
			symbols = append(symbols, x.Symbol)
		}
	}
	return symbols
}

// checkHoldings replays the chain with and without the write: what may not be short must not become so,
// on that day or on any later one. What an import left oversold may stay as it is.
func (s *Service) checkHoldings(ctx context.Context, tx pgx.Tx, st settings, accounts []Account, symbol prices.Symbol, e, old *entry) error {
	l, err := ledgerOf(ctx, tx, accounts, `portfolio_id = $1 AND symbol = $2`, st.id, symbol)
	if err != nil {
		return err
	}
	before := s.missing(l, symbol, st)
	if old != nil {
		l.Remove(old.ID)
	}
	if !e.deleted {
		t := e.Transaction
		if old == nil {
			t.Seq = 1 << 62 // it will be the last entered
		}
		l.Put(&t)
	}
	for key, now := range s.missing(l, symbol, st) {
		if now.Missing.GreaterThan(before[key].Missing) {
			return &api.Problem{Status: 422, Code: "insufficient_quantity", Field: "quantity",
				Message: fmt.Sprintf("%s more %s would be sold on %s than the account holds", now.Missing, symbol, now.At.Format(time.DateOnly))}
		}
	}
	return nil
}

// ledgerOf is what the transaction sees of the rows for which a condition holds. Its $1 is the portfolio.
func ledgerOf(ctx context.Context, tx pgx.Tx, accounts []Account, condition string, args ...any) (*ledger.Ledger, error) {
	rows, err := tx.Query(ctx, `SELECT `+ledgerColumns+` FROM app.transactions WHERE deleted_at IS NULL AND `+condition, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	c := &contents{}
	if err := c.scanRows(rows); err != nil {
		return nil, err
	}
	return ledger.New(ledgerAccounts(accounts), c.rows), nil
}

// missing is how many units each account lacks.
func (s *Service) missing(l *ledger.Ledger, symbol prices.Symbol, st settings) map[string]ledger.Oversold {
	lacks := map[string]ledger.Oversold{}
	inst := func(symbol prices.Symbol) prices.Instrument { i, _ := s.market.Instrument(symbol); return i }
	for _, p := range l.ReplaySymbol(symbol, inst, ledger.Table{}, ledger.Options{Base: st.base, Method: ledger.FIFO, Costs: ledger.Included}) {
		for _, o := range p.Oversold {
			sum, seen := lacks[p.Account]
			if !seen {
				sum = o
				sum.Missing = decimal.Decimal{}
			}
			sum.Missing = sum.Missing.Add(o.Missing)
			lacks[p.Account] = sum
		}
	}
	return lacks
}

func ledgerAccounts(list []Account) []ledger.Account {
	out := make([]ledger.Account, len(list))
	for i, a := range list {
		out[i] = ledger.Account{ID: a.ID, Name: a.Name, Currency: a.Currency, Method: a.CostMethod, Short: a.Oversell == "short", TracksCash: a.TracksCash}
	}
	return out
}
