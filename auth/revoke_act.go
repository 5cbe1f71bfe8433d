package auth

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// revokeWith is revoke for a revocation that belongs to an act on the database, such as a change of password: both, and the audit's
// lines, are one transaction. So a crash leaves either the old password with the sessions that it opened, or the new one and a
// ledger that ends them. Without PostgreSQL nothing happens at all.
func (rv *revoker) revokeWith(ctx context.Context, t Target, by Actor, why Reason, acts ...func(*pgx.Batch)) (Receipt, error) {
	r, err := rv.row(t, by, why)
	if err != nil {
		return Receipt{}, err
	}
	// Not the caller's context: a client that goes away between the commit and Redis must not leave the sessions there.
	work, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordLimit)
	defer cancel()
	ended, err := rv.ledger.writeAct(work, r, acts...)
	if err != nil {
		return Receipt{}, err // where the answer to a commit was lost, the feed brings the row
	}
	out := Receipt{ID: r.ID, Durable: true, Sockets: rv.endHere(r), Redis: "ok"}
	inRedis, err := rv.inRedis(ctx, r)
	if err != nil {
		rv.behind.Store(true)
		out.Redis = "pending"
		rv.log.Warn("revocations: Redis is told later", "cause", err)
	}
	out.Sessions = max(inRedis, ended)
	return out, nil
}
