package auth

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// subscribeBatch bounds how long one SUBSCRIBE holds up other clients of Redis.
const subscribeBatch = 500

// eventBurst is how many events are taken in at once. Thousands come at a mass revocation, and a goroutine that never
// has to wait is made to give the processor to those who deliver prices only every ten milliseconds.
const eventBurst = 64

// round is the life of one subscription connection. go-redis' own loop (PubSub.Channel) is not used: it drops
// messages when it is slow, reconnects without a word, and takes a connection on which nothing arrives for good.
type round struct {
	// fixed after newRound
	n      *node
	canary *canary
	dirty  chan struct{} // something is to be subscribed or unsubscribed
	failed chan error
	acked  chan struct{} // the sessions of the round's beginning are all subscribed

	// guarded by node.mu
	channels map[string]*subscription
	changed  map[string]bool // channels whose wish may differ from what Redis was told
	first    int             // acknowledgements still missing from the beginning
}

var (
	errReconnected = errors.New("the subscription was made anew behind our back")
	errCanaryLost  = errors.New("a canary did not come back")
)

func newRound(n *node) *round {
	r := &round{n: n, dirty: make(chan struct{}, 1), failed: make(chan error, 1), acked: make(chan struct{}),
		channels: map[string]*subscription{}, changed: map[string]bool{}}
	r.canary = newCanary(n)
	return r
}

func (r *round) fail(err error) {
	select {
	case r.failed <- err:
	default: // the first cause counts
	}
}

// run subscribes, proves, sweeps and listens; any doubt ends it. First only the canary is subscribed: where
// notifications are off, it does not come back and no session is subscribed in vain.
func (r *round) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	client, err := r.n.connect(ctx, r.canary.key)
	if err != nil {
		cancel()
		return err
	}
	ps := client.Subscribe(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer ps.Close() // unblocks the receive loop
	defer cancel()
	if err := ps.Subscribe(ctx, r.canary.channel, r.n.w.prefix+journalKey); err != nil {
		return err
	}
	wg.Go(func() { r.receive(ctx, ps) })
	if err := r.proveOnce(ctx, &wg); err != nil {
		return err
	}
	r.open()
	wg.Go(func() { r.subscribe(ctx, ps) })
	return r.listen(ctx, &wg, client)
}

// proveOnce waits until one canary has come back.
func (r *round) proveOnce(ctx context.Context, wg *sync.WaitGroup) error {
	late := time.NewTimer(r.n.w.cfg.CanaryTimeout)
	defer late.Stop()
	subscribed := r.canary.subscribed
	for {
		select {
		case <-subscribed: // a canary sent before this would be lost
			subscribed = nil
			wg.Go(func() { r.canary.send(ctx, r.fail) })
		case <-r.canary.returned:
			return nil
		case err := <-r.failed:
			return err
		case <-late.C:
			return errCanaryLost
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// listen keeps canaries going, sweeps once everything is subscribed, and then calls the node live.
func (r *round) listen(ctx context.Context, wg *sync.WaitGroup, client *redis.Client) error {
	cfg := r.n.w.cfg
	next, late := time.NewTimer(cfg.CanaryEvery), time.NewTimer(time.Hour)
	defer next.Stop()
	defer late.Stop()
	swept := make(chan error, 1)
	acked, began := r.acked, time.Time{}
	sweep := func() {
		began = time.Now()
		wg.Go(func() { swept <- r.catchUp(ctx, client) })
	}
	for {
		select {
		case err := <-r.failed:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-acked:
			acked = nil
			sweep()
		case err := <-swept:
			if err != nil {
				return err
			}
			r.n.prove(began)
			r.n.goLive()
		case <-r.canary.wiped:
			wg.Go(func() { _ = r.n.w.existAll(ctx, r.n, "sweep", 0) })
		case <-next.C:
			late.Reset(cfg.CanaryTimeout)
			wg.Go(func() { r.canary.send(ctx, r.fail) })
		case sent := <-r.canary.returned:
			late.Stop()
			next.Reset(time.Until(sent.Add(cfg.CanaryEvery)))
			if r.n.isLive() {
				r.n.prove(sent)
			}
		case <-late.C:
			return errCanaryLost
		}
	}
}

// catchUp finds what ended while nobody listened, and then brings what Redis has missed.
func (r *round) catchUp(ctx context.Context, client *redis.Client) error {
	if err := r.n.w.readAll(ctx, r.n, "gap", 0); err != nil {
		return err
	}
	return r.n.w.regain(ctx, client)
}

// receive is the only reader of the connection. It never waits for anything else: what an event means is found
// out by the readers (watch_read.go).
func (r *round) receive(ctx context.Context, ps *redis.PubSub) {
	for n := 1; ; n++ {
		if n%eventBurst == 0 {
			runtime.Gosched()
		}
		msg, err := ps.Receive(ctx)
		if err != nil {
			r.fail(err)
			return
		}
		switch m := msg.(type) {
		case *redis.Subscription:
			r.onSubscription(m)
		case *redis.Message:
			r.onMessage(m)
		}
	}
}

func (r *round) onMessage(m *redis.Message) {
	if m.Channel == r.canary.channel {
		r.canary.onEvent(m.Payload)
		return
	}
	if m.Channel == r.n.w.prefix+journalKey {
		r.n.w.journal()
		return
	}
	if own[m.Payload] {
		return
	}
	if id := r.n.session(m.Channel); r.n.wants(id) { // else it ended, and this is the deletion that followed
		r.n.w.reads.look(id, m.Payload)
	}
}

// own are the events that a touch of a living session makes. Everything else is worth a read.
var own = map[string]bool{"hset": true, "expire": true, "hincrby": true, "persist": true}

// session is the id in a keyspace channel's name: the key without prefix and braces.
func (n *node) session(channel string) SessionID {
	key := strings.TrimPrefix(channel, n.w.prefix+sessionPrefix)
	if len(key) != sessionIDLen+2 {
		return ""
	}
	return SessionID(key[1:utagLen+1] + key[utagLen+2:])
}
