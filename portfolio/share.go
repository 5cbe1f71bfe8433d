package portfolio

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"rosetree/auth"
	"rosetree/internal/api"
)

// share is somebody's right to see a portfolio that is not theirs.
type share struct {
	owner   auth.UserID
	grantee auth.UserID
	hide    bool // amounts are not theirs to see
}

// open finds a portfolio that p may see, at version at least so new as the database's: p's own, or one
// that is shared with p.
func (s *Service) open(ctx context.Context, p auth.Principal, id ID, version int64) (*live, *share, error) {
	if !validID(string(id)) {
		return nil, nil, api.NotFound("portfolio")
	}
	newest, err := s.version(ctx, p.User, id)
	if err == nil {
		l, err := s.at(ctx, p.User, id, max(newest, version))
		return l, nil, err
	}
	if !errors.Is(err, api.NotFound("")) {
		return nil, nil, err
	}
	sh, err := s.shared(ctx, p.User, id)
	if err != nil {
		return nil, nil, err
	}
	if newest, err = s.version(ctx, sh.owner, id); err != nil {
		return nil, nil, err
	}
	l, err := s.at(ctx, sh.owner, id, max(newest, version))
	return l, sh, err
}

// version is the newest version of a portfolio of user; not_found where they have none of that id.
func (s *Service) version(ctx context.Context, user auth.UserID, id ID) (version int64, err error) {
	found := false
	var b pgx.Batch
	b.Queue(`SELECT version FROM app.portfolios WHERE id = $1`, id).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			found = true
			if err := rows.Scan(&version); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	if err := s.db.As(auth.Principal{User: user}).Do(ctx, &b); err != nil {
		return 0, fmt.Errorf("portfolio: version: %w", err)
	}
	if !found {
		return 0, api.NotFound("portfolio")
	}
	return version, nil
}

// shared looks for a share in the relay's scope: no user reads another's grants.
func (s *Service) shared(ctx context.Context, user auth.UserID, id ID) (*share, error) {
	var sh *share
	var b pgx.Batch
	b.Queue(`SELECT user_id, hide_amounts FROM app.portfolio_grants WHERE grantee_id = $1 AND portfolio_id = $2`, user, id).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			sh = &share{grantee: user}
			if err := rows.Scan(&sh.owner, &sh.hide); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	if err := s.db.Service(auth.ServiceRelay).Do(ctx, &b); err != nil {
		return nil, fmt.Errorf("portfolio: share: %w", err)
	}
	if sh == nil {
		return nil, api.NotFound("portfolio")
	}
	return sh, nil
}

// ask checks again whether those who watch l by a share still may. It runs on every news of l: giving
// and taking a share is one.
func (l *live) ask(ctx context.Context) error {
	for _, w := range l.guests() {
		now, err := l.service.shared(ctx, w.share.grantee, l.id)
		if err != nil && !errors.Is(err, api.NotFound("")) {
			return err // nothing is known: the next news, or the next round, asks again
		}
		if err == nil && now.owner == l.user && now.hide == w.share.hide {
			continue
		}
		l.dismiss(w, now)
	}
	return nil
}

func (l *live) guests() (list []*Watching) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.viewers {
		if w.share != nil {
			list = append(list, w)
		}
	}
	return list
}

// dismiss ends a guest's view, or starts it again where only what they may see has changed.
func (l *live) dismiss(w *Watching, now *share) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Contains(l.viewers, w) {
		return
	}
	if now != nil && now.owner == l.user {
		w.share = now
		w.viewer.Snapshot(w.snapshot(l))
		return
	}
	l.viewers = slices.DeleteFunc(l.viewers, func(o *Watching) bool { return o == w })
	w.viewer.Gone(api.NotFound("portfolio"))
}

// hideHoldings leaves what tells nothing of amounts: what is held, at which price, in which proportion.
func hideHoldings(list []Holding) []Holding {
	out := make([]Holding, len(list))
	for i, h := range list {
		out[i] = Holding{Symbol: h.Symbol, Name: h.Name, Kind: h.Kind, Currency: h.Currency, Price: h.Price, PriceAt: h.PriceAt,
			Freshness: h.Freshness, DayChangePct: h.DayChangePct, Weight: h.Weight}
	}
	return out
}

func hideTotals(t Totals) Totals {
	return Totals{Currency: t.Currency, DayChangePct: t.DayChangePct, Missing: t.Missing, Stale: t.Stale}
}

func hideMarks(list []Mark) []Mark {
	out := make([]Mark, len(list))
	for i, m := range list {
		out[i] = Mark{Symbol: m.Symbol, Price: m.Price, Foreign: m.Foreign, Freshness: m.Freshness}
	}
	return out
}
