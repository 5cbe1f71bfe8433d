package auth

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rosetree/internal/devstack"
)

// siege is a server whose Redis changes under it while sessions are validated, watched and revoked. Whatever happens to
// Redis: a live session is valid or must wait, and one whose revocation was acknowledged is never accepted again.
type siege struct {
	t *testing.T
	s *server

	mu      sync.Mutex
	live    map[SessionID]string // access tokens
	gone    map[SessionID]string
	wrong   []string
	closed  map[SessionID]End // whose sockets were closed, and why
	waiting time.Duration     // the longest time during which live sessions had to wait
}

func newSiege(t *testing.T, url string, one *devstack.Redis) *siege {
	t.Helper()
	rdb, err := OpenRedis(url)
	if err != nil {
		t.Fatal(err)
	}
	cfg := sessionsOn
	cfg.MaxBlind = time.Minute
	g := &siege{t: t, s: joinServerBy(t, cfg, rdb, one, devstack.Test(t).Database(t, migrate)), live: map[SessionID]string{}, gone: map[SessionID]string{}, closed: map[SessionID]End{}}
	for i := range 24 {
		u := g.s.seedUser(fmt.Sprintf("u%d@example.test", i), RoleUser)
		grant, err := g.s.auth.issue(t.Context(), proof{user: u}, origin{ip: "192.0.2.1"}, "login")
		if err != nil {
			t.Fatal(err)
		}
		p, _, err := g.s.ask(grant.Access)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := g.s.auth.Watch(t.Context(), p, func(e End) { g.ended(p.Session, e) }); err != nil {
			t.Fatal(err)
		}
		g.live[p.Session] = grant.Access
	}
	return g
}

func (g *siege) ended(id SessionID, e End) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed[id] = e
}

// revoke ends one session; from its acknowledgement on it counts as gone.
func (g *siege) revoke() {
	g.t.Helper()
	var id SessionID
	var token string
	g.mu.Lock()
	for id, token = range g.live {
		break
	}
	delete(g.live, id)
	g.mu.Unlock()
	if _, err := g.s.auth.Revoke(context.Background(), Target{Kind: KindSession, Session: id}, tester, Reason{Text: "a test"}); err != nil {
		g.t.Fatalf("revoke: %v", err)
	}
	g.mu.Lock()
	g.gone[id] = token
	g.mu.Unlock()
}

// validate presents every session once and says whether all that live were accepted.
func (g *siege) validate() (all bool) {
	g.mu.Lock()
	live, gone := make([]string, 0, len(g.live)), make([]string, 0, len(g.gone))
	for _, token := range g.live {
		live = append(live, token)
	}
	for _, token := range g.gone {
		gone = append(gone, token)
	}
	g.mu.Unlock()
	all = true
	for _, token := range live {
		if _, _, err := g.s.ask(token); err != nil {
			all = false
			if problemCode(err) != "unavailable" && !g.isGone(token) {
				g.say("a live session is refused: %v", err)
			}
		}
	}
	for _, token := range gone {
		if _, _, err := g.s.ask(token); err == nil {
			g.say("a revoked session is accepted")
		}
	}
	return all
}

// isGone: it may have been revoked since we took it for live.
func (g *siege) isGone(token string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, other := range g.live {
		if other == token {
			return false
		}
	}
	return true
}

func (g *siege) say(format string, args ...any) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.wrong = append(g.wrong, fmt.Sprintf(format, args...))
}

// hold validates all the time while fault changes Redis, until changed says that the change is over and every live session is
// valid again. Sessions are revoked before, during and after.
func (g *siege) hold(name string, fault func(), changed func() bool) {
	g.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		last := time.Now()
		for ctx.Err() == nil {
			if g.validate() {
				last = time.Now()
			}
			g.waiting = max(g.waiting, time.Since(last))
			pause(ctx, 10*time.Millisecond)
		}
	})
	g.revoke()
	fault()
	g.revoke()
	g.s.within(30*time.Second, name, changed)
	g.s.within(30*time.Second, "every live session to be valid after "+name, g.validate)
	g.revoke()
	g.validate()
	stop()
	wg.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.t.Logf("%s: live sessions had to wait for at most %v; %d live, %d revoked", name, g.waiting.Round(time.Millisecond), len(g.live), len(g.gone))
	for _, wrong := range g.wrong {
		g.t.Errorf("%s: %s", name, wrong)
	}
	for id, e := range g.closed {
		if g.gone[id] == "" {
			g.t.Errorf("%s: the socket of a live session was closed: %+v", name, e)
		}
	}
	g.wrong, g.waiting = nil, 0
}

// ids are the live sessions.
func (g *siege) ids() (ids []SessionID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for id := range g.live {
		ids = append(ids, id)
	}
	return ids
}

// replicated waits until a master's replicas have what it holds: a log-in that no replica has heard of is lost with its
// master, and that is not what is tested here.
func replicated(t *testing.T, master *devstack.Redis, replicas int) {
	t.Helper()
	client := master.Client(t)
	info := func() string { return client.Info(t.Context(), "replication").Val() }
	written := offsets(masterOffset, info())
	if len(written) != 1 {
		t.Fatalf("%s is no master: %q", master.Addr, info())
	}
	for deadline := time.Now().Add(30 * time.Second); ; pause(t.Context(), 20*time.Millisecond) {
		have := 0
		for _, offset := range offsets(replicaOffset, info()) {
			if offset >= written[0] {
				have++
			}
		}
		if have >= replicas {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("replicated to %d of %d", have, replicas)
		}
	}
}

// What a master says of itself and of each replica in INFO. WAIT would speak only of its own connection's writes.
var (
	masterOffset  = regexp.MustCompile(`(?m)^master_repl_offset:(\d+)`)
	replicaOffset = regexp.MustCompile(`(?m)^slave\d+:.*offset=(\d+)`)
)

func offsets(which *regexp.Regexp, info string) (all []int64) {
	for _, m := range which.FindAllStringSubmatch(info, -1) {
		all = append(all, parseInt(m[1]))
	}
	return all
}

func isMaster(t *testing.T, n *devstack.Redis) func() bool {
	client := n.Client(t)
	return func() bool { return strings.Contains(client.Info(t.Context(), "replication").Val(), "role:master") }
}

func TestSentinel_SessionsLiveAndRevocationsHoldThroughAFailOver(t *testing.T) {
	s := devstack.Test(t).StartSentinel(t)
	g := newSiege(t, s.URL, s.Nodes[0])
	old := s.Master(t)
	replicated(t, old, 2)
	g.hold("fail-over by command", func() {
		sentinel := redis.NewSentinelClient(&redis.Options{Addr: s.Sentinels[0].Addr, Password: s.Sentinels[0].Password})
		defer sentinel.Close()
		if err := sentinel.Failover(t.Context(), "rosetree").Err(); err != nil {
			t.Fatal(err)
		}
	}, func() bool { return s.Master(t) != old })
	old = s.Master(t)
	g.s.within(30*time.Second, "the old master to follow the new one", func() bool {
		return strings.Contains(old.Client(t).Info(t.Context(), "replication").Val(), "connected_slaves:2")
	})
	replicated(t, old, 2)
	g.hold("fail-over by kill", func() { old.Kill(t) }, func() bool { return s.Master(t) != old })
}

func TestCluster_SessionsLiveAndRevocationsHoldWhateverMoves(t *testing.T) {
	c := devstack.Test(t).StartCluster(t)
	g := newSiege(t, c.URL, c.Nodes[0])
	e := &clusterEnv{watchEnv: &watchEnv{t: t, admin: openAdminCluster(t, c), ends: map[SessionID]told{}}, c: c}
	g.hold("resharding", func() {
		for _, id := range g.ids()[:8] {
			slot := slotOf(utagOf(id))
			e.moveSlot(slot, e.owner(slot), e.other(slot))
		}
	}, func() bool { return true })
	for _, n := range c.Nodes[:3] {
		replicated(t, n, 1)
	}
	g.hold("fail-over by command", func() {
		if err := c.Nodes[3].Client(t).ClusterFailover(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}, isMaster(t, c.Nodes[3]))
	replicated(t, c.Nodes[1], 1)
	g.hold("fail-over by kill", func() { c.Nodes[1].Kill(t) }, isMaster(t, c.Nodes[4]))
}
