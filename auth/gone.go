package auth

import (
	"context"
	"net/netip"
	"time"

	"github.com/jackc/pgx/v5"
)

// whyGone is the answer to a well-formed token that no live session has: revoked or expired where its holder once had the session,
// and otherwise a guess. Guesses are counted by address.
func (a *Auth) whyGone(ctx context.Context, t token, ip string) error {
	a.met.badTokens.Inc()
	addr, _ := netip.ParseAddr(ip)
	if b, counts := ofPrefix("token", addr, badTokenRate); counts {
		a.limits.charge(ctx, b)
		if err := a.limits.allow(ctx, b); err != nil {
			return err
		}
	}
	end, found := a.recordedEnd(ctx, t)
	if !found {
		return errBadCredential
	}
	return endProblem(end)
}

const selectEnd = `SELECT verifier, coalesce(end_reason, ''), ended_at IS NOT NULL, expires_at, last_seen_at, idle_ms FROM app.sessions WHERE id = $1`

// recordedEnd reads the durable record. Only who knows the secret learns anything from it.
func (a *Auth) recordedEnd(ctx context.Context, t token) (end End, found bool) {
	var verifier, reason string
	var ended bool
	var expires, seen time.Time
	var idle int64
	var b pgx.Batch
	b.Queue(selectEnd, string(t.id)).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			if err := rows.Scan(&verifier, &reason, &ended, &expires, &seen, &idle); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	if err := a.rows.Do(ctx, &b); err != nil || verifier == "" || !t.matches(verifier) {
		return End{}, false // not knowing why is no reason to answer otherwise than "not valid"
	}
	now := a.clock.now()
	aged := now.After(expires) || now.Sub(seen) > time.Duration(idle)*time.Millisecond
	switch {
	case ended:
		return End{Reason: EndReason(reason)}, true
	case aged:
		return End{Reason: EndExpired}, true
	}
	return End{Reason: EndRevoked}, true // its key was deleted in Redis by hand, evicted or flushed
}
