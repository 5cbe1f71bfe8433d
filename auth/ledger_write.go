package auth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

const insertRevocation = `INSERT INTO app.revocations (kind, subject, keep, not_before, reason, actor, until)
	VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id, at`

// selectNewest is when the user's newest session was made, by the clock of the server that made it.
const selectNewest = `SELECT coalesce(max(created_at), '-infinity') FROM app.sessions WHERE user_id = $1::uuid AND ended_at IS NULL AND id <> $2`

// writeAct writes a revocation of all that a user holds, with the acts that it belongs to: they happen with it or not at all.
// The lock on the user comes first, and then the moment until which sessions end: whatever was recorded while it waited, on a server
// whose clock is ahead too, ends with the rest.
func (l *ledger) writeAct(ctx context.Context, r *revocation, acts ...func(*pgx.Batch)) (ended int, err error) {
	err = l.rows.Tx(ctx, func(tx pgx.Tx) error {
		var newest pgtype.Timestamptz
		var lock, b pgx.Batch
		ended = 0
		lock.Queue(lockUser, r.Subject)
		lock.Queue(selectNewest, r.Subject, string(r.Keep)).QueryRow(func(row pgx.Row) error { return row.Scan(&newest) })
		if err := tx.SendBatch(ctx, &lock).Close(); err != nil {
			return err
		}
		if r.NotBefore = l.clock().now(); newest.Time.After(r.NotBefore) {
			r.NotBefore = newest.Time
		}
		for _, act := range acts {
			act(&b)
		}
		queueRevocations(&b, []*revocation{r}, &ended)
		r.line(false).Queue(&b)
		return tx.SendBatch(ctx, &b).Close()
	})
	return ended, err
}

func queueRevocations(b *pgx.Batch, rows []*revocation, ended *int) {
	for _, r := range rows {
		b.Queue(insertRevocation, r.Kind, r.Subject, r.Keep, orNull(r.NotBefore), r.Reason, r.Actor, r.Until).
			QueryRow(func(row pgx.Row) error { return row.Scan(&r.ID, &r.At) })
		if sql, args := endRecords(r); sql != "" {
			b.Queue(sql, args...).Query(func(rows pgx.Rows) error {
				_, err := pgx.CollectRows(rows, func(pgx.CollectableRow) (int, error) { *ended++; return 0, nil })
				return err
			})
		}
	}
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// endRecords ends the durable records of the sessions that r is about.
func endRecords(r *revocation) (sql string, args []any) {
	const set = `UPDATE app.sessions SET ended_at = clock_timestamp(), end_reason = $1, ended_by = $2 WHERE ended_at IS NULL AND `
	e := r.end()
	args = []any{string(e.Reason), r.Actor, r.Subject}
	switch r.Kind {
	case KindSession:
		return set + `id = $3 RETURNING 1`, args
	case KindUser, KindBefore:
		return set + `user_id = $3::uuid AND id <> $4 AND created_at <= $5 RETURNING 1`, append(args, string(r.Keep), r.NotBefore)
	case KindAll:
		return set + `created_at <= $3 RETURNING 1`, []any{string(e.Reason), r.Actor, r.NotBefore}
	}
	return "", nil
}

// errQueueFull: PostgreSQL has been away for so long that no more can be remembered.
var errQueueFull = errors.New("auth: too many revocations wait for PostgreSQL")

const (
	lockJournal = `SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('rosetree.journal', 0))`

	// Another server may have moved the same entry before, and a write that seemed to fail may have succeeded.
	insertLate = `INSERT INTO app.revocations (kind, subject, keep, not_before, reason, actor, until)
		SELECT $1, $2, $3, $4, $5, $6, $7 WHERE NOT EXISTS (SELECT FROM app.revocations
			WHERE kind = $1 AND subject = $2 AND keep = $3 AND not_before IS NOT DISTINCT FROM $4 AND actor = $6 AND until = $7) RETURNING id`

	journalBatch = 500
)

// writeJournal moves to PostgreSQL what it could not take before.
func (l *ledger) writeJournal(ctx context.Context) error {
	for {
		rows, all := l.journal.unwritten(journalBatch)
		l.met.unwritten.Set(float64(all))
		if len(rows) == 0 {
			return nil
		}
		err := l.rows.Tx(ctx, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, lockJournal); err != nil {
				return err
			}
			return writeLate(ctx, tx, rows)
		})
		if err != nil {
			return fmt.Errorf("auth: write late revocations: %w", err)
		}
		l.journal.written(rows)
	}
}

func writeLate(ctx context.Context, tx pgx.Tx, rows map[string]*revocation) error {
	var insert, lines pgx.Batch
	for _, r := range rows {
		insert.Queue(insertLate, r.Kind, r.Subject, string(r.Keep), orNull(r.NotBefore), r.Reason, r.Actor, r.Until).Query(func(found pgx.Rows) error {
			ids, err := pgx.CollectRows(found, pgx.RowTo[int64])
			if err == nil && len(ids) > 0 {
				r.line(true).Queue(&lines)
			}
			return err
		})
		if sql, args := endRecords(r); sql != "" {
			insert.Queue(sql, args...)
		}
	}
	if err := tx.SendBatch(ctx, &insert).Close(); err != nil {
		return err
	}
	return tx.SendBatch(ctx, &lines).Close()
}

// forget deletes the rows that can revoke nothing any more, and their receipts with them. PostgreSQL's clock alone does not decide it.
func (l *ledger) forget(ctx context.Context) error {
	var b pgx.Batch
	b.Queue(`DELETE FROM app.revocations WHERE until < least(clock_timestamp(), $1) - interval '1 day'`, l.clock().now())
	return l.rows.Do(ctx, &b)
}
