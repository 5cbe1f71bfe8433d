package auth

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"rosetree/internal/api"
	"rosetree/internal/devstack"
)

// dbLoad is users who write and read without a pause while the database goes away and comes back.
type dbLoad struct {
	db  *DB
	who []Principal

	mu     sync.Mutex
	acked  map[string]UserID // ids of transactions whose write was acknowledged; guarded by mu
	failed []dbFailure       // guarded by mu
	wrong  []string          // guarded by mu
}

type dbFailure struct {
	at   time.Time
	took time.Duration
	err  error
}

func (l *dbLoad) run(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	l.acked = map[string]UserID{}
	for _, p := range l.who {
		wg.Go(func() {
			for ctx.Err() == nil {
				l.step(p)
			}
		})
	}
	return func() { cancel(); wg.Wait() }
}

func (l *dbLoad) step(p Principal) {
	id, began := uuid.NewString(), time.Now()
	var foreign int
	var b pgx.Batch
	b.Queue("insert into app.transactions (user_id, id, portfolio_id, account_id, type, amount, currency, executed_at) values ($1, $2, $1, $1, 'deposit', 1, 'USD', now())", string(p.User), id)
	b.Queue("select count(*) from app.transactions where user_id <> $1", string(p.User)).QueryRow(func(row pgx.Row) error { return row.Scan(&foreign) })
	err := l.db.As(p).Do(context.Background(), &b)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err != nil:
		l.failed = append(l.failed, dbFailure{began, time.Since(began), err})
	default:
		l.acked[id] = p.User
	}
	if foreign > 0 {
		l.wrong = append(l.wrong, fmt.Sprintf("%s saw %d foreign rows", p.User, foreign))
	}
}

func (l *dbLoad) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acked)
}

// check holds the promises: no wrong row, no lost acknowledged write, errors only in the outage and bounded.
func (l *dbLoad) check(t *testing.T, c *pgCluster, from, until time.Time) {
	t.Helper()
	for _, w := range l.wrong {
		t.Error(w)
	}
	kept := map[string]bool{}
	for id := range strings.SplitSeq(c.exec("select id from app.transactions"), "\n") {
		kept[id] = true
	}
	lost := 0
	for id := range l.acked {
		if !kept[id] {
			lost++
		}
	}
	if lost > 0 {
		t.Errorf("%d of %d acknowledged writes are lost", lost, len(l.acked))
	}
	var longest time.Duration
	for _, f := range l.failed {
		if end := f.at.Add(f.took); end.Before(from) || f.at.After(until) {
			t.Errorf("an error outside the outage: %v after %v: %v", f.at.Sub(from), f.took, f.err)
		}
		if p := api.ProblemOf(f.err); p.Code != "unavailable" || p.RetryAfter <= 0 {
			t.Errorf("a client would be told %q: %v", p.Code, f.err)
		}
		longest = max(longest, f.took)
	}
	if longest > 8*time.Second {
		t.Errorf("somebody waited %v for an error", longest)
	}
	t.Logf("%d acknowledged writes, %d errors in an outage of %v, the longest wait for one %v", len(l.acked), len(l.failed), until.Sub(from).Round(time.Millisecond), longest.Round(time.Millisecond))
}

func startDBLoad(t *testing.T, c *pgCluster, url string) (*dbLoad, func()) {
	t.Helper()
	if err := migrate(t.Context(), c.url("owner", "postgres"), c.url("rosetree_api", "postgres")); err != nil {
		t.Fatal(err)
	}
	who := seedUsers(t, devstack.DB{OwnerURL: c.url("owner", "postgres")}, 8, 0)
	db, err := OpenDB(t.Context(), DBConfig{URL: Secret(url), MaxConns: 6}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	l := &dbLoad{db: db, who: who}
	stop := l.run(t.Context())
	t.Cleanup(stop)
	l.await(t, 50)
	return l, stop
}

func (l *dbLoad) await(t *testing.T, more int) {
	t.Helper()
	want := l.count() + more
	for end := time.Now().Add(20 * time.Second); l.count() < want; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the load does not come back: %v", l.failed[len(l.failed)-1].err)
		}
	}
}

func TestPostgresRestartedUnderLoad(t *testing.T) {
	for name, how := range map[string]syscall.Signal{"fast": syscall.SIGINT, "immediate": syscall.SIGQUIT} {
		t.Run(name, func(t *testing.T) {
			c := newPgCluster(t)
			l, stop := startDBLoad(t, c, c.url("rosetree_api", "postgres"))
			from := time.Now()
			c.stop(how)
			c.start()
			l.await(t, 1)
			until := time.Now()
			l.await(t, 50)
			stop()
			l.check(t, c, from, until.Add(time.Second)) // a connection that was idle throughout is found dead once more
		})
	}
}

func TestPostgresSwitchedOverUnderLoad(t *testing.T) {
	a := newPgCluster(t)
	b := a.standby()
	// Acknowledged means: on both. Without it a switchover may lose what the standby had not heard.
	a.exec("alter system set synchronous_standby_names = '*'")
	a.exec("select pg_reload_conf()")
	url := "postgres://rosetree_api:password@127.0.0.1:" + strconv.Itoa(a.port) + ",127.0.0.1:" + strconv.Itoa(b.port) + "/postgres?sslmode=disable&target_session_attrs=read-write"
	l, stop := startDBLoad(t, a, url)
	from := time.Now()
	a.stop(syscall.SIGINT)
	b.exec("select pg_promote()") // a copy of a before the setting: it waits for nobody
	l.await(t, 1)
	until := time.Now()
	l.await(t, 50)
	stop()
	l.check(t, b, from, until.Add(time.Second))
}
