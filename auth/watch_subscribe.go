package auth

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// subscription is what Redis was told of one channel.
type subscription struct {
	sent    bool // SUBSCRIBE was the last word
	acked   bool
	missing int // acknowledgements of SUBSCRIBE still to come
	first   bool
	waiting []chan struct{}
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
	if len(r.changed) == 0 {
		r.changed = map[string]bool{} // a map keeps the size that it once had
	}
	return add, drop
}

func (r *round) onSubscription(m *redis.Subscription) {
	if m.Channel == r.canary.channel {
		if !r.canary.onSubscribed() {
			r.fail(errReconnected)
		}
		return
	}
	if m.Channel == r.n.w.prefix+journalKey {
		return // read twice a second anyway
	}
	r.n.mu.Lock()
	defer r.n.mu.Unlock()
	sub := r.channels[m.Channel]
	if m.Kind != "subscribe" {
		if sub != nil && !sub.sent && sub.missing == 0 && len(sub.waiting) == 0 { // else somebody has come back meanwhile
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
