package portfolio

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"rosetree/auth"
	"rosetree/internal/api"
)

// Grant is somebody's right to see a portfolio, as its owner sees it.
type Grant struct {
	ID          string    `json:"id"`
	Email       string    `json:"email"`
	HideAmounts bool      `json:"hide_amounts"`
	CreatedAt   time.Time `json:"created_at"`
}

type grantList struct {
	Grants []Grant `json:"grants"`
}

func (s *Service) listGrants(ctx context.Context, p auth.Principal, in which) (out grantList, err error) {
	err = s.db.As(p).Tx(ctx, func(tx pgx.Tx) error {
		if _, err := settingsOf(ctx, tx, in.Portfolio, false); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT id, grantee_email, hide_amounts, created_at FROM app.portfolio_grants
			WHERE user_id = (SELECT app.uid()) AND portfolio_id = $1 ORDER BY created_at, id`, in.Portfolio)
		if err != nil {
			return err
		}
		out.Grants, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (g Grant, err error) {
			return g, row.Scan(&g.ID, &g.Email, &g.HideAmounts, &g.CreatedAt)
		})
		return err
	})
	return out, err
}

type newGrant struct {
	which
	Email       string `json:"email"`
	HideAmounts *bool  `json:"hide_amounts"`
}

// addGrant shares a portfolio with the user of an address. The answer is the same where nobody has it:
// it must not tell who is a user. Amounts are hidden unless the owner says otherwise.
func (s *Service) addGrant(ctx context.Context, p auth.Principal, in newGrant) (Grant, error) {
	email := strings.ToLower(strings.TrimSpace(in.Email))
	if at := strings.IndexByte(email, '@'); at < 1 || at == len(email)-1 || len(email) > 254 || strings.ContainsAny(email, " \x00") {
		return Grant{}, api.Invalid("email", "must be an e-mail address")
	}
	grantee, err := s.userOf(ctx, email)
	if err != nil {
		return Grant{}, err
	}
	g := Grant{ID: newID(), Email: email, HideAmounts: in.HideAmounts == nil || *in.HideAmounts}
	return write(ctx, s, p, func(tx pgx.Tx) (Grant, *news, error) {
		st, err := settingsOf(ctx, tx, in.Portfolio, true)
		if err != nil {
			return Grant{}, nil, err
		}
		if grantee == string(p.User) {
			return Grant{}, nil, api.Invalid("email", "is your own")
		}
		err = tx.QueryRow(ctx, `INSERT INTO app.portfolio_grants (user_id, id, portfolio_id, grantee_id, grantee_email, hide_amounts) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (user_id, portfolio_id, grantee_email) DO UPDATE SET grantee_id = excluded.grantee_id, hide_amounts = excluded.hide_amounts RETURNING id, created_at`,
			p.User, g.ID, st.id, text(grantee), email, g.HideAmounts).Scan(&g.ID, &g.CreatedAt)
		if err != nil {
			return Grant{}, nil, err
		}
		st, err = settingsOf(ctx, tx, st.id, false)
		return g, st.news(p), err
	})
}

// userOf finds the user of an address, "" where there is none; in the scope that may read users.
func (s *Service) userOf(ctx context.Context, email string) (id string, err error) {
	var b pgx.Batch
	b.Queue(`SELECT u.id FROM app.credentials c JOIN app.users u ON u.id = c.user_id WHERE c.email_key = $1 AND u.status = 'active'`, email).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			if err := rows.Scan(&id); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	return id, s.db.Service(auth.ServiceAuth).Do(ctx, &b)
}

type whichGrant struct {
	which
	Grant string `json:"grant"`
}

// deleteGrant takes a share back; who watches by it loses the portfolio at once, on every server.
func (s *Service) deleteGrant(ctx context.Context, p auth.Principal, in whichGrant) (api.None, error) {
	return write(ctx, s, p, func(tx pgx.Tx) (out api.None, n *news, err error) {
		st, err := settingsOf(ctx, tx, in.Portfolio, true)
		if err != nil {
			return out, nil, err
		}
		if !validID(in.Grant) {
			return out, nil, api.NotFound("grant")
		}
		tag, err := tx.Exec(ctx, `DELETE FROM app.portfolio_grants WHERE portfolio_id = $1 AND id = $2`, st.id, in.Grant)
		if err == nil && tag.RowsAffected() == 0 {
			err = api.NotFound("grant")
		}
		if err != nil {
			return out, nil, err
		}
		st, err = settingsOf(ctx, tx, st.id, false)
		return out, st.news(p), err
	})
}

// sharedWith lists the portfolios that others share with p, in the order in which they were shared. Rows are read in their
// owner's context, so that it takes one look for each owner.
func (s *Service) sharedWith(ctx context.Context, p auth.Principal) ([]Portfolio, error) {
	grants, err := s.grantsTo(ctx, p.User)
	if err != nil {
		return nil, err
	}
	ids := map[auth.UserID][]ID{}
	for _, g := range grants {
		ids[g.user] = append(ids[g.user], g.id)
	}
	found := map[key]Portfolio{}
	for owner, ids := range ids {
		list, err := s.portfoliosOf(ctx, owner, `WHERE id = ANY ($1)`, ids)
		if err != nil {
			return nil, err
		}
		for _, f := range list {
			found[key{owner, f.ID}] = f
		}
	}
	var out []Portfolio
	for _, g := range grants {
		if shown, there := found[g.key]; there {
			shown.SharedBy, shown.HidesAmounts = string(g.user), g.hide
			out = append(out, shown)
		}
	}
	return out, nil
}

// given is a portfolio that somebody shares.
type given struct {
	key
	hide bool
}

// grantsTo are the shares that a user was given, the oldest first; no user reads another's grants, the relay does.
func (s *Service) grantsTo(ctx context.Context, user auth.UserID) (list []given, err error) {
	var b pgx.Batch
	b.Queue(`SELECT user_id, portfolio_id, hide_amounts FROM app.portfolio_grants WHERE grantee_id = $1 ORDER BY created_at, id`, user).Query(func(rows pgx.Rows) error {
		list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (g given, err error) {
			return g, row.Scan(&g.user, &g.id, &g.hide)
		})
		return err
	})
	err = s.db.Service(auth.ServiceRelay).Do(ctx, &b)
	return list, err
}
