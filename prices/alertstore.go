package prices

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"
)

// watchedColumns are what is checked. An alert that fired once for all is not among what is watched.
const watchedColumns = `SELECT a.id::text, a.user_id::text, a.symbol, a.revision, a.kind, a.threshold::text, a.shares_at, a.armed FROM app.alerts a`

func scanWatched(into *[]watched) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		var a watched
		var shares time.Time
		_, err := pgx.ForEachRow(rows, []any{&a.id, &a.user, &a.symbol, &a.revision, &a.kind, &a.threshold, &shares, &a.armed}, func() error {
			a.shares = dayOf(shares)
			*into = append(*into, a)
			return nil
		})
		return err
	}
}

// alertsSince reads the alerts that changed at or after since, or all that can fire, and the database's time.
func (s store) alertsSince(ctx context.Context, since time.Time) (all []watched, now time.Time, err error) {
	b := &pgx.Batch{}
	b.Queue(`SELECT now()`).QueryRow(func(row pgx.Row) error { return row.Scan(&now) })
	if since.IsZero() {
		b.Queue(watchedColumns + ` WHERE a.armed OR NOT a.once`).Query(scanWatched(&all))
	} else {
		b.Queue(watchedColumns+` WHERE a.changed_at >= $1 AND (a.armed OR NOT a.once)`, since).Query(scanWatched(&all))
	}
	if err := s.db.Do(ctx, b); err != nil {
		return nil, now, fmt.Errorf("prices: read alerts: %w", err)
	}
	return all, now, nil
}

// alertsByID reads those of ids that can fire or arm again.
func (s store) alertsByID(ctx context.Context, ids []ownedID) (all []watched, err error) {
	users, alerts := columnsOf(ids)
	b := &pgx.Batch{}
	b.Queue(watchedColumns+` JOIN unnest($1::text[]::uuid[], $2::text[]::uuid[]) AS x (user_id, id) USING (user_id, id) WHERE a.armed OR NOT a.once`,
		users, alerts).Query(scanWatched(&all))
	if err := s.db.Do(ctx, b); err != nil {
		return nil, fmt.Errorf("prices: read alerts: %w", err)
	}
	return all, nil
}

func columnsOf(ids []ownedID) (users, list []string) {
	users, list = make([]string, len(ids)), make([]string, len(ids))
	for i, x := range ids {
		users[i], list[i] = x.user, x.id
	}
	return users, list
}

// claim makes the alerts of part fire, or arm again, that are still as this server knew them; it returns the firings
// that came of it. Sent twice it does nothing the second time, because every change is a new revision.
func (s store) claim(ctx context.Context, part []due) (fired []ownedID, err error) {
	n := len(part)
	users, ids, revisions, firings := make([]string, n), make([]string, n), make([]int64, n), make([]string, n)
	thresholds, costs, sources, ats := make([]string, n), make([]string, n), make([]string, n), make([]time.Time, n)
	for i, d := range part {
		users[i], ids[i], revisions[i], thresholds[i], costs[i], sources[i], ats[i] = d.user, d.id, d.revision, d.threshold.String(), d.price.String(), d.source, d.at
		if firings[i], err = newID(); err != nil {
			return nil, err
		}
	}
	b := &pgx.Batch{}
	b.Queue(`WITH x AS (SELECT * FROM unnest($1::text[]::uuid[], $2::text[]::uuid[], $3::bigint[], $4::text[]::uuid[], $5::text[]::numeric[], $6::text[]::numeric[], $7::text[], $8::timestamptz[])
	                    AS x (user_id, id, revision, firing, threshold, price, source, price_at)),
	         fired AS (UPDATE app.alerts a SET armed = false, fired_at = clock_timestamp(), fired_price = x.price FROM x
	                    WHERE a.user_id = x.user_id AND a.id = x.id AND a.revision = x.revision AND a.armed
	                RETURNING a.user_id, a.id, a.symbol, a.kind, a.note, a.webhook, x.firing, x.threshold, x.price, x.source, x.price_at)
	         INSERT INTO app.alert_firings (user_id, id, alert_id, symbol, kind, threshold, price, price_at, source, note, webhook, webhook_next)
	         SELECT user_id, firing, id, symbol, kind, threshold, price, price_at, source, note, webhook, CASE WHEN webhook IS NOT NULL THEN now() END FROM fired
	         RETURNING user_id::text, id::text`, users, ids, revisions, firings, thresholds, costs, sources, ats).Query(func(rows pgx.Rows) error {
		var f ownedID
		_, err := pgx.ForEachRow(rows, []any{&f.user, &f.id}, func() error { fired = append(fired, f); return nil })
		return err
	})
	b.Queue(`UPDATE app.alerts a SET armed = true FROM unnest($1::text[]::uuid[], $2::text[]::uuid[], $3::bigint[]) AS x (user_id, id, revision)
	         WHERE a.user_id = x.user_id AND a.id = x.id AND a.revision = x.revision AND NOT a.armed AND NOT a.once`, users, ids, revisions)
	if err := s.db.Do(ctx, b); err != nil {
		return nil, fmt.Errorf("prices: claim alerts: %w", err)
	}
	return fired, nil
}

const firingColumns = `SELECT f.id::text, f.alert_id::text, f.symbol, f.kind, f.threshold::text, f.price::text, f.price_at, f.source, f.note, f.fired_at, f.seen_at, f.webhook_error, f.user_id::text FROM app.alert_firings f`

// ownedFiring is a firing and whose it is.
type ownedFiring struct {
	Firing
	user string
}

func scanFirings(into *[]ownedFiring) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		for rows.Next() {
			var f ownedFiring
			if err := rows.Scan(&f.ID, &f.Alert, &f.Symbol, &f.Kind, &f.Threshold, &f.Price, &f.PriceAt, &f.Source, &f.Note, &f.FiredAt, &f.SeenAt, &f.WebhookError, &f.user); err != nil {
				return err
			}
			f.PriceAt, f.FiredAt = f.PriceAt.UTC(), f.FiredAt.UTC()
			*into = append(*into, f)
		}
		return rows.Err()
	}
}

// firings reads those of ids.
func (s store) firings(ctx context.Context, ids []ownedID) (all []ownedFiring, err error) {
	users, list := columnsOf(ids)
	b := &pgx.Batch{}
	b.Queue(firingColumns+` JOIN unnest($1::text[]::uuid[], $2::text[]::uuid[]) AS x (user_id, id) USING (user_id, id) ORDER BY f.fired_at, f.id`, users, list).Query(scanFirings(&all))
	return all, s.db.Do(ctx, b)
}

// firedSince names the firings since a time, and the database's time.
func (s store) firedSince(ctx context.Context, since time.Time) (ids []ownedID, now time.Time, err error) {
	b := &pgx.Batch{}
	b.Queue(`SELECT now()`).QueryRow(func(row pgx.Row) error { return row.Scan(&now) })
	b.Queue(`SELECT user_id::text, id::text FROM app.alert_firings WHERE fired_at >= $1 AND seen_at IS NULL ORDER BY fired_at`, since).Query(func(rows pgx.Rows) error {
		var f ownedID
		_, err := pgx.ForEachRow(rows, []any{&f.user, &f.id}, func() error { ids = append(ids, f); return nil })
		return err
	})
	return ids, now, s.db.Do(ctx, b)
}

// keepFirings is how long a firing stays after it fired, seen or not.
const keepFirings = 90 * 24 * time.Hour

func (s store) pruneFirings(ctx context.Context, now time.Time) error {
	b := &pgx.Batch{}
	b.Queue(`DELETE FROM app.alert_firings WHERE fired_at < $1 AND webhook_next IS NULL`, now.Add(-keepFirings))
	return s.db.Do(ctx, b)
}

// decimalPointer is d where it is known.
func decimalPointer(d decimal.NullDecimal) *decimal.Decimal {
	if !d.Valid {
		return nil
	}
	return &d.Decimal
}
