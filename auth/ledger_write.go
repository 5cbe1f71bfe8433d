package auth

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
)

const insertRevocation = `INSERT INTO app.revocations (kind, subject, keep, not_before, reason, actor, until)
	VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id, at`

// write records revocations, the end of the sessions' own records and the act, in one transaction. A trigger tells
// every server. It fills in the rows' ids and returns how many sessions' records were ended. acts are what the revocation
// belongs to: they happen with it or not at all.
func (l *ledger) write(ctx context.Context, rows []*revocation, line AuditEntry, acts ...func(*pgx.Batch)) (ended int, err error) {
	var b pgx.Batch
	for _, act := range acts {
		act(&b)
	}
	for _, r := range rows {
		b.Queue(insertRevocation, r.Kind, r.Subject, r.Keep, orNull(r.NotBefore), r.Reason, r.Actor, r.Until).
			QueryRow(func(row pgx.Row) error { return row.Scan(&r.ID, &r.At) })
		if sql, args := endRecords(r); sql != "" {
			b.Queue(sql, args...).Query(func(rows pgx.Rows) error {
				_, err := pgx.CollectRows(rows, func(pgx.CollectableRow) (int, error) { ended++; return 0, nil })
				return err
			})
		}
	}
	line.Queue(&b)
	err = l.rows.Do(ctx, &b)
	return ended, err
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

// later remembers revocations that PostgreSQL could not take; the feed writes them before it reads again.
func (l *ledger) later(rows []*revocation) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.unwritten)+len(rows) > maxUnwritten {
		return errQueueFull
	}
	l.unwritten = append(l.unwritten, rows...)
	l.met.unwritten.Set(float64(len(l.unwritten)))
	return nil
}

func (l *ledger) writeUnwritten(ctx context.Context) error {
	for {
		l.mu.Lock()
		batch := l.unwritten[:min(len(l.unwritten), 500)]
		l.mu.Unlock()
		if len(batch) == 0 {
			return nil
		}
		rows := make([]*revocation, len(batch))
		for i, r := range batch {
			again := *r // r is in the denylist without an id, which readers may be looking at
			rows[i] = &again
		}
		_, err := l.write(ctx, rows, AuditEntry{Actor: "system", Action: "revocation.late", Outcome: "ok",
			Detail: map[string]any{"rows": len(rows), "first": rows[0].Subject}})
		if err != nil {
			return err
		}
		l.mu.Lock()
		l.unwritten = l.unwritten[len(batch):]
		l.met.unwritten.Set(float64(len(l.unwritten)))
		l.mu.Unlock()
	}
}

// forget deletes the rows that can revoke nothing any more, and their receipts with them.
func (l *ledger) forget(ctx context.Context) error {
	var b pgx.Batch
	b.Queue(`DELETE FROM app.revocations WHERE until < clock_timestamp() - interval '1 day'`)
	return l.rows.Do(ctx, &b)
}
