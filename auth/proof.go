package auth

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// proof is what a new session rests on. It is asked again in the transaction that records the session, under a lock that every change
// of a password, a status and a role takes too: who comes second sees what the first has done. So no session that an old password or
// an ended token gave outlives the change that was to end it.
type proof struct {
	user    User
	changed time.Time  // when the password that was shown was set; zero where none was
	held    *Principal // the legacy token that was shown; nil where none was
}

const (
	lockUser  = `SELECT FROM app.users WHERE id = $1::uuid FOR NO KEY UPDATE`
	shareUser = `SELECT FROM app.users WHERE id = $1::uuid FOR SHARE`

	// Statements of their own, because each sees what was committed when it began, and these begin after the lock was given.
	selectProof = `SELECT u.status = 'active' AND u.role = $2 AND ($3::timestamptz IS NULL OR EXISTS (SELECT FROM app.credentials c
		WHERE c.user_id = u.id AND c.changed_at = $3)) FROM app.users u WHERE u.id = $1::uuid`
	// What was revoked before the token was verified, the denylist knew. What came since is among the newest rows.
	selectProofEnded = `SELECT EXISTS (SELECT FROM app.revocations WHERE id > (SELECT max(id) - 1000 FROM app.revocations) AND
		(kind IN ('sid', 'jti') AND subject = $1 OR kind IN ('user', 'before') AND subject = $2 AND keep <> $1 AND not_before >= $3 OR kind = 'all' AND not_before >= $3))`
)

// holds returns the problem to answer with where the proof is worth nothing any more.
func (p proof) holds(ctx context.Context, tx pgx.Tx) error {
	holds, ended := false, false
	var b pgx.Batch
	b.Queue(shareUser, string(p.user.ID))
	b.Queue(selectProof, string(p.user.ID), string(p.user.Role), orNull(p.changed)).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			if err := rows.Scan(&holds); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	if h := p.held; h != nil {
		b.Queue(selectProofEnded, string(h.Session), string(h.User), h.IssuedAt).QueryRow(func(row pgx.Row) error { return row.Scan(&ended) })
	}
	if err := tx.SendBatch(ctx, &b).Close(); err != nil {
		return fmt.Errorf("auth: read what a session rests on: %w", err)
	}
	switch {
	case holds && !ended:
		return nil
	case p.held != nil:
		return errSessionOver
	}
	return errWrongPassword
}

// recorded writes b in one transaction with the question whether p holds.
func (a *Auth) recorded(ctx context.Context, p proof, b *pgx.Batch) error {
	return a.rows.Decide(ctx, func(tx pgx.Tx) error { return p.holds(ctx, tx) }, b)
}
