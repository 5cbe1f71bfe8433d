package portfolio

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"rosetree/auth"
	"rosetree/internal/api"
	"rosetree/portfolio/ledger"
)

// Portfolio is a portfolio's own row, as clients see it.
type Portfolio struct {
	ID           ID            `json:"id"`
	Name         string        `json:"name"`
	BaseCurrency string        `json:"base_currency"`
	CostMethod   ledger.Method `json:"cost_method"`
	Costs        ledger.Costs  `json:"costs"`
	Version      int64         `json:"version"`
	CreatedAt    time.Time     `json:"created_at"`
	SharedBy     string        `json:"shared_by,omitempty"` // set where it is another user's
	HidesAmounts bool          `json:"hides_amounts,omitempty"`
}

func (s *settings) show() Portfolio {
	return Portfolio{ID: s.id, Name: s.name, BaseCurrency: s.base, CostMethod: s.method, Costs: s.costs, Version: s.version, CreatedAt: s.created.UTC()}
}

// which is how operations name a portfolio: "portfolio", or "id" where it is the subject.
type which struct {
	Portfolio ID `json:"portfolio"`
}

type none struct{}

type portfolioList struct {
	Portfolios []Portfolio `json:"portfolios"`
}

func (s *Service) listPortfolios(ctx context.Context, p auth.Principal, _ none) (portfolioList, error) {
	own, err := s.portfoliosOf(ctx, p.User, `ORDER BY created_at, id`)
	if err != nil {
		return portfolioList{}, err
	}
	shared, err := s.sharedWith(ctx, p)
	return portfolioList{append(own, shared...)}, err
}

// portfoliosOf are a user's own, as the rest of the statement says.
func (s *Service) portfoliosOf(ctx context.Context, owner auth.UserID, rest string, args ...any) (list []Portfolio, err error) {
	var b pgx.Batch
	b.Queue(`SELECT `+settingsColumns+` FROM app.portfolios `+rest, args...).Query(func(rows pgx.Rows) error {
		list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (Portfolio, error) {
			var st settings
			err := st.scan(row)
			return st.show(), err
		})
		return err
	})
	err = s.db.As(auth.Principal{User: owner}).Do(ctx, &b)
	return list, err
}

type newPortfolio struct {
	Name         string  `json:"name"`
	BaseCurrency *string `json:"base_currency"`
	CostMethod   *string `json:"cost_method"`
	Costs        *string `json:"costs"`
}

// onto puts what the input names over st; what it does not name stays.
func (in newPortfolio) onto(st *settings) (err error) {
	if in.BaseCurrency != nil {
		if st.base, err = parseCurrency("base_currency", *in.BaseCurrency); err != nil {
			return err
		}
	}
	if in.CostMethod != nil {
		if st.method, err = parseMethod("cost_method", *in.CostMethod); err != nil {
			return err
		}
	}
	if in.Costs != nil {
		if st.costs, err = parseCosts("costs", *in.Costs); err != nil {
			return err
		}
	}
	return nil
}

// createPortfolio makes a portfolio with its first account.
func (s *Service) createPortfolio(ctx context.Context, p auth.Principal, in newPortfolio) (out Portfolio, err error) {
	st := settings{id: ID(newID()), base: "USD", method: ledger.Average, costs: ledger.Included}
	if st.name, err = parseName("name", in.Name); err != nil {
		return out, err
	}
	if in.BaseCurrency == nil {
		if st.base, err = s.baseOf(ctx, p); err != nil {
			return out, err
		}
	}
	if err = in.onto(&st); err != nil {
		return out, err
	}
	return once(ctx, s, p, "portfolio.create", in, func(tx pgx.Tx) (Portfolio, *news, error) {
		if _, err := tx.Exec(ctx, `INSERT INTO app.portfolios (user_id, id, name, base_currency, cost_method, costs) VALUES ($1, $2, $3, $4, $5, $6)`,
			p.User, st.id, st.name, st.base, st.method, st.costs); err != nil {
			return out, nil, err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO app.accounts (user_id, id, portfolio_id, name, currency) VALUES ($1, $2, $3, $4, $5)`,
			p.User, newID(), st.id, mainAccount, st.base); err != nil {
			return out, nil, err
		}
		made, err := settingsOf(ctx, tx, st.id, false)
		return made.show(), made.news(p), err
	})
}

// baseOf is the user's own currency.
func (s *Service) baseOf(ctx context.Context, p auth.Principal) (base string, err error) {
	base = "USD"
	var b pgx.Batch
	b.Queue(`SELECT base_currency FROM app.users WHERE id = $1`, p.User).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			if err := rows.Scan(&base); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	return base, s.db.As(p).Do(ctx, &b)
}

// settingsOf reads a portfolio's row, and holds it until the transaction ends where lock is set: every
// write of a portfolio takes it first, so that writes of one portfolio happen one after the other.
func settingsOf(ctx context.Context, tx pgx.Tx, id ID, lock bool) (st settings, err error) {
	if !validID(string(id)) {
		return st, api.NotFound("portfolio")
	}
	rows, err := tx.Query(ctx, `SELECT `+settingsColumns+` FROM app.portfolios WHERE id = $1`+map[bool]string{true: ` FOR UPDATE`}[lock], id)
	if err != nil {
		return st, err
	}
	st, err = pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (st settings, err error) { return st, st.scan(row) })
	if err == pgx.ErrNoRows {
		return st, api.NotFound("portfolio")
	}
	return st, err
}

func (s *settings) news(p auth.Principal) *news {
	return &news{p.User, s.id, s.version, time.Now().UnixMilli()}
}

func (s *Service) getPortfolio(ctx context.Context, p auth.Principal, in which) (Portfolio, error) {
	l, sh, err := s.open(ctx, p, in.Portfolio, 0)
	if err != nil {
		return Portfolio{}, err
	}
	l.mu.Lock()
	out := l.settings.show()
	l.mu.Unlock()
	if sh != nil {
		out.SharedBy, out.HidesAmounts = string(sh.owner), sh.hide
	}
	return out, nil
}

type portfolioChange struct {
	which
	Name         *string `json:"name"`
	BaseCurrency *string `json:"base_currency"`
	CostMethod   *string `json:"cost_method"`
	Costs        *string `json:"costs"`
}

// updatePortfolio changes settings. Where the base currency changes, rates that rows recorded for the
// old one no longer count: their base is written down first.
func (s *Service) updatePortfolio(ctx context.Context, p auth.Principal, in portfolioChange) (Portfolio, error) {
	return write(ctx, s, p, func(tx pgx.Tx) (out Portfolio, n *news, err error) {
		st, err := settingsOf(ctx, tx, in.Portfolio, true)
		if err != nil {
			return out, nil, err
		}
		base := st.base
		if in.Name != nil {
			if st.name, err = parseName("name", *in.Name); err != nil {
				return out, nil, err
			}
		}
		if err := (newPortfolio{"", in.BaseCurrency, in.CostMethod, in.Costs}).onto(&st); err != nil {
			return out, nil, err
		}
		if base != st.base {
			if _, err := tx.Exec(ctx, `UPDATE app.transactions SET fx_base = $2 WHERE portfolio_id = $1 AND fx_rate IS NOT NULL AND fx_base IS NULL`, st.id, base); err != nil {
				return out, nil, err
			}
		}
		if _, err := tx.Exec(ctx, `UPDATE app.portfolios SET name = $2, base_currency = $3, cost_method = $4, costs = $5 WHERE id = $1`,
			st.id, st.name, st.base, st.method, st.costs); err != nil {
			return out, nil, err
		}
		st, err = settingsOf(ctx, tx, st.id, false)
		return st.show(), st.news(p), err
	})
}

func (s *Service) deletePortfolio(ctx context.Context, p auth.Principal, in which) (api.None, error) {
	return write(ctx, s, p, func(tx pgx.Tx) (out api.None, n *news, err error) {
		st, err := settingsOf(ctx, tx, in.Portfolio, true)
		if err != nil {
			return out, nil, err
		}
		_, err = tx.Exec(ctx, `DELETE FROM app.portfolios WHERE id = $1`, st.id)
		st.version++
		return out, st.news(p), err
	})
}
