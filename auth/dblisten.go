package auth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
)

// errPooled: LISTEN belongs to a connection, and a pooler gives it to somebody else after each transaction.
var errPooled = errors.New("auth: DATABASE_URL leads to a pooler, which does not carry LISTEN")

// listenCheck is how often a silent connection is asked whether it is still there.
const listenCheck = 5 * time.Second

// Listen hears channel on a connection of its own until ctx ends or the connection is lost. heard is called with ""
// once LISTEN holds, and then with each payload. A payload is a hint: whoever hears it reads the rows.
func (db *DB) Listen(ctx context.Context, channel string, heard func(payload string)) error {
	if db.pooler {
		<-ctx.Done() // trying again would not help; callers poll meanwhile
		return errPooled
	}
	config := db.pool.Config().ConnConfig
	config.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler { // the pool's sends a cancel request at each deadline
		return &pgconn.DeadlineContextWatcherHandler{Conn: conn.Conn()}
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("auth: listen: %w", dbProblem(err))
	}
	defer hangUp(conn)
	if _, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{channel}.Sanitize()); err != nil {
		return fmt.Errorf("auth: listen: %w", dbProblem(err))
	}
	heard("")
	for {
		wait, cancel := context.WithTimeout(ctx, listenCheck)
		n, err := conn.WaitForNotification(wait)
		cancel()
		switch {
		case err == nil:
			heard(n.Payload)
		case ctx.Err() != nil:
			return ctx.Err()
		case wait.Err() != nil: // silence; a dead path would look the same, so ask
			if err := db.alive(ctx, conn); err != nil {
				return err
			}
		default:
			return fmt.Errorf("auth: listen: %w", dbProblem(err))
		}
	}
}

// hangUp says goodbye, but not for long: a dead path would hold it for ever.
func hangUp(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	conn.Close(ctx)
}

func (db *DB) alive(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := conn.Ping(ctx); err != nil {
		return fmt.Errorf("auth: listen: %w", dbProblem(err))
	}
	return nil
}
