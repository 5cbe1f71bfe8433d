package auth

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"rosetree/internal/api"
	"rosetree/internal/devstack"
)

// superuser is a connection that row security does not hold: what is really there.
func superuser(t testing.TB, d devstack.DB) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), d.OwnerURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// seedUsers makes users with one portfolio and account each, and n transactions, all by the superuser.
func seedUsers(t testing.TB, d devstack.DB, users, n int) []Principal {
	t.Helper()
	conn := superuser(t, d)
	var b pgx.Batch
	var all []Principal
	for range users {
		id := uuid.Must(uuid.NewV7()).String()
		all = append(all, Principal{User: UserID(id)})
		b.Queue("INSERT INTO app.users (id, email) VALUES ($1, $2)", id, id+"@example.com")
		b.Queue("INSERT INTO app.portfolios (user_id, id, name) VALUES ($1, $1, 'P')", id)
		b.Queue("INSERT INTO app.accounts (user_id, id, portfolio_id) VALUES ($1, $1, $1)", id)
		b.Queue(`INSERT INTO app.transactions (user_id, id, portfolio_id, account_id, type, symbol, quantity, price, currency, executed_at)
			SELECT $1, gen_random_uuid(), $1, $1, 'buy', 'S' || n % 20, n, 1, 'USD', now() - n * interval '1 hour' FROM generate_series(1, $2) n`, id, n)
	}
	if err := conn.SendBatch(t.Context(), &b).Close(); err != nil {
		t.Fatal(err)
	}
	return all
}

// oneRow runs one statement for r and scans its one row.
func oneRow(ctx context.Context, r Rows, to any, sql string, args ...any) error {
	var b pgx.Batch
	b.Queue(sql, args...).QueryRow(func(row pgx.Row) error { return row.Scan(to) })
	return r.Do(ctx, &b)
}

func sqlState(err error) string {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code
	}
	return ""
}

func TestAUserSeesTheirOwnRowsAndNobodyElses(t *testing.T) {
	d := devstack.Test(t).Database(t, migrate)
	db, who := openDB(t, d), seedUsers(t, d, 3, 10)
	for _, p := range who {
		var seen []string
		if err := oneRow(t.Context(), db.As(p), &seen, "select array_agg(distinct user_id::text) from app.transactions"); err != nil || !slices.Equal(seen, []string{string(p.User)}) {
			t.Errorf("%s sees %v, %v", p.User, seen, err)
		}
	}
	var n int
	for name, sql := range map[string]string{
		"read":   "select count(*) from app.transactions where user_id = $1",
		"update": "with w as (update app.transactions set note = 'x' where user_id = $1 returning 1) select count(*) from w",
		"lock":   "select count(*) from (select 1 from app.portfolios where user_id = $1 for update) x",
	} {
		if err := oneRow(t.Context(), db.As(who[0]), &n, sql, string(who[1].User)); err != nil || n != 0 {
			t.Errorf("%s of another's rows: %d, %v", name, n, err)
		}
	}
	for name, sql := range map[string]string{
		"insert":    "insert into app.watchlists (user_id, id, name) values ($1, $1, 'theirs') returning 1",
		"give away": "with w as (update app.portfolios set user_id = $1 returning 1) select count(*) from w",
		"copy from": "copy app.watchlists from stdin",
	} {
		args := []any{string(who[1].User)}
		if name == "copy from" {
			args = nil
		}
		if err := oneRow(t.Context(), db.As(who[0]), &n, sql, args...); err == nil {
			t.Errorf("%s for another: no error", name)
		}
	}
	for _, s := range []Service{ServiceAuth, ServiceFeed, ServiceRelay} {
		if err := oneRow(t.Context(), db.Service(s), &n, "select count(*) from app.transactions"); err != nil || n != 0 {
			t.Errorf("service %s sees %d transactions, %v", s, n, err)
		}
	}
	if err := oneRow(t.Context(), db.As(who[0]), &n, "select count(*) from app.credentials"); err != nil || n != 0 {
		t.Errorf("a user sees %d credentials, %v", n, err)
	}
}

func TestAnIdentityIsAUUIDOrNothing(t *testing.T) {
	db := openDB(t, devstack.Test(t).Database(t, migrate))
	for _, id := range []UserID{"", "x", "00000000-0000-0000-0000-00000000000", "00000000.0000-0000-0000-000000000000", "00000000-0000-0000-0000-00000000000G", "00000000-0000-0000-0000-00000000000A"} {
		var n int
		if err := oneRow(t.Context(), db.As(Principal{User: id}), &n, "select 1"); err == nil {
			t.Errorf("%q was bound", id)
		}
	}
}

func TestATransactionIsAllOrNothingAndOutlivesItsClient(t *testing.T) {
	d := devstack.Test(t).Database(t, migrate)
	db, p := openDB(t, d), seedUsers(t, d, 1, 0)[0]
	ctx, leave := context.WithCancel(t.Context())
	err := db.As(p).Tx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "update app.portfolios set name = 'first'"); err != nil {
			return err
		}
		leave() // the client is gone; the work goes on
		_, err := tx.Exec(ctx, "update app.portfolios set name = 'second'")
		return err
	})
	if err != nil {
		t.Errorf("the client left, and its transaction: %v", err)
	}
	refused := errors.New("no")
	err = db.As(p).Tx(t.Context(), func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), "update app.portfolios set name = 'third'"); err != nil {
			return err
		}
		return refused
	})
	if !errors.Is(err, refused) {
		t.Error(err)
	}
	var b pgx.Batch
	b.Queue("update app.portfolios set name = 'fourth'")
	b.Queue("select 1/0")
	if err := db.As(p).Do(t.Context(), &b); sqlState(err) != "22012" {
		t.Error(err)
	}
	var name string
	if err := oneRow(t.Context(), db.As(p), &name, "select name from app.portfolios"); err != nil || name != "second" {
		t.Errorf("the name is %q, %v", name, err)
	}
	if n := db.pool.Stat().NewConnsCount(); n > 3 {
		t.Errorf("%d connections were made", n)
	}
}

func TestFullMeansWaitABoundedTimeAndThenUnavailable(t *testing.T) {
	d := devstack.Test(t).Database(t, migrate)
	p := seedUsers(t, d, 1, 0)[0]
	db, err := OpenDB(t.Context(), DBConfig{URL: Secret(d.URL), MaxConns: 2, AcquireWait: 200 * time.Millisecond}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var wg sync.WaitGroup
	free := make(chan struct{})
	release := sync.OnceFunc(func() { close(free) })
	defer release() // or a test that fails waits for ever
	for range 2 {
		wg.Go(func() { _ = db.As(p).Tx(t.Context(), func(pgx.Tx) error { <-free; return nil }) })
	}
	for db.pool.Stat().AcquiredConns() < 2 {
		time.Sleep(time.Millisecond)
	}
	start := time.Now()
	err = oneRow(t.Context(), db.As(p), new(int), "select 1")
	problem := api.ProblemOf(err)
	if took := time.Since(start); !errors.Is(err, errBusy) || problem.Code != "unavailable" || problem.RetryAfter <= 0 || took < 150*time.Millisecond || took > 10*time.Second {
		t.Errorf("after %v: %v", took, err)
	}
	left, leave := context.WithCancel(t.Context())
	leave()
	if err := oneRow(left, db.As(p), new(int), "select 1"); !errors.Is(err, context.Canceled) || errors.Is(err, errBusy) {
		t.Errorf("a client that left while it waited: %v", err)
	}
	release()
	wg.Wait()
	if err := oneRow(t.Context(), db.As(p), new(int), "select 1"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestAnOverprivilegedLoginIsRefused(t *testing.T) {
	d := devstack.Test(t).Database(t, migrate)
	conn := superuser(t, d)
	exec := func(sql string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	exec("DROP ROLE IF EXISTS over; CREATE ROLE over LOGIN PASSWORD 'x'")
	t.Cleanup(func() { conn.Exec(context.Background(), "DROP OWNED BY over; DROP ROLE over") })
	_, rest, _ := strings.Cut(d.URL, "@")
	url := "postgres://over:x@" + rest
	for says, how := range map[string][2]string{
		"is a superuser":      {"ALTER ROLE over SUPERUSER", "ALTER ROLE over NOSUPERUSER"},
		"has BYPASSRLS":       {"ALTER ROLE over BYPASSRLS", "ALTER ROLE over NOBYPASSRLS"},
		"a member of app":     {"GRANT app TO over", "REVOKE app FROM over"},
		"may use app_private": {"GRANT USAGE ON SCHEMA app_private TO over", "REVOKE USAGE ON SCHEMA app_private FROM over"},
	} {
		exec(how[0])
		if db, err := OpenDB(t.Context(), DBConfig{URL: Secret(url)}, nil); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, %v", how[0], db, err)
		}
		exec(how[1])
	}
	if _, err := OpenDB(t.Context(), DBConfig{URL: Secret(devstack.Test(t).Empty(t).OwnerURL)}, nil); err == nil || !strings.Contains(err.Error(), "superuser") {
		t.Errorf("the owner's own login: %v", err)
	}
	var other SecretKey
	if err := other.UnmarshalText([]byte(strings.Repeat("ab", 31) + "cd")); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenDB(t.Context(), DBConfig{URL: Secret(d.URL), Secret: other}, nil); err == nil || !strings.Contains(err.Error(), "SECRET_KEY") {
		t.Errorf("another key: %v", err)
	}
}

// queriesOutside finds what could reach PostgreSQL without an identity.
var queriesOutside = regexp.MustCompile(`pgxpool\.|pgx\.Connect|database/sql|pgconn\.Connect\w*\(|\.pool\.(Query|Exec|Begin|SendBatch|Acquire|CopyFrom)`)

func TestNoQueryOutsideTheBinder(t *testing.T) {
	binder := []string{"auth/db.go", "auth/dbopen.go", "auth/dbmetrics.go", "auth/dblisten.go"} // dblisten only LISTENs
	err := filepath.WalkDir("..", func(path string, entry os.DirEntry, err error) error {
		name := strings.TrimPrefix(filepath.ToSlash(path), "../")
		if err != nil || entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || slices.Contains(binder, name) ||
			strings.HasPrefix(name, "migrations/") || strings.HasPrefix(name, "internal/devstack/") {
			return err
		}
		text, err := os.ReadFile(path)
		for i, line := range strings.Split(string(text), "\n") {
			if code, _, _ := strings.Cut(line, "//"); queriesOutside.MatchString(code) {
				t.Errorf("%s:%d reaches PostgreSQL without an identity: %s", name, i+1, strings.TrimSpace(line))
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// unbound is a query on db's pool that forgot its identity.
func unbound(ctx context.Context, pool *pgxpool.Pool) (rows int, context string, err error) {
	err = pool.QueryRow(ctx, `select (select count(*) from app.transactions) + (select count(*) from app.portfolios) + (select count(*) from app.users) + (select count(*) from app.credentials),
		coalesce(current_setting('rosetree.ctx', true), '')`).Scan(&rows, &context)
	if err != nil {
		err = fmt.Errorf("unbound: %w", err)
	}
	return rows, context, err
}
