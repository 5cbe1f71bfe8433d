package auth

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"rosetree/internal/devstack"
)

// nothingDenied is a ledger in which nothing stands.
type nothingDenied struct{}

func (nothingDenied) check(Principal) (End, bool) { return End{}, false }

// authOptions are the client's settings for authentication: §3.3 of the design has the reasons.
func authOptions(r *devstack.Redis) *redis.Options {
	return &redis.Options{Addr: r.Addr, Password: r.Password, ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1,
		DialTimeout: 200 * time.Millisecond, ReadTimeout: 200 * time.Millisecond, WriteTimeout: 200 * time.Millisecond, PoolTimeout: 100 * time.Millisecond}
}

// watchEnv is a watcher on a Redis of its own, and what its sockets were told.
type watchEnv struct {
	t     testing.TB
	redis *devstack.Redis
	admin redis.UniversalClient
	w     *watcher

	mu   sync.Mutex
	ends map[SessionID]told
}

type told struct {
	End
	at time.Time
}

func newWatchEnv(t testing.TB, r *devstack.Redis) *watchEnv {
	t.Helper()
	rdb := redis.NewClient(authOptions(r))
	t.Cleanup(func() { rdb.Close() })
	e := &watchEnv{t: t, redis: r, admin: r.Client(t), ends: map[SessionID]told{}}
	e.w = newWatcher(watchConfig{Server: "test"}, rdb, nothingDenied{}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	e.run(e.w)
	return e
}

func (e *watchEnv) run(w *watcher) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); w.run(ctx) }()
	e.t.Cleanup(func() { cancel(); <-done })
}

// live waits until every node hears its events.
func (e *watchEnv) live() {
	e.t.Helper()
	e.within(10*time.Second, "the watcher to be live", func() bool {
		for _, n := range e.w.place.all() {
			if !n.isLive() {
				return false
			}
		}
		return true
	})
}

func (e *watchEnv) within(d time.Duration, what string, ok func() bool) {
	e.t.Helper()
	for deadline := time.Now().Add(d); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			e.t.Fatalf("waited %v for %s", d, what)
		}
	}
}

// principals makes n sessions in Redis, as the store does.
func principals(t testing.TB, rdb redis.UniversalClient, n int) []Principal {
	t.Helper()
	ctx := t.Context()
	now := time.Now()
	all := make([]Principal, n)
	pipe := rdb.Pipeline()
	for i := range all {
		user := UserID(fmt.Sprintf("00000000-0000-7000-8000-%012d", i))
		id := SessionID(utag([]byte("test"), user) + rand.Text()[:16])
		p := Principal{User: user, Role: RoleUser, Session: id, Via: ViaSession, IssuedAt: now, AuthAt: now, Expires: now.Add(time.Hour)}
		all[i] = p
		pipe.HSet(ctx, sessionKey(id), "uid", string(user), "role", "user", "vh", "x", "gen", 0, "iat", now.UnixMilli(), "auth", now.UnixMilli(),
			"abs", now.Add(24*time.Hour).UnixMilli(), "idle", time.Hour.Milliseconds(), "seen", now.UnixMilli())
		pipe.PExpireAt(ctx, sessionKey(id), now.Add(time.Hour))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		t.Fatal(err)
	}
	return all
}

// watchAll has every principal watched, and remembers what each is told. Redis may not answer a starved machine in time; a client
// then comes back, as it is told.
func (e *watchEnv) watchAll(all []Principal) {
	e.t.Helper()
	var wg sync.WaitGroup
	errs := make(chan error, len(all))
	for _, p := range all {
		wg.Go(func() {
			for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
				_, _, err := e.w.watch(e.t.Context(), p, func(end End) { e.tell(p.Session, end) })
				if err == nil {
					return
				}
				if problemCode(err) != "unavailable" || time.Since(began) > 10*time.Second {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		e.t.Fatalf("watch: %v", err)
	default:
	}
}

func (e *watchEnv) tell(id SessionID, end End) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, twice := e.ends[id]; twice {
		e.t.Errorf("session %s was ended twice", id)
	}
	e.ends[id] = told{end, time.Now()}
}

func (e *watchEnv) ending(id SessionID) (told, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	end, ok := e.ends[id]
	return end, ok
}

func (e *watchEnv) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.ends)
}

// closed waits until id has been ended, at most d after since, and says when.
func (e *watchEnv) closed(id SessionID, since time.Time, d time.Duration) told {
	e.t.Helper()
	for {
		if end, ok := e.ending(id); ok {
			took := end.at.Sub(since)
			e.t.Logf("closed after %v (%s, heard by %s)", took.Round(100*time.Microsecond), end.Reason, end.Heard)
			if took > d+slack() {
				e.t.Errorf("closed after %v, promised within %v", took, d)
			}
			return end
		}
		if time.Since(since) > d+10*time.Second {
			e.t.Fatalf("not closed %v after the revocation", time.Since(since))
		}
		time.Sleep(time.Millisecond)
	}
}

// slack is what a busy test machine may add to a promise. On a quiet one: ROSETREE_TEST_SLACK=0s go test ./auth
func slack() time.Duration {
	if d, err := time.ParseDuration(os.Getenv("ROSETREE_TEST_SLACK")); err == nil {
		return d
	}
	return time.Second
}

func (e *watchEnv) del(p Principal) time.Time {
	e.t.Helper()
	at := time.Now()
	if n, err := e.admin.Del(context.Background(), sessionKey(p.Session)).Result(); err != nil || n != 1 {
		e.t.Fatalf("DEL: %d, %v", n, err)
	}
	return at
}

func TestWatch_DelByHandEndsOnlyItsSession(t *testing.T) {
	e := newWatchEnv(t, devstack.Test(t).Redis(t))
	all := principals(t, e.admin, 100)
	e.watchAll(all)
	e.live()
	end := e.closed(all[7].Session, e.del(all[7]), 250*time.Millisecond)
	if end.Reason != EndRevoked || end.Heard != "keyspace" {
		t.Errorf("told %+v", end.End)
	}
	time.Sleep(50 * time.Millisecond)
	if n := e.count(); n != 1 {
		t.Errorf("%d sessions were ended", n)
	}
}

func TestWatch_RefusesASessionThatIsGone(t *testing.T) {
	e := newWatchEnv(t, devstack.Test(t).Redis(t))
	p := principals(t, e.admin, 1)[0]
	e.live()
	e.del(p)
	stop, _, err := e.w.watch(t.Context(), p, func(End) { t.Error("told, although watch refused") })
	if err == nil || stop != nil {
		t.Fatalf("watch of a deleted session: %v", err)
	}
	if len(e.w.sessions) != 0 {
		t.Error("the refused session stays registered")
	}
}

func TestWatch_SocketsOfOneSessionShareASubscription(t *testing.T) {
	e := newWatchEnv(t, devstack.Test(t).Redis(t))
	p := principals(t, e.admin, 1)[0]
	e.live()
	told := make(chan int, 10)
	var stops []func()
	for i := range 3 {
		stop, _, err := e.w.watch(t.Context(), p, func(End) { told <- i })
		if err != nil {
			t.Fatal(err)
		}
		stops = append(stops, stop)
	}
	channel := "__keyspace@0__:" + sessionKey(p.Session)
	if n := e.admin.PubSubNumSub(t.Context(), channel).Val()[channel]; n != 1 {
		t.Errorf("%d subscriptions for three sockets", n)
	}
	stops[1]()
	e.del(p)
	got := map[int]bool{<-told: true, <-told: true}
	if !got[0] || !got[2] {
		t.Errorf("told sockets %v", got)
	}
	select {
	case i := <-told:
		t.Errorf("socket %d was told after it had stopped", i)
	case <-time.After(50 * time.Millisecond):
	}
	e.within(10*time.Second, "the channel to be unsubscribed", func() bool {
		return e.admin.PubSubNumSub(t.Context(), channel).Val()[channel] == 0
	})
}

func TestWatch_TheLastStopUnsubscribes(t *testing.T) {
	e := newWatchEnv(t, devstack.Test(t).Redis(t))
	p := principals(t, e.admin, 1)[0]
	e.live()
	channel := "__keyspace@0__:" + sessionKey(p.Session)
	for range 20 { // fast come and go must end in the right state
		stop, _, err := e.w.watch(t.Context(), p, func(End) {})
		if err != nil {
			t.Fatal(err)
		}
		stop()
	}
	e.within(10*time.Second, "the channel to be unsubscribed", func() bool {
		return e.admin.PubSubNumSub(t.Context(), channel).Val()[channel] == 0
	})
	e.live()
	e.watchAll([]Principal{p})
	e.closed(p.Session, e.del(p), 250*time.Millisecond)
}

func TestWatch_TellsExpiryFromRevocation(t *testing.T) {
	e := newWatchEnv(t, devstack.Test(t).Redis(t))
	p := principals(t, e.admin, 1)[0]
	e.live()
	e.watchAll([]Principal{p})
	e.admin.PExpire(t.Context(), sessionKey(p.Session), 50*time.Millisecond)
	end := e.closed(p.Session, time.Now(), 2*time.Second)
	if end.Reason != EndExpired {
		t.Errorf("told %+v", end.End)
	}
}

func TestWatch_TheNoteOfWhoEndedItIsHeard(t *testing.T) {
	e := newWatchEnv(t, devstack.Test(t).Redis(t))
	p := principals(t, e.admin, 1)[0]
	e.live()
	e.watchAll([]Principal{p})
	e.admin.HSet(t.Context(), endingKey(p.Session), "reason", "replaced", "by", "system", "at", time.Now().UnixMilli())
	end := e.closed(p.Session, e.del(p), 250*time.Millisecond)
	if end.Reason != EndReplaced || end.By != "system" {
		t.Errorf("told %+v", end.End)
	}
}

func TestWatch_AnotherDatabaseNumber(t *testing.T) {
	r := devstack.Test(t).Redis(t)
	opt := authOptions(r)
	opt.DB = 5
	rdb := redis.NewClient(opt)
	t.Cleanup(func() { rdb.Close() })
	e := &watchEnv{t: t, redis: r, admin: rdb, ends: map[SessionID]told{}}
	e.w = newWatcher(watchConfig{Server: "test"}, rdb, nothingDenied{}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	e.run(e.w)
	p := principals(t, rdb, 1)[0]
	e.live()
	e.watchAll([]Principal{p})
	if end := e.closed(p.Session, e.del(p), 250*time.Millisecond); end.Heard != "keyspace" {
		t.Errorf("heard by %s", end.Heard)
	}
}
