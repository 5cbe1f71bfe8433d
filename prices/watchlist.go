package prices

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"rosetree/internal/api"
)

// Watchlist is symbols that a user looks at, in the user's order.
type Watchlist struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Position  int       `json:"position"` // from 0
	Symbols   []Symbol  `json:"symbols"`
	CreatedAt time.Time `json:"created_at"`
}

const (
	listsPerUser   = 50
	symbolsPerList = 500
)

// watchlistOperations are what users do with theirs. Each change is told to all connections that follow "watchlists".
func (s *Service) watchlistOperations() []api.Operation[Owner] {
	return []api.Operation[Owner]{
		api.Op("watchlist.list", http.MethodGet, "/api/watchlists", s.listWatchlists),
		api.Op("watchlist.add", http.MethodPost, "/api/watchlists", s.addWatchlist),
		api.Op("watchlist.update", http.MethodPatch, "/api/watchlists/{id}", s.updateWatchlist),
		api.Op("watchlist.delete", http.MethodDelete, "/api/watchlists/{id}", s.deleteWatchlist),
	}
}

type watchlistsOutput struct {
	Watchlists []Watchlist `json:"watchlists"`
}

func (s *Service) listWatchlists(ctx context.Context, o Owner, _ struct{}) (watchlistsOutput, error) {
	all, err := readWatchlists(ctx, o.Rows)
	return watchlistsOutput{all}, err
}

func readWatchlists(ctx context.Context, rows DB) ([]Watchlist, error) {
	all := []Watchlist{}
	b := &pgx.Batch{}
	b.Queue(`SELECT id::text, name, row_number() OVER (ORDER BY position, created_at, id) - 1, symbols, created_at FROM app.watchlists ORDER BY position, created_at, id`).
		Query(func(r pgx.Rows) error {
			for r.Next() {
				var w Watchlist
				if err := r.Scan(&w.ID, &w.Name, &w.Position, &w.Symbols, &w.CreatedAt); err != nil {
					return err
				}
				w.CreatedAt = w.CreatedAt.UTC()
				all = append(all, w)
			}
			return r.Err()
		})
	return all, rows.Do(ctx, b)
}

type watchlistInput struct {
	Name    string   `json:"name"`
	Symbols []string `json:"symbols"`
}

func (s *Service) addWatchlist(ctx context.Context, o Owner, in watchlistInput) (Watchlist, error) {
	symbols, err := watchlistSymbols(in.Symbols)
	if err == nil {
		err = checkListName(in.Name)
	}
	w := Watchlist{Name: strings.TrimSpace(in.Name), Symbols: symbols}
	if err != nil {
		return w, err
	}
	if w.ID, err = newID(); err != nil {
		return w, err
	}
	err = o.Rows.Tx(ctx, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM app.watchlists`).Scan(&w.Position); err != nil {
			return err
		}
		if w.Position >= listsPerUser {
			return &api.Problem{Status: http.StatusConflict, Code: "too_many_watchlists", Message: "at most 50 watchlists"}
		}
		return tx.QueryRow(ctx, `INSERT INTO app.watchlists (user_id, id, name, position, symbols)
			SELECT $1::text::uuid, $2::text::uuid, $3, coalesce(max(position) + 1, 0), $4 FROM app.watchlists RETURNING created_at`, o.ID, w.ID, w.Name, w.Symbols).Scan(&w.CreatedAt)
	})
	w.CreatedAt = w.CreatedAt.UTC()
	return w, s.listsChanged(ctx, o, err)
}

type watchlistChange struct {
	ID       string    `json:"id"`
	Name     *string   `json:"name"`
	Position *int      `json:"position"` // where it stands among the others; beyond the last: at the end
	Symbols  *[]string `json:"symbols"`  // all of them, in their order
}

func (s *Service) updateWatchlist(ctx context.Context, o Owner, in watchlistChange) (w Watchlist, err error) {
	if err := checkID("watchlist", in.ID); err != nil {
		return w, err
	}
	if in.Name != nil {
		if err := checkListName(*in.Name); err != nil {
			return w, err
		}
	}
	var symbols []Symbol // nil: as they are
	if in.Symbols != nil {
		if symbols, err = watchlistSymbols(*in.Symbols); err != nil {
			return w, err
		}
	}
	if in.Position != nil && *in.Position < 0 {
		return w, api.Invalid("position", "0 or more")
	}
	err = o.Rows.Tx(ctx, func(tx pgx.Tx) error {
		if in.Position != nil {
			if err := moveWatchlist(ctx, tx, in.ID, *in.Position); err != nil {
				return err
			}
		}
		return notThere("watchlist", tx.QueryRow(ctx, `UPDATE app.watchlists SET name = coalesce(btrim($2), name), symbols = coalesce($3, symbols) WHERE id = $1::text::uuid
			RETURNING id::text, name, (SELECT count(*) FROM app.watchlists o WHERE o.position < watchlists.position), symbols, created_at`, in.ID, in.Name, symbols).
			Scan(&w.ID, &w.Name, &w.Position, &w.Symbols, &w.CreatedAt))
	})
	w.CreatedAt = w.CreatedAt.UTC()
	return w, s.listsChanged(ctx, o, err)
}

// moveWatchlist numbers all lists anew, with one of them at a place of its own.
func moveWatchlist(ctx context.Context, tx pgx.Tx, id string, place int) error {
	rows, err := tx.Query(ctx, `SELECT id::text FROM app.watchlists ORDER BY position, created_at, id FOR UPDATE`)
	if err != nil {
		return err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	at := slices.Index(ids, id)
	if at < 0 {
		return api.NotFound("watchlist")
	}
	ids = slices.Delete(ids, at, at+1)
	ids = slices.Insert(ids, min(place, len(ids)), id)
	_, err = tx.Exec(ctx, `UPDATE app.watchlists w SET position = x.place - 1 FROM unnest($1::text[]::uuid[]) WITH ORDINALITY AS x (id, place) WHERE w.id = x.id`, ids)
	return err
}

func (s *Service) deleteWatchlist(ctx context.Context, o Owner, in idInput) (api.None, error) {
	err := checkID("watchlist", in.ID)
	if err == nil {
		err = o.one(ctx, "watchlist", `DELETE FROM app.watchlists WHERE id = $1::text::uuid`, in.ID)
	}
	return api.None{}, s.listsChanged(ctx, o, err)
}

// listsChanged tells the user's connections, where err is nil.
func (s *Service) listsChanged(ctx context.Context, o Owner, err error) error {
	if err == nil {
		s.announce(ctx, hint{what: newWatchlists, user: o.ID})
	}
	return err
}

// watchlistSymbols may be symbols that nobody knows yet: an instrument can come and go while a list stays.
func watchlistSymbols(texts []string) ([]Symbol, error) {
	if len(texts) > symbolsPerList {
		return nil, api.Invalid("symbols", "at most %d symbols", symbolsPerList)
	}
	all := make([]Symbol, 0, len(texts))
	for _, text := range texts {
		symbol, err := ParseSymbol(text)
		if err != nil {
			return nil, api.Invalid("symbols", "%s", err)
		}
		if !slices.Contains(all, symbol) {
			all = append(all, symbol)
		}
	}
	return all, nil
}

func checkListName(name string) error {
	if n := len(strings.TrimSpace(name)); n == 0 || n > 100 {
		return api.Invalid("name", "from 1 to 100 bytes")
	}
	return nil
}

type idInput struct {
	ID string `json:"id"`
}
