package proof

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/crypto/bcrypt"

	"rosetree/internal/devstack"
)

const oldRowsEach = 20 // transactions of each user before the migration

// oldDatabase is the old program's database with rows: those of migrations/testdata/legacy.sql, and people who will log in.
func oldDatabase(t *testing.T, people []string) (db devstack.DB, oldLogin string) {
	t.Helper()
	db = devstack.Test(t).Empty(t)
	script, err := os.ReadFile("../../migrations/testdata/legacy.sql")
	if err != nil {
		t.Fatal(err)
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(goodPassword), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	owner, err := pgx.Connect(t.Context(), db.OwnerURL)
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close(context.Background())
	for _, sql := range append([]string{string(script)}, oldPeople(people, string(hash))...) {
		if _, err := owner.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatal(err)
		}
	}
	u, err := url.Parse(db.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("tracker", "tracker")
	return db, u.String()
}

func oldPeople(people []string, hash string) (statements []string) {
	for _, email := range people {
		statements = append(statements, fmt.Sprintf(`WITH u AS (INSERT INTO public.users (email, name, password_hash) VALUES ('%[1]s', '%[1]s', '%[2]s') RETURNING id),
			p AS (INSERT INTO public.portfolios (user_id, name) SELECT id, 'Mine' FROM u RETURNING id)
			INSERT INTO public.transactions (portfolio_id, symbol, type, quantity, price, date) SELECT id, 'AAPL', 'BUY', 1, 100 + n, date '2024-01-01' + n FROM p, generate_series(1, %[3]d) n`,
			email, hash, oldRowsEach))
	}
	return statements
}

// oldRows is what the old program sees of everybody but alice, for whom it goes on writing: the same before and after.
const oldRows = `SELECT string_agg(md5(x), '' ORDER BY x) FROM (
	SELECT concat_ws('|', u.email, u.currency, p.name, t.type, upper(t.symbol), abs(t.quantity), t.price, t.date) AS x
	  FROM users u JOIN portfolios p ON p.user_id = u.id JOIN transactions t ON t.portfolio_id = p.id WHERE lower(u.email) <> 'alice@example.com') y`

// oldProgram reads and writes by its own login and its own names, until it is switched off.
type oldProgram struct {
	rec  *record
	stop context.CancelFunc
	done chan struct{}
}

func startOldProgram(t *testing.T, rec *record, login string) *oldProgram {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	config, err := pgx.ParseConfig(login)
	if err != nil {
		t.Fatal(err)
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol // its tables become views: a prepared plan would not survive that
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	p := &oldProgram{rec: rec, stop: stop, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		defer conn.Close(context.Background())
		for ctx.Err() == nil {
			p.work(ctx, conn)
			rest(ctx, 50*time.Millisecond)
		}
	}()
	t.Cleanup(p.end)
	return p
}

func (p *oldProgram) work(ctx context.Context, conn *pgx.Conn) {
	for _, sql := range []string{
		`INSERT INTO transactions (portfolio_id, symbol, type, quantity, price, date) SELECT id, 'MSFT', 'BUY', 1, 2, '2024-01-02' FROM portfolios WHERE name = 'Pension'`,
		`SELECT count(*) FROM users u JOIN portfolios p ON p.user_id = u.id JOIN transactions t ON t.portfolio_id = p.id`,
	} {
		began := time.Now()
		_, err := conn.Exec(ctx, sql)
		if ctx.Err() != nil {
			return
		}
		p.rec.did("statement of the old program", time.Since(began))
		if err != nil {
			p.rec.add(&p.rec.failures, "the old program: %v", err)
		}
	}
}

// end switches the old program off.
func (p *oldProgram) end() {
	p.stop()
	<-p.done
}

// owns runs one statement.
func owns(t *testing.T, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// ask reads one value.
func ask(t *testing.T, url, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var value any
	if err := conn.QueryRow(t.Context(), sql).Scan(&value); err != nil {
		t.Fatalf("%s: %v", strings.Join(strings.Fields(sql), " "), err)
	}
	return fmt.Sprint(value)
}
