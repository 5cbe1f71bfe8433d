package auth

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	dto "github.com/prometheus/client_model/go"

	"rosetree/internal/devstack"
)

// contention is a migration that holds a table which a request needs.
type contention struct {
	t     *testing.T
	db    *DB
	who   Principal
	owner *pgx.Conn
}

// contend does the work once without contention: its statements are prepared afterwards, as a server's are.
func contend(t *testing.T, do func(context.Context, Rows, *int) error) *contention {
	t.Parallel()
	d := devstack.Test(t).Database(t, migrate)
	c := &contention{t, openDB(t, d), seedUsers(t, d, 1, 3)[0], superuser(t, d)}
	if err := do(t.Context(), c.db.As(c.who), new(int)); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *contention) owns(sql string) {
	c.t.Helper()
	if _, err := c.owner.Exec(c.t.Context(), sql); err != nil {
		c.t.Fatal(err)
	}
}

// waited returns once a connection of the runtime role waits for a lock.
func (c *contention) waited() {
	c.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		var waits bool
		if err := c.owner.QueryRow(c.t.Context(), `SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT l.granted AND a.datname = current_database() AND a.usename = 'rosetree_api')`).Scan(&waits); err != nil {
			c.t.Fatal(err)
		}
		if waits {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatal("nobody waits for a lock")
		}
	}
}

// work is what requests do with the database, each with a callback or a function that counts what it was given.
var work = map[string]func(context.Context, Rows, *int) error{
	"a batch": func(ctx context.Context, r Rows, seen *int) error {
		var b pgx.Batch
		b.Queue(`SELECT a.id FROM app.accounts a JOIN app.portfolios p ON p.id = a.portfolio_id`).Query(func(rows pgx.Rows) error {
			ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
			*seen += len(ids)
			return err
		})
		return r.Do(ctx, &b)
	},
	"a transaction": func(ctx context.Context, r Rows, seen *int) error {
		return r.Tx(ctx, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, `UPDATE app.accounts SET name = name || '+'`); err != nil {
				return err
			}
			*seen = 0
			var b pgx.Batch
			b.Queue(`SELECT id FROM app.portfolios`).Query(func(rows pgx.Rows) error {
				ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
				*seen += len(ids)
				return err
			})
			return tx.SendBatch(ctx, &b).Close()
		})
	},
}

// A lock that is held for longer than a login waits for one costs a request time, and not its answer.
func TestALockThatAMigrationHoldsIsWaitedFor(t *testing.T) {
	for name, do := range work {
		t.Run(name, func(t *testing.T) {
			c := contend(t, do)
			c.owns(`BEGIN; LOCK TABLE app.portfolios IN ACCESS EXCLUSIVE MODE`)
			seen, done := 0, make(chan error, 1)
			go func() { done <- do(context.Background(), c.db.As(c.who), &seen) }()
			c.waited()
			c.begunAgain() // the login's lock_timeout has ended the first try
			c.owns(`COMMIT`)
			c.check(<-done, seen)
		})
	}
}

// Where PostgreSQL ends a deadlock at the request's cost, the request begins again.
func TestADeadlockWithAMigrationIsBegunAgain(t *testing.T) {
	for name, do := range work {
		t.Run(name, func(t *testing.T) {
			c := contend(t, do)
			c.owns(`SET deadlock_timeout = '1min'; BEGIN; LOCK TABLE app.portfolios IN ACCESS EXCLUSIVE MODE`)
			seen, done := 0, make(chan error, 1)
			go func() { done <- do(context.Background(), c.db.As(c.who), &seen) }()
			c.waited() // it has accounts and waits for portfolios
			c.owns(`LOCK TABLE app.accounts IN ACCESS EXCLUSIVE MODE; COMMIT`)
			c.check(<-done, seen)
		})
	}
}

func (c *contention) check(err error, seen int) {
	c.t.Helper()
	if err != nil || seen != 1 {
		c.t.Errorf("saw %d rows, want 1: %v", seen, err)
	}
	if c.retries() == 0 {
		c.t.Error("it was not begun again, so this proves nothing")
	}
}

// begunAgain returns once a request has been begun again.
func (c *contention) begunAgain() {
	c.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); c.retries() == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatal("the request waits, and is not begun again")
		}
	}
}

func (c *contention) retries() float64 {
	c.t.Helper()
	var m dto.Metric
	if err := c.db.metrics.retries.Write(&m); err != nil {
		c.t.Fatal(err)
	}
	return m.Counter.GetValue()
}
