package auth

import (
	"context"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"rosetree/internal/api"
	"rosetree/internal/devstack"
)

func init() { redis.SetLogger(silent{}) }

// through leads a database URL over a link that can fail.
func through(t *testing.T, dsn string) (string, *devstack.Link) {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	link := devstack.StartLink(t, u.Host)
	u.Host = link.Addr
	return u.String(), link
}

// twoServers share a Redis and a PostgreSQL; both reach PostgreSQL over one link.
type twoServers struct {
	one, two *revokeEnv
	redis    *devstack.Redis
	database *devstack.Link
	owner    string // the database's URL past the link
}

func newTwoServers(t *testing.T, maxBlind time.Duration) *twoServers {
	t.Helper()
	env := devstack.Test(t)
	r, d := env.Redis(t), env.Database(t, migrate)
	dsn, link := through(t, d.URL)
	s := &twoServers{redis: r, database: link, owner: d.URL}
	for name, e := range map[string]**revokeEnv{"one": &s.one, "two": &s.two} {
		db, err := OpenDB(t.Context(), DBConfig{URL: Secret(dsn), AcquireWait: 500 * time.Millisecond, QueryTimeout: time.Second}, prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(db.Close)
		rdb := redis.NewClient(authOptions(r))
		t.Cleanup(func() { rdb.Close() })
		*e = blindRevokeEnv(t, rdb, r.Client(t), db, name, maxBlind)
		(*e).live()
	}
	return s
}

// TestR15 loses a DEL: the replica did not get it and becomes the master.
func TestR15_AStaleReplicaBringsNothingBack(t *testing.T) {
	env := devstack.Test(t)
	master, d := env.StartRedis(t, map[string]string{"repl-diskless-sync-delay": "0"}), env.Database(t, migrate)
	wire := devstack.StartLink(t, master.Addr)
	host, port, _ := strings.Cut(wire.Addr, ":")
	replica := env.StartRedis(t, map[string]string{"replicaof": host + " " + port, "masterauth": master.Password})
	replica.Configure(t, "requirepass", master.Password)
	way := devstack.StartLink(t, master.Addr)
	opt := authOptions(master)
	opt.Addr = way.Addr
	rdb := redis.NewClient(opt)
	t.Cleanup(func() { rdb.Close() })
	e := joinRevokeEnv(t, rdb, master.Client(t), openDB(t, d), "one")
	all := principals(t, e.admin, 20)
	e.live()
	e.watchAll(all)
	heir := redis.NewClient(&redis.Options{Addr: replica.Addr, Password: master.Password})
	t.Cleanup(func() { heir.Close() })
	e.within(10*time.Second, "the replica to have the sessions", func() bool { return heir.DBSize(t.Context()).Val() >= 20 })

	wire.Stall() // what the master writes from here on is lost
	_, at := e.revoke(Target{Kind: KindSession, Session: all[3].Session})
	e.closed(all[3].Session, at, bar)
	master.Kill(t)
	if err := heir.ReplicaOf(t.Context(), "NO", "ONE").Err(); err != nil {
		t.Fatal(err)
	}
	if n := heir.Exists(t.Context(), sessionKey(all[3].Session)).Val(); n != 1 {
		t.Fatal("the replica got the DEL: this test shows nothing")
	}
	way.Retarget(replica.Addr)
	if _, _, err := e.w.watch(t.Context(), all[3], func(End) {}); problemCode(err) != "session_revoked" {
		t.Errorf("the revoked session came back: %v", err)
	}
	e.within(10*time.Second, "the new master to be told", func() bool {
		return heir.Exists(t.Context(), sessionKey(all[3].Session)).Val() == 0
	})
	e.live()
	if n := e.count(); n != 1 {
		t.Errorf("%d sessions were closed, one was revoked", n)
	}
}

func problemCode(err error) string {
	if err == nil {
		return "none"
	}
	return api.ProblemOf(err).Code
}

func TestR16_ARestoredSnapshotBringsNothingBack(t *testing.T) {
	env := devstack.Test(t)
	r := env.Redis(t)
	e := newRevokeEnv(t, r, env.Database(t, migrate), "one")
	all := principals(t, e.admin, 20)
	e.live()
	e.watchAll(all)
	if err := e.admin.Save(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	e.revoke(Target{Kind: KindSession, Session: all[3].Session})
	e.revoke(Target{Kind: KindUser, User: all[4].User})
	r.Kill(t)
	r.Restart(t, true) // with the keys of before
	e.admin = r.Client(t)
	e.live()
	for _, p := range all[3:5] {
		if _, _, err := e.w.watch(t.Context(), p, func(End) {}); problemCode(err) != "session_revoked" {
			t.Errorf("a revoked session came back: %v", err)
		}
	}
	if n := e.admin.Exists(t.Context(), sessionKey(all[3].Session)).Val(); n != 0 {
		t.Error("Redis was trusted before the ledger was brought to it")
	}
	if n := e.count(); n != 2 {
		t.Errorf("%d sessions were closed, two were revoked", n)
	}
}

func TestR17_RedisIsFrozen(t *testing.T) { revokeWithoutRedis(t, (*devstack.Redis).Freeze) }
func TestR17_RedisIsDead(t *testing.T)   { revokeWithoutRedis(t, (*devstack.Redis).Kill) }

func revokeWithoutRedis(t *testing.T, fault func(*devstack.Redis, devstack.TB)) {
	s := newTwoServers(t, time.Minute)
	all := principals(t, s.one.admin, 50)
	s.one.watchAll(all)
	s.two.watchAll(all)
	fault(s.redis, t)
	receipt, at := s.one.revoke(Target{Kind: KindSession, Session: all[3].Session})
	if !receipt.Durable || receipt.Redis != "pending" || receipt.Sockets != 1 {
		t.Errorf("receipt %+v", receipt)
	}
	s.one.closed(all[3].Session, at, 100*time.Millisecond)
	s.two.closed(all[3].Session, at, 100*time.Millisecond)
	deaf := func(e *revokeEnv) func() bool { return func() bool { return !e.w.place.all()[0].isLive() } }
	s.one.within(10*time.Second, "one server to be deaf", deaf(s.one))
	s.two.within(10*time.Second, "the other server to be deaf", deaf(s.two))
	_, at = s.two.revoke(Target{Kind: KindUser, User: all[4].User}) // and in the middle of the outage
	s.one.closed(all[4].Session, at, 100*time.Millisecond)
	if n, m := s.one.count(), s.two.count(); n != 2 || m != 2 {
		t.Errorf("%d and %d sessions were closed, two were revoked", n, m)
	}
	if _, _, err := s.one.w.watch(t.Context(), all[7], func(End) {}); problemCode(err) != "unavailable" {
		t.Errorf("a socket opens although its session cannot be read: %v", err)
	}
}

func TestR17_RedisHearsOfItBeforeItIsTrustedAgain(t *testing.T) {
	s := newTwoServers(t, time.Minute)
	all := principals(t, s.one.admin, 10)
	s.redis.Freeze(t)
	s.one.revoke(Target{Kind: KindSession, Session: all[3].Session})
	s.redis.Thaw(t)
	s.one.within(10*time.Second, "Redis to forget the session", func() bool {
		return s.one.admin.Exists(t.Context(), sessionKey(all[3].Session)).Val() == 0
	})
}

func TestR18_PostgreSQLIsGone(t *testing.T) {
	t.Run("cut", func(t *testing.T) { revokeWithoutDatabase(t, (*devstack.Link).Cut) })
	t.Run("silent", func(t *testing.T) { revokeWithoutDatabase(t, (*devstack.Link).Stall) })
}

func revokeWithoutDatabase(t *testing.T, fault func(*devstack.Link)) {
	s := newTwoServers(t, time.Minute)
	all := principals(t, s.one.admin, 50)
	s.one.watchAll(all)
	s.two.watchAll(all)
	fault(s.database)
	done := make(chan Receipt, 1)
	at := time.Now()
	go func() {
		receipt, _ := s.one.revoke(Target{Kind: KindSession, Session: all[3].Session})
		done <- receipt
	}()
	s.one.closed(all[3].Session, at, bar)
	s.two.closed(all[3].Session, at, bar)
	if receipt := <-done; receipt.Durable || receipt.Redis != "ok" {
		t.Errorf("receipt %+v", receipt)
	}
	s.database.Restore()
	db, err := OpenDB(t.Context(), DBConfig{URL: Secret(s.owner)}, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s.one.within(10*time.Second, "the revocation to become durable", func() bool { return rowsAbout(t, db, all[3].Session) > 0 })
	if n, m := s.one.count(), s.two.count(); n != 1 || m != 1 {
		t.Errorf("%d and %d sessions were closed, one was revoked", n, m)
	}
}

// PostgreSQL loses the connection on which a group of revocations is being written, before and after other groups. Each holds at once, and
// in the end the ledger and the audit log have each of them once.
func TestR18_AGroupOfRevocationsLosesItsConnection(t *testing.T) {
	env := devstack.Test(t)
	d := env.Database(t, migrate)
	s := newRevokeEnv(t, env.Redis(t), d, "one")
	all := principals(t, s.admin, 3*recordWriters+recordGroup)
	s.live()
	s.watchAll(all)
	owner, err := pgx.Connect(t.Context(), d.OwnerURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { owner.Close(context.Background()) })
	count := func(sql string) (n int) {
		t.Helper()
		if err := owner.QueryRow(t.Context(), sql).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	count(`SELECT count(pg_advisory_lock(hashtextextended('rosetree.audit', 0)))`) // whoever writes stops at the audit log's chain
	at := time.Now()
	var revoked sync.WaitGroup
	for _, p := range all {
		revoked.Go(func() { s.revoke(Target{Kind: KindSession, Session: p.Session}) })
	}
	killed := 0
	s.within(10*time.Second, "writers to be waiting and to be killed", func() bool {
		killed += count(`SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'advisory' AND datname = current_database()`)
		return killed >= recordWriters
	})
	count(`SELECT count(pg_advisory_unlock(hashtextextended('rosetree.audit', 0)))`)
	for _, p := range all {
		s.closed(p.Session, at, 10*time.Second)
	}
	revoked.Wait()
	s.within(20*time.Second, "every revocation to be durable", func() bool {
		return count(`SELECT count(DISTINCT subject) FROM app.revocations`) == len(all)
	})
	if rows, lines := count(`SELECT count(*) FROM app.revocations`), count(`SELECT count(*) FROM app.audit`); rows != len(all) || lines != len(all) {
		t.Errorf("%d rows in the ledger and %d lines in the audit log of %d revocations", rows, lines, len(all))
	}
	if broken := count(`SELECT coalesce(app.audit_break(), 0)`); broken != 0 {
		t.Errorf("the audit log's chain is broken at %d", broken)
	}
}

func rowsAbout(t *testing.T, db *DB, id SessionID) (n int) {
	t.Helper()
	var b pgx.Batch
	b.Queue(`SELECT count(*) FROM app.revocations WHERE subject = $1`, string(id)).QueryRow(func(row pgx.Row) error { return row.Scan(&n) })
	if err := db.Service(ServiceAuth).Do(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestR19_WithBothGoneSocketsCloseAtMaxBlind(t *testing.T) {
	const maxBlind = time.Second
	s := newTwoServers(t, maxBlind)
	all := principals(t, s.one.admin, 50)
	legacy := Principal{User: all[0].User, Role: RoleUser, Session: "legacy", Via: ViaLegacy, IssuedAt: time.Now(), Expires: time.Now().Add(time.Hour)}
	s.one.watchAll(append(all, legacy))
	s.redis.Freeze(t)
	s.database.Stall()
	gone := time.Now()
	if _, _, err := s.one.w.watch(t.Context(), all[7], func(End) {}); problemCode(err) != "unavailable" {
		t.Errorf("a socket opens although its session cannot be read: %v", err)
	}
	_, err := s.one.rv.revoke(t.Context(), Target{Kind: KindSession, Session: all[3].Session}, admin, Reason{})
	if problemCode(err) != "unavailable" {
		t.Errorf("a revocation that nobody took: %v", err)
	}
	s.one.closed(all[3].Session, gone, bar) // here, all the same
	if n := s.one.count(); n != 1 {
		t.Errorf("%d sessions were closed before MAX_BLIND", n)
	}
	s.one.within(10*time.Second, "all to be closed", func() bool { return s.one.count() == 51 })
	end, _ := s.one.ending(all[9].Session)
	s.database.Restore() // or closing the pool waits for it
	if took := end.at.Sub(gone); end.Reason != EndUnavailable || took < maxBlind || took > maxBlind+deafSlack+bar+slack() {
		t.Errorf("told %s after %v", end.Reason, took)
	}
}
