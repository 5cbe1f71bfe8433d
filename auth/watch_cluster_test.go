package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/redis/go-redis/v9"

	"rosetree/internal/devstack"
)

// clusterEnv is a watcher on a cluster of three masters and three replicas, with sessions on all of them.
type clusterEnv struct {
	*watchEnv
	c   *devstack.Cluster
	rdb *redis.ClusterClient // as the server uses it
	all []Principal
}

// election is how long another master may take: one whose votes came too late is held again after six seconds only.
const election = 40 * time.Second

func openCluster(t *testing.T, c *devstack.Cluster) *redis.ClusterClient {
	t.Helper()
	return openRedisURL(t, c.URL).(*redis.ClusterClient)
}

// openRedisURL opens Redis as the server does.
func openRedisURL(t testing.TB, url string) redis.UniversalClient {
	t.Helper()
	rdb, err := OpenRedis(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rdb.Close() })
	return rdb
}

func newClusterEnv(t *testing.T) *clusterEnv {
	t.Helper()
	c := devstack.Test(t).StartCluster(t)
	rdb := openCluster(t, c)
	admin := openAdminCluster(t, c)
	e := &clusterEnv{watchEnv: &watchEnv{t: t, admin: admin, ends: map[SessionID]told{}}, c: c, rdb: rdb}
	e.w = newWatcher(watchConfig{Server: "test"}, rdb, nothingDenied{}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	e.run(e.w)
	e.all = principals(t, admin, scale("ROSETREE_TEST_SESSIONS", 300))
	e.masters(3)
	e.watchAll(e.all)
	return e
}

// openAdminCluster is patient, as a person with redis-cli is.
func openAdminCluster(t *testing.T, c *devstack.Cluster) *redis.ClusterClient {
	t.Helper()
	var addrs []string
	for _, n := range c.Nodes {
		addrs = append(addrs, n.Addr)
	}
	admin := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs, Password: c.Nodes[0].Password, MaxRedirects: 20})
	t.Cleanup(func() { admin.Close() })
	return admin
}

// masters waits until n masters are known and heard.
func (e *clusterEnv) masters(n int) {
	e.t.Helper()
	e.within(election, fmt.Sprintf("%d masters to be heard", n), func() bool {
		nodes := e.w.place.all()
		for _, node := range nodes {
			if !node.isLive() {
				return false
			}
		}
		return len(nodes) == n
	})
}

// each revokes one session of every master, waits for its sockets, and says how many that were: there is one master more where
// one is replaced meanwhile.
func (e *clusterEnv) each(d time.Duration) (revoked int) {
	e.t.Helper()
	done := map[*node]bool{}
	for _, p := range e.all {
		n := e.w.place.nodeFor(utagOf(p.Session))
		if _, over := e.ending(p.Session); done[n] || over {
			continue
		}
		done[n] = true
		e.closed(p.Session, e.del(p), d)
	}
	return len(done)
}

func TestWatch_SlotOfIsTheClustersOwn(t *testing.T) {
	c := devstack.Test(t).StartCluster(t)
	client := c.Nodes[0].Client(t)
	for _, tag := range []string{"", "a", "123456789", "Zm9vYmFyYmF6", "0", "16383"} {
		key := "x{" + tag + "}y"
		if tag == "" {
			key = ""
		}
		if want := client.ClusterKeySlot(t.Context(), key).Val(); int64(slotOf(tag)) != want {
			t.Errorf("slot of %q is %d, Redis says %d", tag, slotOf(tag), want)
		}
	}
}

func TestWatch_AClusterIsHeardOnEveryMaster(t *testing.T) {
	e := newClusterEnv(t)
	e.each(250 * time.Millisecond)
	if n := e.count(); n != 3 {
		t.Errorf("%d sessions were closed, three were revoked", n)
	}
}

// Where every slot has its master nothing is blind, whatever stands in for a master; the alert would never end.
func TestWatch_AClusterIsBlindOnlyWhereSessionsHaveNoMaster(t *testing.T) {
	e := newClusterEnv(t)
	none := e.w.place.(*cluster).lost
	shown := func() (blind, seconds float64) {
		var gauge, counter dto.Metric
		if err := errors.Join(e.w.met.blind.WithLabelValues(none.name).Write(&gauge), e.w.met.blindTime.WithLabelValues(none.name).Write(&counter)); err != nil {
			t.Fatal(err)
		}
		return gauge.GetGauge().GetValue(), counter.GetCounter().GetValue()
	}
	if blind, seconds := shown(); blind != 0 || seconds != 0 {
		t.Errorf("blind %v, for %v s", blind, seconds)
	}
	e.w.mu.Lock()
	s := e.w.sessions[e.all[0].Session]
	e.w.mu.Unlock()
	none.add(s)
	e.within(10*time.Second, "a session without a master to be told of", func() bool { blind, seconds := shown(); return blind == 1 && seconds > 0 })
	none.remove(s)
	e.within(10*time.Second, "the end of that", func() bool { blind, _ := shown(); return blind == 0 })
}

func TestR5_NotificationsAreSwitchedOffInACluster(t *testing.T) {
	e := newClusterEnv(t)
	for _, n := range e.c.Nodes {
		n.Configure(t, "notify-keyspace-events", "")
	}
	e.each(bar)
	if n := e.count(); n != 3 {
		t.Errorf("%d sessions were closed, three were revoked", n)
	}
	for _, n := range e.c.Nodes {
		n.Configure(t, "notify-keyspace-events", "Kgxe")
	}
	e.masters(3)
	e.each(250 * time.Millisecond)
}

func TestR12_SlotsMoveWithLiveSessions(t *testing.T) {
	e := newClusterEnv(t)
	p := e.all[0]
	slot := slotOf(utagOf(p.Session))
	source, target := e.owner(slot), e.other(slot)
	e.moveSlot(slot, source, target)
	e.within(10*time.Second, "the session to be heard at its new master", func() bool {
		e.w.mu.Lock()
		defer e.w.mu.Unlock()
		return e.w.sessions[p.Session].node.name == target.Addr
	})
	e.masters(3)
	time.Sleep(200 * time.Millisecond)
	if n := e.count(); n != 0 {
		t.Fatalf("%d sessions were closed by the move", n)
	}
	end := e.closed(p.Session, e.del(p), bar)
	if end.Heard != "keyspace" {
		t.Errorf("heard by %s", end.Heard)
	}
	e.each(bar)
}

func (e *clusterEnv) owner(slot int) *devstack.Redis {
	e.t.Helper()
	for _, r := range e.admin.ClusterSlots(e.t.Context()).Val() {
		for _, n := range e.c.Nodes {
			if r.Start <= slot && slot <= r.End && r.Nodes[0].Addr == n.Addr {
				return n
			}
		}
	}
	e.t.Fatalf("nobody owns slot %d", slot)
	return nil
}

func (e *clusterEnv) other(slot int) *devstack.Redis {
	e.t.Helper()
	mine := e.owner(slot)
	for _, n := range e.c.Nodes[:3] {
		if n != mine {
			return n
		}
	}
	return nil
}

// moveSlot does what redis-cli --cluster reshard does.
func (e *clusterEnv) moveSlot(slot int, source, target *devstack.Redis) {
	e.t.Helper()
	ctx := e.t.Context()
	from, to := source.Client(e.t), target.Client(e.t)
	fromID, toID := from.ClusterMyID(ctx).Val(), to.ClusterMyID(ctx).Val()
	must := func(cmd redis.Cmder) {
		e.t.Helper()
		if err := cmd.Err(); err != nil {
			e.t.Fatalf("%v: %v", cmd.Args(), err)
		}
	}
	must(to.Do(ctx, "CLUSTER", "SETSLOT", slot, "IMPORTING", fromID))
	must(from.Do(ctx, "CLUSTER", "SETSLOT", slot, "MIGRATING", toID))
	host, port, _ := strings.Cut(target.Addr, ":")
	for _, key := range from.ClusterGetKeysInSlot(ctx, slot, 1000).Val() {
		must(from.Do(ctx, "MIGRATE", host, port, key, 0, 2000, "AUTH", target.Password))
	}
	time.Sleep(100 * time.Millisecond) // keys are away and the slot is not: readers are asked to ASK
	for _, c := range []*redis.Client{to, from} {
		must(c.Do(ctx, "CLUSTER", "SETSLOT", slot, "NODE", toID))
	}
}

func TestR13_AMasterOfTheClusterDies(t *testing.T) {
	e := newClusterEnv(t)
	e.c.Nodes[0].Kill(t)
	e.within(election, "the replica to be heard", func() bool { return e.heard(e.c.Nodes[3].Addr) })
	e.masters(3)
	if n := e.count(); n != 0 {
		t.Fatalf("%d sessions were closed by the crash", n)
	}
	e.admin = openAdminCluster(t, e.c) // the old client still dials the dead
	e.each(bar)
}

func (e *clusterEnv) heard(addr string) bool {
	for _, n := range e.w.place.all() {
		if n.name == addr && n.isLive() {
			return true
		}
	}
	return false
}

func TestR14_AMasterIsReplacedByCommand(t *testing.T) {
	e := newClusterEnv(t)
	if err := e.c.Nodes[3].Client(t).ClusterFailover(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	revoked := e.each(bar) // at once: the old master still passes on what it replicates
	e.within(election, "the new master to be heard", func() bool { return e.heard(e.c.Nodes[3].Addr) })
	e.masters(3)
	revoked += e.each(bar)
	if n := e.count(); n != revoked || revoked < 6 {
		t.Errorf("%d sessions were closed, %d were revoked, of three masters twice", n, revoked)
	}
}

// TestR14 with sentinels: the old master is frozen, not dead, and keeps its connections.
func TestR14_SentinelsReplaceAFrozenMaster(t *testing.T) {
	s := devstack.Test(t).StartSentinel(t)
	rdb, err := OpenRedis(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rdb.Close() })
	e := &watchEnv{t: t, admin: rdb, ends: map[SessionID]told{}}
	e.w = newWatcher(watchConfig{Server: "test"}, rdb, nothingDenied{}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	e.run(e.w)
	all := principals(t, rdb, 100)
	for _, replica := range s.Nodes[1:] {
		client := replica.Client(t)
		e.within(20*time.Second, "the replicas to have the sessions", func() bool { return client.Exists(t.Context(), sessionKey(all[len(all)-1].Session)).Val() == 1 })
	}
	e.live()
	e.watchAll(all)
	old := s.Master(t)
	old.Freeze(t)
	defer old.Thaw(t)
	e.within(election, "another master", func() bool {
		return rdb.Set(context.Background(), "probe", 1, time.Second).Err() == nil && s.Master(t) != old
	})
	e.live()
	if n := e.count(); n != 0 {
		t.Fatalf("%d sessions were closed by the fail-over", n)
	}
	e.closed(all[7].Session, e.del(all[7]), bar)
}

// A slot that moves while Redis cannot be read must not make the watcher forget that Redis said "del" before.
func TestWatch_AMoveDoesNotTakeThePlaceOfADeletion(t *testing.T) {
	for _, events := range [][]string{{"del", eventMoved}, {eventMoved, "del"}} {
		t.Run(strings.Join(events, " then "), func(t *testing.T) {
			nobody := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1})
			t.Cleanup(func() { nobody.Close() })
			r := newReader(nobody)
			heard := make(chan string, 1)
			r.hint = func(_ SessionID, event string, _ held, _ error) { heard <- event }
			for _, event := range events {
				r.look("abcdefghijklmnopqrstuvwxyz01", event)
			}
			go r.run(t.Context())
			if event := <-heard; event != "del" {
				t.Errorf("the unread session is judged by %q, want del", event)
			}
		})
	}
}
