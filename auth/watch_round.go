package auth

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// subscribeBatch bounds how long one SUBSCRIBE holds up other clients of Redis.
const subscribeBatch = 500

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

// subscription is what Redis was told of one channel.
type subscription struct {
	sent    bool // SUBSCRIBE was the last word
	acked   bool
	missing int // acknowledgements of SUBSCRIBE still to come
	first   bool
	waiting []chan struct{}
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
	if err := ps.Subscribe(ctx, r.canary.channel); err != nil {
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
	if err := r.n.w.readAll(ctx, r.n, "gap"); err != nil {
		return err
	}
	return r.n.w.regain(ctx, client)
}

// open makes the node's sessions this round's: from here on a session that is added waits for its acknowledgement.
func (r *round) open() {
	r.n.mu.Lock()
	defer r.n.mu.Unlock()
	for _, s := range r.n.want {
		r.channels[s.channel] = &subscription{first: true}
		r.changed[s.channel] = true
	}
	r.first = len(r.channels)
	r.n.round = r
	if r.first == 0 {
		close(r.acked)
	}
	r.kick()
}

// await is called with node.mu held.
func (r *round) await(channel string) <-chan struct{} {
	sub := r.channels[channel]
	if sub == nil {
		sub = &subscription{}
		r.channels[channel] = sub
	}
	if sub.sent && sub.acked {
		return closedChan
	}
	ch := make(chan struct{})
	sub.waiting = append(sub.waiting, ch)
	r.change(channel)
	return ch
}

// change is called with node.mu held.
func (r *round) change(channel string) {
	r.changed[channel] = true
	r.kick()
}

func (r *round) kick() {
	select {
	case r.dirty <- struct{}{}:
	default:
	}
}

// release lets everyone go who waits for an acknowledgement: only polling is left. Called with node.mu held.
func (r *round) release() {
	for _, sub := range r.channels {
		sub.release()
	}
}

// release lets go who waits for the acknowledgement: it has come, or will not, or nobody cares any more.
func (sub *subscription) release() {
	for _, ch := range sub.waiting {
		close(ch)
	}
	sub.waiting = nil
}

// subscribe tells Redis what is wanted, in batches, for as long as the round lasts.
func (r *round) subscribe(ctx context.Context, ps *redis.PubSub) {
	for {
		add, drop := r.wishes()
		if len(add)+len(drop) == 0 {
			select {
			case <-r.dirty:
				continue
			case <-ctx.Done():
				return
			}
		}
		if len(drop) > 0 {
			if err := ps.Unsubscribe(ctx, drop...); err != nil {
				r.fail(err)
				return
			}
		}
		if len(add) > 0 {
			if err := ps.Subscribe(ctx, add...); err != nil {
				r.fail(err)
				return
			}
		}
	}
}

// wishes takes one batch of channels on which Redis and the node differ.
func (r *round) wishes() (add, drop []string) {
	r.n.mu.Lock()
	defer r.n.mu.Unlock()
	for channel := range r.changed {
		if len(add)+len(drop) == subscribeBatch {
			break
		}
		delete(r.changed, channel)
		sub := r.channels[channel]
		if sub == nil {
			continue
		}
		_, wanted := r.n.want[r.n.session(channel)]
		switch {
		case wanted && !sub.sent:
			sub.sent, sub.acked = true, false
			sub.missing++
			add = append(add, channel)
		case !wanted && sub.sent:
			sub.release()
			sub.sent = false
			drop = append(drop, channel)
		case !wanted && sub.missing == 0:
			r.settle(sub)
			sub.release()
			delete(r.channels, channel)
		}
	}
	return add, drop
}

// receive is the only reader of the connection. It never waits for anything else: what an event means is found
// out by the readers (watch_read.go).
func (r *round) receive(ctx context.Context, ps *redis.PubSub) {
	for {
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

func (r *round) onSubscription(m *redis.Subscription) {
	if m.Channel == r.canary.channel {
		if !r.canary.onSubscribed() {
			r.fail(errReconnected)
		}
		return
	}
	r.n.mu.Lock()
	defer r.n.mu.Unlock()
	sub := r.channels[m.Channel]
	if m.Kind != "subscribe" {
		if sub != nil && !sub.sent && sub.missing == 0 {
			delete(r.channels, m.Channel)
		}
		return
	}
	if sub == nil || sub.missing == 0 {
		r.fail(errReconnected)
		return
	}
	sub.missing--
	r.settle(sub)
	if !sub.sent || sub.missing > 0 {
		return // an UNSUBSCRIBE is already under way
	}
	sub.acked = true
	sub.release()
}

// settle counts down the sessions that the round began with. The caller holds node.mu.
func (r *round) settle(sub *subscription) {
	if !sub.first {
		return
	}
	sub.first = false
	if r.first--; r.first == 0 {
		close(r.acked)
	}
}

func (r *round) onMessage(m *redis.Message) {
	if m.Channel == r.canary.channel {
		r.canary.onEvent(m.Payload)
		return
	}
	if own[m.Payload] {
		return
	}
	r.n.w.reads.look(r.n.session(m.Channel), m.Payload)
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
