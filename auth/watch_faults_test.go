package auth

import (
	"context"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"rosetree/internal/devstack"
)

// scale is n, or what the environment variable names: ROSETREE_TEST_SESSIONS=50000 go test -run TestR1 ./auth
func scale(name string, n int) int {
	if set, err := strconv.Atoi(os.Getenv(name)); err == nil && set > 0 {
		return set
	}
	return n
}

// faulty is a watcher that reaches Redis through a network that can fail. There is no ledger: Redis alone has to tell.
type faulty struct {
	*watchEnv
	link   atomic.Pointer[devstack.Link] // where new connections go
	all    []Principal
	victim Principal
}

const bar = time.Second // what is promised under every fault while Redis can be asked

func newFaulty(t *testing.T, r *devstack.Redis) *faulty {
	t.Helper()
	f := &faulty{watchEnv: &watchEnv{t: t, redis: r, admin: r.Client(t), ends: map[SessionID]told{}}}
	f.link.Store(devstack.StartLink(t, r.Addr))
	opt := authOptions(r)
	opt.Dialer = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: 200 * time.Millisecond}).DialContext(ctx, network, f.link.Load().Addr)
	}
	rdb := redis.NewClient(opt)
	t.Cleanup(func() { rdb.Close() })
	f.w = newWatcher(watchConfig{Server: "test"}, rdb,
		nothingDenied{}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	f.run(f.w)
	f.all = principals(t, f.admin, scale("ROSETREE_TEST_SESSIONS", 1000))
	f.victim = f.all[len(f.all)/2]
	f.live()
	f.watchAll(f.all)
	return f
}

// onlyVictim fails where anybody else was closed, and proves that the others are still heard.
func (f *faulty) onlyVictim() {
	f.t.Helper()
	f.live()
	time.Sleep(100 * time.Millisecond)
	if n := f.count(); n != 1 {
		f.t.Errorf("%d sessions were closed, one was revoked", n)
	}
	next := f.all[0]
	f.closed(next.Session, f.del(next), bar)
}

func TestR2_NoFault(t *testing.T) {
	f := newFaulty(t, devstack.Test(t).Redis(t))
	f.closed(f.victim.Session, f.del(f.victim), 250*time.Millisecond)
	f.onlyVictim()
}

func TestR3_HalfOpenSubscriberStillCloses(t *testing.T) {
	f := newFaulty(t, devstack.Test(t).Redis(t))
	old := f.link.Swap(devstack.StartLink(t, f.redis.Addr))
	old.Stall() // every connection that exists, the subscription among them: bytes are acknowledged and go nowhere
	f.closed(f.victim.Session, f.del(f.victim), bar)
	f.onlyVictim()
}

func TestR4_TheSubscriptionIsKilledAtTheMomentOfTheRevocation(t *testing.T) {
	f := newFaulty(t, devstack.Test(t).Redis(t))
	at := time.Now()
	pipe := f.admin.Pipeline()
	pipe.Do(t.Context(), "CLIENT", "KILL", "TYPE", "pubsub")
	pipe.Del(t.Context(), sessionKey(f.victim.Session))
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.closed(f.victim.Session, at, bar)
	f.onlyVictim()
}

func TestR5_NotificationsAreSwitchedOff(t *testing.T) {
	f := newFaulty(t, devstack.Test(t).Redis(t))
	f.redis.Configure(t, "notify-keyspace-events", "")
	f.closed(f.victim.Session, f.del(f.victim), bar)
	other := f.all[1] // and with the watcher long since polling
	time.Sleep(700 * time.Millisecond)
	f.closed(other.Session, f.del(other), bar)
	late := principals(t, f.admin, 1)[0] // and for a socket that comes now
	f.watchAll([]Principal{late})
	f.closed(late.Session, f.del(late), bar)
	if n := f.count(); n != 3 {
		t.Errorf("%d sessions were closed, three were revoked", n)
	}
	f.redis.Configure(t, "notify-keyspace-events", "Kgxe")
	f.live()
}

func TestR6_FlushAllClosesEverybody(t *testing.T) {
	f := newFaulty(t, devstack.Test(t).Redis(t))
	at := time.Now()
	f.admin.FlushAll(t.Context())
	f.within(10*time.Second, "all to be closed", func() bool { return f.count() == len(f.all) })
	f.closed(f.victim.Session, at, bar)
}

func TestR6_SwapDBClosesEverybody(t *testing.T) {
	f := newFaulty(t, devstack.Test(t).Redis(t))
	at := time.Now()
	f.admin.Do(t.Context(), "SWAPDB", 0, 1)
	f.within(10*time.Second, "all to be closed", func() bool { return f.count() == len(f.all) })
	f.closed(f.victim.Session, at, bar)
}

// TestR7 has the subscription on an old master that lives and is cut off from the writes.
func TestR7_TheSubscriberIsLeftOnAnOldMaster(t *testing.T) {
	env := devstack.Test(t)
	f := newFaulty(t, env.Redis(t))
	heir := env.Redis(t)
	heir.Configure(t, "requirepass", f.redis.Password)
	newMaster := redis.NewClient(&redis.Options{Addr: heir.Addr, Password: f.redis.Password})
	t.Cleanup(func() { newMaster.Close() })
	copyKeys(t, f.admin, newMaster)
	f.link.Store(devstack.StartLink(t, heir.Addr))
	f.admin.Do(t.Context(), "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes") // commands move, the subscription stays
	f.admin = newMaster
	f.closed(f.victim.Session, f.del(f.victim), bar)
	f.onlyVictim()
}

func copyKeys(t *testing.T, from, to redis.UniversalClient) {
	t.Helper()
	ctx := t.Context()
	for _, key := range from.Keys(ctx, "rt:*").Val() {
		dump, ttl := from.Dump(ctx, key).Val(), from.PTTL(ctx, key).Val()
		if err := to.Restore(ctx, key, max(ttl, 0), dump).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestR8_RedisDiesAndComesBackEmpty(t *testing.T) {
	f := newFaulty(t, devstack.Test(t).Redis(t))
	f.redis.Kill(t)
	time.Sleep(500 * time.Millisecond)
	if n := f.count(); n != 0 {
		t.Errorf("%d sessions were closed by an outage", n)
	}
	f.redis.Restart(t, false)
	at := time.Now()
	f.within(10*time.Second, "all to be closed", func() bool { return f.count() == len(f.all) })
	f.closed(f.victim.Session, at, bar)
}

func TestR9_RedisFreezesForThreeSeconds(t *testing.T) {
	f := newFaulty(t, devstack.Test(t).Redis(t))
	f.redis.Freeze(t)
	go f.admin.Del(context.Background(), sessionKey(f.victim.Session)) // it waits in Redis' socket
	time.Sleep(time.Duration(scale("ROSETREE_TEST_FREEZE_MS", 1500)) * time.Millisecond)
	if n := f.count(); n != 0 {
		t.Errorf("%d sessions were closed by a pause", n)
	}
	f.redis.Thaw(t)
	f.closed(f.victim.Session, time.Now(), bar)
	f.onlyVictim()
}

// TestR10 gives subscribers so little room that Redis throws the watcher out while it is stalled.
func TestR10_TheSubscriptionOverflows(t *testing.T) {
	f := newFaulty(t, devstack.Test(t).StartRedis(t, map[string]string{"client-output-buffer-limit": "pubsub 64kb 32kb 1"}))
	f.link.Load().Delay(200 * time.Millisecond)
	go func() { // noise on a watched channel fills the buffer
		for range 30_000 {
			f.admin.Publish(context.Background(), f.w.prefix+sessionKey(f.all[3].Session), "hset")
		}
	}()
	time.Sleep(300 * time.Millisecond)
	at := f.del(f.victim)
	f.link.Load().Delay(0)
	f.closed(f.victim.Session, at, bar)
	f.onlyVictim()
}

func TestR11_PermissionToSubscribeIsTakenAway(t *testing.T) {
	f := newFaulty(t, devstack.Test(t).Redis(t))
	f.admin.Do(t.Context(), "ACL", "SETUSER", "default", "resetchannels") // Redis also cuts the subscription
	f.closed(f.victim.Session, f.del(f.victim), bar)
	f.admin.Do(t.Context(), "ACL", "SETUSER", "default", "allchannels")
	f.onlyVictim()
}

func TestR11_TheNarrowACLIsEnough(t *testing.T) {
	r := devstack.Test(t).Redis(t)
	admin := r.Client(t)
	args := []any{"ACL", "SETUSER", "rosetree", "on", ">narrow"}
	for _, rule := range narrowACL(0) {
		args = append(args, rule)
	}
	if err := admin.Do(t.Context(), args...).Err(); err != nil {
		t.Fatal(err)
	}
	opt := authOptions(r)
	opt.Username, opt.Password = "rosetree", "narrow"
	rdb := redis.NewClient(opt)
	t.Cleanup(func() { rdb.Close() })
	e := &watchEnv{t: t, redis: r, admin: admin, ends: map[SessionID]told{}}
	e.w = newWatcher(watchConfig{Server: "test"}, rdb, nothingDenied{}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	e.run(e.w)
	all := principals(t, admin, 10)
	e.live()
	e.watchAll(all)
	if end := e.closed(all[4].Session, e.del(all[4]), 250*time.Millisecond); end.Heard != "keyspace" {
		t.Errorf("heard by %s", end.Heard)
	}
}

func TestA14_AnOverwrittenKeyIsNoSession(t *testing.T) {
	r := devstack.Test(t).Redis(t)
	rdb := redis.NewClient(authOptions(r))
	t.Cleanup(func() { rdb.Close() })
	e := &watchEnv{t: t, redis: r, admin: r.Client(t), ends: map[SessionID]told{}}
	e.w = newWatcher(watchConfig{Server: "test", SweepEvery: 200 * time.Millisecond, ReadEvery: 300 * time.Millisecond}, rdb,
		nothingDenied{}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	e.run(e.w)
	all := principals(t, e.admin, 10)
	e.live()
	e.watchAll(all)
	at := time.Now()
	e.admin.Set(t.Context(), sessionKey(all[4].Session), "x", 0) // no event without $: only a read finds it
	e.closed(all[4].Session, at, bar)
	at = time.Now()
	e.admin.Rename(t.Context(), sessionKey(all[6].Session), sessionKey(all[5].Session)) // another user's session
	e.closed(all[5].Session, at, bar)
	e.closed(all[6].Session, at, bar)
	at = time.Now()
	e.admin.Set(t.Context(), epochKey(utagOf(all[1].Session)), 1, 0) // "sign out everywhere"
	e.admin.LPush(t.Context(), epochKey(utagOf(all[2].Session)), "x")
	e.admin.HSet(t.Context(), sessionKey(all[3].Session), "role", "admin") // its event is one that we make ourselves
	e.closed(all[1].Session, at, bar)
	e.closed(all[2].Session, at, bar)
	if end := e.closed(all[3].Session, at, bar); end.Reason != EndRoleChanged {
		t.Errorf("another role ended the session with %s", end.Reason)
	}
	if n := e.count(); n != 6 {
		t.Errorf("%d sessions were closed, six were touched", n)
	}
}
