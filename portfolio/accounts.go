package portfolio

import (
	"context"

	"github.com/jackc/pgx/v5"

	"rosetree/auth"
	"rosetree/internal/api"
	"rosetree/portfolio/ledger"
)

// mainAccount is the name of the account that every portfolio has from the start.
const mainAccount = "Main"

// Account is a place where a portfolio holds things.
type Account struct {
	ID         string        `json:"id"`
	Name       string        `json:"name"`
	Currency   string        `json:"currency"`
	CostMethod ledger.Method `json:"cost_method,omitempty"` // "" follows the portfolio
	Oversell   string        `json:"oversell"`              // "reject" or "short"
	TracksCash bool          `json:"tracks_cash"`
}

const accountColumns = `id, name, currency, COALESCE(cost_method, ''), oversell, tracks_cash`

func scanAccount(row pgx.CollectableRow) (a Account, err error) {
	return a, row.Scan(&a.ID, &a.Name, &a.Currency, &a.CostMethod, &a.Oversell, &a.TracksCash)
}

type accountList struct {
	Accounts []Account `json:"accounts"`
}

func (s *Service) listAccounts(ctx context.Context, p auth.Principal, in which) (out accountList, err error) {
	err = s.db.As(p).Tx(ctx, func(tx pgx.Tx) error {
		if _, err := settingsOf(ctx, tx, in.Portfolio, false); err != nil {
			return err
		}
		out.Accounts, err = accountsOf(ctx, tx, in.Portfolio)
		return err
	})
	return out, err
}

// accountsOf lists a portfolio's accounts, the oldest first: that one is meant where none is named.
func accountsOf(ctx context.Context, tx pgx.Tx, id ID) ([]Account, error) {
	rows, err := tx.Query(ctx, `SELECT `+accountColumns+` FROM app.accounts WHERE portfolio_id = $1 ORDER BY created_at, id`, id)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanAccount)
}

func accountOf(ctx context.Context, tx pgx.Tx, id ID, account string) (a Account, err error) {
	if !validID(account) {
		return a, api.NotFound("account")
	}
	rows, err := tx.Query(ctx, `SELECT `+accountColumns+` FROM app.accounts WHERE portfolio_id = $1 AND id = $2`, id, account)
	if err != nil {
		return a, err
	}
	a, err = pgx.CollectExactlyOneRow(rows, scanAccount)
	if err == pgx.ErrNoRows {
		return a, api.NotFound("account")
	}
	return a, err
}

type accountFields struct {
	Name       *string `json:"name"`
	Currency   *string `json:"currency"`
	CostMethod *string `json:"cost_method"` // "" follows the portfolio
	Oversell   *string `json:"oversell"`
	TracksCash *bool   `json:"tracks_cash"`
}

func (in accountFields) onto(a *Account) (err error) {
	if in.Name != nil {
		if a.Name, err = parseName("name", *in.Name); err != nil {
			return err
		}
	}
	if in.Currency != nil {
		if a.Currency, err = parseCurrency("currency", *in.Currency); err != nil {
			return err
		}
	}
	if in.CostMethod != nil {
		a.CostMethod = ""
		if *in.CostMethod != "" {
			if a.CostMethod, err = parseMethod("cost_method", *in.CostMethod); err != nil {
				return err
			}
		}
	}
	if in.Oversell != nil {
		if a.Oversell = *in.Oversell; a.Oversell != "reject" && a.Oversell != "short" {
			return api.Invalid("oversell", "must be \"reject\" or \"short\"")
		}
	}
	if in.TracksCash != nil {
		a.TracksCash = *in.TracksCash
	}
	return nil
}

type newAccount struct {
	which
	accountFields
}

func (s *Service) addAccount(ctx context.Context, p auth.Principal, in newAccount) (Account, error) {
	return once(ctx, s, p, "account.add", in, func(tx pgx.Tx) (a Account, n *news, err error) {
		st, err := settingsOf(ctx, tx, in.Portfolio, true)
		if err != nil {
			return a, nil, err
		}
		a = Account{ID: newID(), Currency: st.base, Oversell: "reject"}
		if in.Name == nil {
			return a, nil, api.Invalid("name", "must have 1 to %d characters", maxName)
		}
		if err := in.onto(&a); err != nil {
			return a, nil, err
		}
		if err := insertAccount(ctx, tx, p, st.id, a); err != nil {
			return a, nil, err
		}
		st, err = settingsOf(ctx, tx, st.id, false)
		return a, st.news(p), err
	})
}

func insertAccount(ctx context.Context, tx pgx.Tx, p auth.Principal, id ID, a Account) error {
	_, err := tx.Exec(ctx, `INSERT INTO app.accounts (user_id, id, portfolio_id, name, currency, cost_method, oversell, tracks_cash) VALUES ($1, $2, $3, $4, $5, NULLIF($6, ''), $7, $8)`,
		p.User, a.ID, id, a.Name, a.Currency, a.CostMethod, a.Oversell, a.TracksCash)
	return err
}

type accountChange struct {
	which
	Account string `json:"account"`
	accountFields
}

func (s *Service) updateAccount(ctx context.Context, p auth.Principal, in accountChange) (Account, error) {
	return write(ctx, s, p, func(tx pgx.Tx) (a Account, n *news, err error) {
		st, err := settingsOf(ctx, tx, in.Portfolio, true)
		if err != nil {
			return a, nil, err
		}
		if a, err = accountOf(ctx, tx, st.id, in.Account); err != nil {
			return a, nil, err
		}
		if err := in.onto(&a); err != nil {
			return a, nil, err
		}
		_, err = tx.Exec(ctx, `UPDATE app.accounts SET name = $3, currency = $4, cost_method = NULLIF($5, ''), oversell = $6, tracks_cash = $7 WHERE portfolio_id = $1 AND id = $2`,
			st.id, a.ID, a.Name, a.Currency, a.CostMethod, a.Oversell, a.TracksCash)
		if err != nil {
			return a, nil, err
		}
		st, err = settingsOf(ctx, tx, st.id, false)
		return a, st.news(p), err
	})
}

type whichAccount struct {
	which
	Account string `json:"account"`
}

// deleteAccount takes an account without transactions away; a portfolio keeps at least one.
func (s *Service) deleteAccount(ctx context.Context, p auth.Principal, in whichAccount) (api.None, error) {
	return write(ctx, s, p, func(tx pgx.Tx) (out api.None, n *news, err error) {
		st, err := settingsOf(ctx, tx, in.Portfolio, true)
		if err != nil {
			return out, nil, err
		}
		if _, err = accountOf(ctx, tx, st.id, in.Account); err != nil {
			return out, nil, err
		}
		var others, used bool
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM app.accounts WHERE portfolio_id = $1 AND id <> $2),
			EXISTS (SELECT FROM app.transactions WHERE portfolio_id = $1 AND account_id = $2 AND deleted_at IS NULL)`, st.id, in.Account).Scan(&others, &used); err != nil {
			return out, nil, err
		}
		if used {
			return out, nil, api.Conflict("the account has transactions: delete or move them first")
		}
		if !others {
			return out, nil, api.Conflict("a portfolio has at least one account")
		}
		if _, err := tx.Exec(ctx, `DELETE FROM app.accounts WHERE portfolio_id = $1 AND id = $2`, st.id, in.Account); err != nil {
			return out, nil, err
		}
		st, err = settingsOf(ctx, tx, st.id, false)
		return out, st.news(p), err
	})
}
