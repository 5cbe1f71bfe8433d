package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"rosetree/internal/api"
	"rosetree/internal/devstack"
)

// TestR20 revokes between the moment at which a session is found good and the moment at which its events are heard.
func TestR20_ARevocationBetweenCheckAndSubscriptionIsNotLost(t *testing.T) {
	e := newWatchEnv(t, devstack.Test(t).Redis(t))
	all := principals(t, e.admin, scale("ROSETREE_TEST_ROUNDS", 1000))
	e.live()
	var wg sync.WaitGroup
	refused := 0
	for _, p := range all {
		ended := make(chan End, 1)
		wg.Go(func() {
			time.Sleep(rand.N(time.Millisecond))
			e.admin.Del(context.Background(), sessionKey(p.Session))
		})
		stop, _, err := e.w.watch(t.Context(), p, func(end End) { ended <- end })
		if err != nil {
			refused++
			continue
		}
		select {
		case <-ended:
		case <-time.After(bar + slack()):
			t.Fatal("a revoked session's socket stays open")
		}
		stop()
	}
	wg.Wait()
	t.Logf("%d refused, %d closed", refused, len(all)-refused)
	if refused == 0 || refused == len(all) {
		t.Error("the race was not hit from both sides")
	}
}

// TestR21 stands in for the hub: at the deadline it asks again. Redis' own expiry is late when there are many keys.
func TestR21_ASilentSocketEndsAtItsDeadlineAmongManyKeys(t *testing.T) {
	e := newWatchEnv(t, devstack.Test(t).Redis(t))
	fill(t, e.admin, scale("ROSETREE_TEST_KEYS", 100_000))
	all := principals(t, e.admin, 200)
	e.live()
	pipe := e.admin.Pipeline()
	deadline := time.Now().Add(6 * time.Second) // after every watch has begun, also on a starved machine
	for _, p := range all {
		pipe.PExpireAt(t.Context(), sessionKey(p.Session), deadline)
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		_, now, err := e.w.watch(t.Context(), p, func(end End) { e.tell(p.Session, end) })
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Until(now.Expires), func() {
			for range 20 { // a starved Redis may not answer the first time
				next, err := e.w.recheck(context.Background(), now)
				if err == nil { // in its last millisecond it lives
					pause(t.Context(), time.Until(next.Expires))
				} else if api.ProblemOf(err).Status < 500 {
					return
				}
			}
		})
	}
	for _, p := range all {
		e.within(30*time.Second, "the sessions to expire", func() bool { _, ok := e.ending(p.Session); return ok })
		end, _ := e.ending(p.Session)
		if late := end.at.Sub(deadline); end.Reason != EndExpired || late < -time.Second || late > time.Second+slack() {
			t.Errorf("told %s %v after the deadline", end.Reason, late)
		}
	}
}

// The times in a session are an hour ahead of what Redis says: they must not prolong its last millisecond.
func TestR21_TheLastMillisecondIsNotProlonged(t *testing.T) {
	ahead := time.Now().Add(time.Hour).UnixMilli()
	session := redis.NewSliceResult([]any{"user", "user", "0", "0", "0", fmt.Sprint(ahead), "0", fmt.Sprint(ahead)}, nil)
	a := decodeSession(session, redis.NewDurationResult(0, nil), redis.NewStringResult("0", nil), nil)
	if !a.held.alive || a.held.expires.After(time.Now()) {
		t.Errorf("it lives until %v, %+v", a.held.expires, a)
	}
}

func fill(t *testing.T, rdb redis.UniversalClient, n int) {
	t.Helper()
	const script = `for i = ARGV[1], ARGV[2] do redis.call('SET', 'other:' .. i, i, 'EX', 86400) end`
	for i := 0; i < n; i += 10_000 {
		if err := rdb.Eval(t.Context(), script, nil, i, i+9_999).Err(); err != nil && !errors.Is(err, redis.Nil) {
			t.Fatal(err)
		}
	}
}

// TestR22: a clock of ours that jumps by two hours looks, from here, like times in Redis that are two hours off.
func TestR22_AJumpingClockNeitherEndsNorProlongs(t *testing.T) {
	e := newWatchEnv(t, devstack.Test(t).Redis(t))
	all := principals(t, e.admin, 2)
	e.live()
	deadline := time.Now().Add(4 * time.Second) // after every watch has begun, also on a starved machine
	for i, jump := range []time.Duration{-2 * time.Hour, 2 * time.Hour} {
		key := sessionKey(all[i].Session)
		off := time.Now().Add(jump).UnixMilli()
		e.admin.HSet(t.Context(), key, "seen", off, "abs", off+1000, "idle", 1000, "iat", off)
		e.admin.PExpireAt(t.Context(), key, deadline)
		_, now, err := e.w.watch(t.Context(), all[i], func(end End) { e.tell(all[i].Session, end) })
		if err != nil {
			t.Fatalf("clock off by %v: %v", jump, err)
		}
		if late := now.Expires.Sub(deadline); late < -100*time.Millisecond || late > 100*time.Millisecond+slack() {
			t.Errorf("clock off by %v: is to end %v after its deadline", jump, late)
		}
	}
	for _, p := range all {
		end := e.closed(p.Session, deadline, 2*time.Second)
		if early := deadline.Sub(end.at); end.Reason != EndExpired || early > 100*time.Millisecond {
			t.Errorf("told %s, %v before the deadline", end.Reason, early)
		}
	}
}

func TestR23_AMassRevocationHoldsNobodyUp(t *testing.T) {
	e := newWatchEnv(t, devstack.Test(t).Redis(t))
	all := principals(t, e.admin, scale("ROSETREE_TEST_SESSIONS", 5000))
	e.live()
	e.watchAll(all)
	last := all[len(all)-1]
	worst := make(chan time.Duration)
	stop := make(chan struct{})
	go func() { // what others on this server feel
		late := time.Duration(0)
		for tick := time.Now(); ; {
			select {
			case <-stop:
				worst <- late
				return
			case <-time.After(time.Millisecond):
			}
			late, tick = max(late, time.Since(tick)-time.Millisecond), time.Now()
		}
	}()
	at := time.Now()
	pipe := e.admin.Pipeline()
	for _, p := range all[:len(all)-1] {
		pipe.Del(t.Context(), sessionKey(p.Session))
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.within(10*time.Second, "all to be closed", func() bool { return e.count() == len(all)-1 })
	t.Logf("%d closed in %v", len(all)-1, time.Since(at))
	close(stop)
	t.Logf("a 1 ms ticker was late by at most %v", <-worst)
	e.closed(last.Session, e.del(last), 250*time.Millisecond)
}

func TestR24_AChangeOfRoleEndsSocketsOnEveryServer(t *testing.T) {
	s := newTwoServers(t, time.Minute)
	all := sessionsOf(t, s.one.admin, 3)
	stranger := all[2]
	s.one.watchAll(all[:2])
	s.two.watchAll(all[:2])
	s.one.admin.ZRem(t.Context(), indexKey(utagOf(stranger.Session)), string(stranger.Session[utagLen:]))
	s.one.watchAll([]Principal{stranger})
	at := time.Now()
	if err := s.one.rv.changeRole(t.Context(), all[0].User, RoleAdmin); err != nil {
		t.Fatal(err)
	}
	for _, p := range all[:2] {
		for _, e := range []*revokeEnv{s.one, s.two} {
			if end := e.closed(p.Session, at, bar); end.Reason != EndRoleChanged {
				t.Errorf("told %s", end.Reason)
			}
		}
		p.Role = RoleAdmin // the client connects again
		if _, now, err := s.two.w.watch(t.Context(), p, func(End) {}); err != nil || now.Role != RoleAdmin {
			t.Errorf("connecting again: %v, %v", now.Role, err)
		}
	}
	if _, over := s.one.ending(stranger.Session); over {
		t.Error("a session whose role did not change was ended")
	}
}

func TestR25_TheSessionLimitEndsOnlyTheOldest(t *testing.T) {
	e := newWatchEnv(t, devstack.Test(t).Redis(t))
	e.live()
	st := &sessions{rdb: e.admin, limit: 3, clock: new(clock)}
	user := UserID("00000000-0000-7000-8000-000000000001")
	var all []Principal
	for i := range 4 {
		at := time.Now().Add(time.Duration(i-4) * time.Minute)
		s := &Session{User: user, Role: RoleUser, IssuedAt: at, AuthAt: at, SeenAt: at, Ends: at.Add(time.Hour), Idle: time.Hour}
		if _, err := st.create(t.Context(), s, mintToken(utag([]byte("test"), user)), ""); err != nil {
			t.Fatal(err)
		}
		all = append(all, s.principal())
		if i < 3 {
			e.watchAll(all[i:])
		}
	}
	if end := e.closed(all[0].Session, time.Now(), bar); end.Reason != EndReplaced {
		t.Errorf("told %s", end.Reason)
	}
	time.Sleep(50 * time.Millisecond)
	if n := e.count(); n != 1 {
		t.Errorf("%d sessions were ended", n)
	}
}

// TestR27 starts a server on a Redis that still holds a revoked session.
func TestR27_ARestartedServerKnowsTheLedgerBeforeItLetsAnybodyIn(t *testing.T) {
	env := devstack.Test(t)
	r, d := env.Redis(t), env.Database(t, migrate)
	one := newRevokeEnv(t, r, d, "one")
	all := principals(t, one.admin, 2)
	one.live()
	keys := one.admin.Dump(t.Context(), sessionKey(all[0].Session)).Val()
	one.revoke(Target{Kind: KindSession, Session: all[0].Session})
	one.admin.Restore(t.Context(), sessionKey(all[0].Session), 0, keys)

	rdb := redis.NewClient(authOptions(r))
	t.Cleanup(func() { rdb.Close() })
	rv := newRevoker(revokerConfig{watchConfig: watchConfig{Server: "two"}, Tags: func(u UserID) []string { return []string{utag([]byte("test"), u)} },
		Absolute: time.Hour, MaxBlind: time.Minute}, openDB(t, d), rdb, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	ctx, cancel := context.WithCancel(t.Context())
	go rv.watch.reads.run(ctx) // reads work; the ledger has not been read
	for _, p := range all {
		if _, _, err := rv.watch.watch(ctx, p, func(End) {}); problemCode(err) != "unavailable" {
			t.Errorf("before the ledger is read: %v", err)
		}
	}
	done := make(chan struct{})
	go func() { defer close(done); rv.run(ctx) }()
	defer func() { cancel(); <-done }()
	one.within(10*time.Second, "the ledger to be read", rv.ledger.isLoaded)
	if _, _, err := rv.watch.watch(ctx, all[0], func(End) {}); problemCode(err) != "session_revoked" {
		t.Errorf("a revoked session: %v", err)
	}
	if _, _, err := rv.watch.watch(ctx, all[1], func(End) {}); err != nil {
		t.Errorf("another session: %v", err)
	}
}

// Whoever comes back just as the last one leaves is heard too: Redis' answer to the UNSUBSCRIBE is about the one who left.
func TestWatch_ComingBackAtOnceIsHeard(t *testing.T) {
	e := newWatchEnv(t, devstack.Test(t).Redis(t))
	e.live()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	var comers sync.WaitGroup
	for _, p := range sessionsOf(t, e.admin, 16) {
		comers.Go(func() {
			for i := range 500 {
				stop, _, err := e.w.watch(ctx, p, func(End) {})
				if err != nil {
					t.Errorf("watched %d times, then: %v", i, err)
					return
				}
				stop()
				pause(ctx, rand.N(500*time.Microsecond)) // to come back before, with and after the answer
			}
		})
	}
	comers.Wait()
}

// The keyspace's news and the ledger's may come at the same moment: the receipt counts the sockets that the other is closing.
func TestRevoke_TheReceiptWaitsForSocketsThatOtherNewsIsClosing(t *testing.T) {
	rdb := redis.NewClient(&redis.Options{}) // nobody asks it
	t.Cleanup(func() { rdb.Close() })
	w := newWatcher(watchConfig{Server: "test"}, rdb, nothingDenied{}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	w.consult = func(Principal) bool { return false }
	var observed atomic.Int32
	w.observe = func(_ Principal, _ string, closed []time.Time) { observed.Add(int32(len(closed))) }
	closing, closed, counted := make(chan struct{}), make(chan struct{}), make(chan int32)
	w.register(Principal{Session: "s1", User: "u1"}, &watching{end: func(End) { close(closing); <-closed }})
	go w.end("s1", End{Reason: EndRevoked, Heard: "keyspace"})
	<-closing
	go func() {
		w.apply(&revocation{Kind: KindSession, Subject: "s1"}, "feed")
		counted <- observed.Load()
	}()
	for w.telling.TryRLock() { // until the ledger's news waits
		w.telling.RUnlock()
		select {
		case n := <-counted:
			t.Fatalf("%d sockets were counted while the other news was closing one", n)
		default:
			runtime.Gosched()
		}
	}
	close(closed)
	if n := <-counted; n != 1 {
		t.Errorf("%d sockets were counted", n)
	}
}
