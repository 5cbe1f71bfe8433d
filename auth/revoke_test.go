package auth

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"rosetree/internal/devstack"
	"rosetree/migrations"
)

func migrate(ctx context.Context, ownerURL, runtimeURL string) error {
	secret, err := SecretKey{}.Or(runtimeURL)
	if err != nil {
		return err
	}
	return migrations.Up(ctx, ownerURL, migrations.Options{ContextKeys: secret.ContextKeys(), RuntimeURL: runtimeURL})
}

func openDB(t *testing.T, d devstack.DB) *DB {
	t.Helper()
	db, err := OpenDB(t.Context(), DBConfig{URL: Secret(d.URL)}, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

// revokeEnv is one server's revoker on a Redis and a PostgreSQL; more servers may join.
type revokeEnv struct {
	*watchEnv
	rv *revoker
	db *DB
}

func newRevokeEnv(t *testing.T, r *devstack.Redis, d devstack.DB, server string) *revokeEnv {
	t.Helper()
	rdb := redis.NewClient(authOptions(r))
	t.Cleanup(func() { rdb.Close() })
	return joinRevokeEnv(t, rdb, r.Client(t), openDB(t, d), server)
}

// watchedSessions is one server that watches n sessions, which made makes.
func watchedSessions(t *testing.T, made func(testing.TB, redis.UniversalClient, int) []Principal, n int) (*revokeEnv, []Principal) {
	t.Helper()
	env := devstack.Test(t)
	e := newRevokeEnv(t, env.Redis(t), env.Database(t, migrate), "one")
	all := made(t, e.admin, n)
	e.live()
	e.watchAll(all)
	return e, all
}

func joinRevokeEnv(t *testing.T, rdb, admin redis.UniversalClient, db *DB, server string) *revokeEnv {
	t.Helper()
	return blindRevokeEnv(t, rdb, admin, db, server, 30*time.Second)
}

func blindRevokeEnv(t *testing.T, rdb, admin redis.UniversalClient, db *DB, server string, maxBlind time.Duration) *revokeEnv {
	t.Helper()
	rv := newRevoker(revokerConfig{watchConfig: watchConfig{Server: server, SweepEvery: 2 * time.Second},
		JournalKeys: [][]byte{[]byte("test")},
		Tags:        func(u UserID) []string { return []string{utag([]byte("test"), u)} },
		Absolute:    24 * time.Hour, MaxBlind: maxBlind}, db, rdb, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	e := &revokeEnv{watchEnv: &watchEnv{t: t, admin: admin, w: rv.watch, ends: map[SessionID]told{}}, rv: rv, db: db}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); rv.run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	e.within(10*time.Second, "the ledger to be read", rv.ledger.isLoaded)
	return e
}

var admin = Actor{As: "admin", User: "00000000-0000-7000-8000-00000000aaaa", IP: "192.0.2.1"}

func (e *revokeEnv) revoke(t Target) (Receipt, time.Time) {
	e.t.Helper()
	at := time.Now()
	receipt, err := e.rv.revoke(context.Background(), t, admin, Reason{Text: "a test"})
	if err != nil {
		e.t.Fatalf("revoke: %v", err)
	}
	return receipt, at
}

func (e *revokeEnv) report(id int64, servers int) Report {
	e.t.Helper()
	var rep Report
	e.within(10*time.Second, fmt.Sprintf("%d receipts", servers), func() (ok bool) {
		var err error
		if rep, err = e.rv.receipts.report(e.t.Context(), id); err != nil {
			e.t.Fatal(err)
		}
		return len(rep.Servers) >= servers
	})
	return rep
}

func TestRevoke_ClosesOnEveryServerWithReceipts(t *testing.T) {
	env := devstack.Test(t)
	r, d := env.Redis(t), env.Database(t, migrate)
	one, two := newRevokeEnv(t, r, d, "one"), newRevokeEnv(t, r, d, "two")
	all := principals(t, one.admin, 10)
	one.live()
	two.live()
	one.watchAll(all)
	two.watchAll(all)
	receipt, at := one.revoke(Target{Kind: KindSession, Session: all[3].Session})
	if !receipt.Durable || receipt.Redis != "ok" || receipt.Sessions != 1 || receipt.Sockets != 1 {
		t.Errorf("receipt %+v", receipt)
	}
	one.closed(all[3].Session, at, 500*time.Millisecond)
	end := two.closed(all[3].Session, at, 500*time.Millisecond)
	if end.Reason != EndRevoked || end.By != "admin" {
		t.Errorf("told %+v", end.End)
	}
	rep := one.report(receipt.ID, 2)
	for _, s := range rep.Servers {
		t.Logf("%+v", s)
		if s.Sockets != 1 || s.Millis > millis(500*time.Millisecond+slack()) || len(s.Each) != 1 || s.Each[0] > s.Millis {
			t.Errorf("receipt of %s: %+v", s.Server, s)
		}
	}
	if one.count() != 1 || two.count() != 1 {
		t.Errorf("%d and %d sessions ended", one.count(), two.count())
	}
	if n := one.admin.Exists(t.Context(), sessionKey(all[3].Session)).Val(); n != 0 {
		t.Error("the key is still in Redis")
	}
	if _, denied := two.rv.denied.check(all[3]); !denied {
		two.within(10*time.Second, "the other server's denylist", func() bool { _, d := two.rv.denied.check(all[3]); return d })
	}
}

// sessionsOf makes n sessions of one user.
func sessionsOf(t testing.TB, rdb redis.UniversalClient, n int) []Principal {
	t.Helper()
	all := principals(t, rdb, 1)
	for len(all) < n {
		all = append(all, principals(t, rdb, 1)[0])
	}
	pipe := rdb.Pipeline()
	for _, p := range all {
		pipe.ZAdd(t.Context(), indexKey(utagOf(p.Session)), redis.Z{Score: float64(time.Now().Add(time.Hour).UnixMilli()), Member: string(p.Session[utagLen:])})
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestRevoke_AUserButOneSession(t *testing.T) {
	e, all := watchedSessions(t, sessionsOf, 5)
	receipt, at := e.revoke(Target{Kind: KindUser, User: all[0].User, Keep: all[2].Session})
	if receipt.Sessions != 4 || receipt.Sockets != 4 {
		t.Errorf("receipt %+v", receipt)
	}
	for i, p := range all {
		if i != 2 {
			e.closed(p.Session, at, 500*time.Millisecond)
		}
	}
	if _, _, err := e.w.watch(t.Context(), all[2], func(End) {}); err != nil {
		t.Errorf("the session that was to stay: %v", err)
	}
	if _, _, err := e.w.watch(t.Context(), all[0], func(End) {}); err == nil {
		t.Error("a revoked session is watched again")
	}
	later := principals(t, e.admin, 1)[0] // the same user logs in again
	later.IssuedAt = e.rv.denied.issueTime(later.User, time.Now())
	if _, denied := e.rv.denied.check(later); denied {
		t.Error("a log-in after the revocation is revoked")
	}
}

// A script that ends all sessions of a user at once keeps Redis from everybody else's prices.
func TestRevoke_AUserOfManySessionsEndsInParts(t *testing.T) {
	e, all := watchedSessions(t, sessionsOf, 2*endAtOnce+2)
	stays, others := all[len(all)-1], all[:len(all)-1]             // behind the first part
	e.admin.ConfigSet(t.Context(), "slowlog-log-slower-than", "0") // all of them
	e.admin.ConfigSet(t.Context(), "slowlog-max-len", "100000")
	receipt, _ := e.revoke(Target{Kind: KindUser, User: stays.User, Keep: stays.Session})
	if receipt.Sessions != len(others) || receipt.Sockets != len(others) || receipt.Redis != "ok" {
		t.Errorf("receipt %+v", receipt)
	}
	parts := 0
	for _, c := range e.admin.SlowLogGet(t.Context(), -1).Val() {
		if len(c.Args) > 1 && c.Args[1] == endUserScript.Hash() {
			parts++
		}
	}
	if parts != 3 {
		t.Errorf("%d scripts ended %d sessions, not %d in each", parts, len(others), endAtOnce)
	}
	tag := utagOf(stays.Session)
	if left := e.admin.ZRange(t.Context(), indexKey(tag), 0, -1).Val(); len(left) != 1 || left[0] != string(stays.Session[utagLen:]) {
		t.Errorf("the index still names %v", left)
	}
	if epoch, gen := e.admin.Get(t.Context(), epochKey(tag)).Val(), e.admin.HGet(t.Context(), sessionKey(stays.Session), "gen").Val(); epoch != "1" || gen != epoch {
		t.Errorf("epoch %q, and %q of the session that stays", epoch, gen)
	}
}

// The server may die after the first part, and nobody may get in by a session of the others.
func TestRevoke_WhatIsLeftAfterTheFirstPartIsNotBelieved(t *testing.T) {
	env := devstack.Test(t)
	e := newRevokeEnv(t, env.Redis(t), env.Database(t, migrate), "one")
	all := sessionsOf(t, e.admin, 5)
	e.live()
	r, err := e.rv.row(Target{Kind: KindUser, User: all[0].User, Keep: all[2].Session}, admin, Reason{})
	if err != nil {
		t.Fatal(err)
	}
	keys, args := endUser(r, utagOf(all[0].Session), true, 1)
	if counts := endUserScript.Run(t.Context(), e.admin, keys, args...).Val(); fmt.Sprint(counts) != "[1 1]" {
		t.Fatalf("deleted and left: %v", counts)
	}
	for i, p := range all {
		if _, _, err := e.w.watch(t.Context(), p, func(End) {}); (err == nil) != (i == 2) {
			t.Errorf("session %d: %v", i, err)
		}
	}
}

func TestRevoke_Everybody(t *testing.T) {
	e, _ := watchedSessions(t, principals, 300)
	receipt, _ := e.revoke(Target{Kind: KindAll})
	if receipt.Sessions != 300 || receipt.Sockets != 300 || e.count() != 300 {
		t.Errorf("receipt %+v, %d told", receipt, e.count())
	}
}

// The feed has taken the row and has closed nothing yet when whoever revoked counts.
func TestRevoke_TheReceiptCountsWhatTheFeedIsClosing(t *testing.T) {
	e, all := watchedSessions(t, principals, 20)
	r, err := e.rv.row(Target{Kind: KindAll}, admin, Reason{Text: "a test"})
	if err != nil {
		t.Fatal(err)
	}
	r.ID = 1 << 40 // the ledger has it
	e.rv.denied.add(r)
	if n := e.rv.endHere(r); n != len(all) || e.count() != len(all) {
		t.Errorf("%d sockets are counted and %d told, of %d", n, e.count(), len(all))
	}
}

func TestRevoke_ALegacyTokenByTheFeedAlone(t *testing.T) {
	env := devstack.Test(t)
	r, d := env.Redis(t), env.Database(t, migrate)
	one, two := newRevokeEnv(t, r, d, "one"), newRevokeEnv(t, r, d, "two")
	p := Principal{User: "00000000-0000-7000-8000-000000000001", Role: RoleUser, Session: "a-legacy-session", Via: ViaLegacy,
		IssuedAt: time.Now(), Expires: time.Now().Add(time.Hour)}
	two.watchAll([]Principal{p})
	_, at := one.revoke(Target{Kind: KindSession, Session: p.Session})
	if end := two.closed(p.Session, at, 500*time.Millisecond); end.Heard != "feed" {
		t.Errorf("heard by %s", end.Heard)
	}
}

func TestRevoke_WhatAPersonWritesIntoTheTableCounts(t *testing.T) {
	env := devstack.Test(t)
	d := env.Database(t, migrate)
	e := newRevokeEnv(t, env.Redis(t), d, "one")
	p := principals(t, e.admin, 1)[0]
	e.live()
	e.watchAll([]Principal{p})
	at := time.Now()
	var b pgx.Batch
	b.Queue(`INSERT INTO app.revocations (kind, subject, reason, actor, until) VALUES ('user', $1, 'stolen laptop', 'psql', 'infinity')`, string(p.User))
	if err := e.db.Service(ServiceAuth).Do(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	if end := e.closed(p.Session, at, 500*time.Millisecond); end.Reason != EndRevoked || end.Heard != "feed" {
		t.Errorf("told %+v", end.End)
	}
}

// TestR26 holds a transaction open that has taken an id, lets a later id commit, and expects the first one all the same.
func TestR26_OutOfOrderIDsInTheLedgerAreNotLost(t *testing.T) {
	e, all := watchedSessions(t, principals, 3)
	insert := func(tx pgx.Tx, p Principal) error {
		_, err := tx.Exec(context.Background(), `INSERT INTO app.revocations (kind, subject, reason, actor, until) VALUES ('sid', $1, 'session_revoked', 'test', clock_timestamp() + interval '1 hour')`, string(p.Session))
		return err
	}
	taken, released := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(released) })
	defer release() // or a test that fails waits for ever
	var committed time.Time
	var wg sync.WaitGroup
	wg.Go(func() {
		err := e.db.Service(ServiceAuth).Tx(context.Background(), func(tx pgx.Tx) error {
			err := insert(tx, all[0])
			close(taken)
			<-released
			committed = time.Now()
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-taken
	if err := e.db.Service(ServiceAuth).Tx(t.Context(), func(tx pgx.Tx) error { return insert(tx, all[1]) }); err != nil {
		t.Fatal(err)
	}
	e.closed(all[1].Session, time.Now(), 500*time.Millisecond)
	if _, ended := e.ending(all[0].Session); ended {
		t.Fatal("the uncommitted revocation took effect")
	}
	e.within(10*time.Second, "the feed to read past the id", func() bool {
		e.rv.ledger.mu.Lock()
		defer e.rv.ledger.mu.Unlock()
		return len(e.rv.ledger.gaps) > 0
	})
	release()
	wg.Wait()
	e.closed(all[0].Session, committed, 500*time.Millisecond)
}
