package auth

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"rosetree/internal/api"
)

// BootstrapToken makes the first administrator: whoever registers with it becomes one, once, while there is none. It follows
// from SECRET_KEY, so `rosetree user bootstrap` can print it on any server, and it is worth nothing afterwards.
func (a *Auth) BootstrapToken() string {
	return "rtb." + sign(a.keys.bootstrap[0], "first administrator")
}

var errBootstrap = api.Forbidden("the bootstrap token is not valid: it works once, while there is no administrator")

const (
	noAdmin = `NOT EXISTS (SELECT FROM app.users WHERE role = 'admin')`
	// Two registrations at once must not both find that there is none.
	lockBootstrap = `SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('rosetree.bootstrap', 0))`
)

func (a *Auth) checkBootstrap(ctx context.Context, presented string) error {
	signature, ours := strings.CutPrefix(presented, "rtb.")
	if !ours || !signedBy(a.keys.bootstrap, "first administrator", signature) {
		return errBootstrap
	}
	none := false
	var b pgx.Batch
	b.Queue(`SELECT ` + noAdmin).QueryRow(func(row pgx.Row) error { return row.Scan(&none) })
	if err := a.rows.Do(ctx, &b); err != nil {
		return err
	}
	if !none {
		return errBootstrap
	}
	return nil
}
