package migrations

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// lock holds off other migrations of this database until the connection ends. The files take the same lock
// for their transaction, which is free for whoever holds it already; so psql and we exclude each other.
func lock(ctx context.Context, conn *pgx.Conn, log *slog.Logger) error {
	for waited := false; ; waited = true {
		var got bool
		err := conn.QueryRow(ctx, "select pg_try_advisory_lock(hashtextextended('rosetree.migrations', 0))").Scan(&got)
		if err != nil {
			return fmt.Errorf("migrations: lock: %w", err)
		}
		if got {
			return nil
		}
		if !waited {
			log.Info("another migration runs; waiting for it")
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("migrations: another migration runs: %w", ctx.Err())
		}
	}
}

const (
	maxTries = 8
	maxPause = 5 * time.Second
)

// again repeats do, with growing pauses, while it fails on what passes: a lock that live traffic holds, or
// another database of the cluster that writes the same roles at this moment.
func again(ctx context.Context, log *slog.Logger, what string, do func() error) error {
	pause := 200 * time.Millisecond
	for try := 1; ; try++ {
		err := do()
		if err == nil || !passing(err) || try == maxTries {
			return err
		}
		log.Warn("trying again", "what", what, "try", try, "because", err.Error())
		select {
		case <-time.After(pause + rand.N(pause)):
		case <-ctx.Done():
			return err
		}
		pause = min(2*pause, maxPause)
	}
}

func passing(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return false
	}
	switch pg.Code {
	case "55P03", "40P01", "40001": // lock_timeout, deadlock, serialization
		return true
	case "XX000": // "tuple concurrently updated", on the catalogs that all databases share
		return pg.Message == "tuple concurrently updated" || pg.Message == "tuple concurrently deleted"
	case "23505", "42710": // the other one created the role between our look and our CREATE
		return pg.ConstraintName == "pg_authid_rolname_index" || pg.ConstraintName == "pg_auth_members_role_member_index" || pg.Code == "42710"
	}
	return false
}
