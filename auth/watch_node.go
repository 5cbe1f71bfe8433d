package auth

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

var errCanaryMoved = errors.New("the canary's slot has moved")

// node hears one Redis master for every watched session that it holds.
type node struct {
	// fixed after newNode
	w         *watcher
	name      string        // address, for logs
	canary    func() string // prefix of the canary's key, which lives on this very master
	connect   func(ctx context.Context, canary string) (*redis.Client, error)
	breaker   *breaker
	lostTouch func() // called whenever the node becomes blind
	many      bool   // one EXISTS may name many keys (not in a cluster)
	spare     bool   // has no Redis: it is blind only while sessions are here for want of one

	mu    sync.Mutex
	want  map[SessionID]*watched // guarded by mu
	round *round                 // guarded by mu: nil while blind
	live  bool                   // guarded by mu: subscribed, swept, and the last canary came back
	dark  time.Time              // guarded by mu: until when the time without events is counted
	heard time.Time              // guarded by mu: everything that ended before this instant has been seen
}

func newNode(w *watcher, name string, canary func() string, connect func(context.Context, string) (*redis.Client, error)) *node {
	n := &node{w: w, name: name, canary: canary, connect: connect, lostTouch: func() {}, want: map[SessionID]*watched{}, dark: time.Now()}
	n.breaker = newBreaker(func(ctx context.Context) error { return w.probe(ctx, n) }, w.log.With("redis", name), w.met.breaker(name))
	return n
}

// add has s watched. The channel is closed once Redis has acknowledged it, or at once while the node is blind:
// then the poll sees it.
func (n *node) add(s *watched) <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.want[s.id] = s
	if n.round == nil {
		return closedChan
	}
	return n.round.await(s.channel)
}

func (n *node) remove(s *watched) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.want[s.id] != s {
		return
	}
	delete(n.want, s.id)
	if n.round != nil {
		n.round.change(s.channel)
	}
}

// wants says whether a session is still watched.
func (n *node) wants(id SessionID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.want[id] != nil
}

func (n *node) all() []*watched {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := make([]*watched, 0, len(n.want))
	for _, s := range n.want {
		all = append(all, s)
	}
	return all
}

func idsOf(all []*watched) []SessionID {
	ids := make([]SessionID, len(all))
	for i, s := range all {
		ids[i] = s.id
	}
	return ids
}

// proven is the instant before which nothing was missed, and whether events are heard now.
func (n *node) proven() (heard time.Time, live bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.heard, n.live
}

// prove moves the watermark forward.
func (n *node) prove(at time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if at.After(n.heard) {
		n.heard = at
	}
}

// run goes through rounds until ctx ends; a round is the life of one subscription connection.
func (n *node) run(ctx context.Context) {
	defer n.w.met.forget(n.name)
	var wg sync.WaitGroup
	defer wg.Wait()
	blind := make(chan struct{}, 1)
	wg.Go(func() { n.poll(ctx, blind) })
	wg.Go(func() { n.sweep(ctx) })
	wg.Go(func() { n.breaker.run(ctx) })
	failures := 0
	for ctx.Err() == nil {
		r := newRound(n)
		err := r.run(ctx)
		wasLive := n.goBlind()
		if ctx.Err() != nil {
			return
		}
		select {
		case blind <- struct{}{}:
		default:
		}
		n.lostTouch()
		if failures++; wasLive {
			failures = 1
			n.w.log.Warn("revocations: deaf to Redis, polling", "redis", n.name, "cause", err)
		}
		pause(ctx, backoff(failures))
	}
}

// backoff is short at first, because most faults end with one new connection, and stays short enough that
// notifications which come back are used within two seconds.
func backoff(failures int) time.Duration {
	d := 25 * time.Millisecond << min(failures, 6)
	return d/2 + rand.N(d/2)
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// goLive is called when events of all sessions are heard and everything that came before has been read.
func (n *node) goLive() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.countBlind()
	n.live = true
	n.showBlind()
}

// deaf says whether sessions could end unheard. The caller holds mu.
func (n *node) deaf() bool { return !n.live && (!n.spare || len(n.want) > 0) }

func (n *node) showBlind() {
	shown := 0.0
	if n.deaf() {
		shown = 1
	}
	n.w.met.blind.WithLabelValues(n.name).Set(shown)
}

// countBlind adds to the time without events what has gone by since it was last called. The caller holds mu.
func (n *node) countBlind() {
	now := time.Now()
	if n.deaf() {
		n.w.met.blindTime.WithLabelValues(n.name).Add(now.Sub(n.dark).Seconds())
	}
	n.dark = now
}

func (n *node) goBlind() (wasLive bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r := n.round
	n.round = nil
	n.countBlind()
	wasLive, n.live = n.live, false
	n.showBlind()
	if r != nil {
		r.release()
	}
	return wasLive
}

// canaryMoved ends the round where the canary's slot has gone to another master: it would not come back.
func (n *node) canaryMoved() {
	prefix := n.canary()
	n.mu.Lock()
	defer n.mu.Unlock()
	if r := n.round; r != nil && !strings.HasPrefix(r.canary.key, prefix) {
		r.fail(errCanaryMoved)
	}
}

// staysBlind says so, counts the time and shows it: sessions may have come or gone.
func (n *node) staysBlind() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.live {
		n.countBlind()
		n.showBlind()
	}
	return !n.live
}

func (n *node) isLive() bool {
	_, live := n.proven()
	return live
}
