package auth

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"
)

// canary proves that events arrive: a key that nobody else uses is set and deleted through the ordinary pool,
// so where writes really go, and its event is expected on the subscription. Each round has its own key, so that a
// deletion which a frozen Redis carries out late cannot speak for another subscription.
//
// Beside it stands a mark, which only a wipe removes: FLUSHALL and SWAPDB make no event at all.
type canary struct {
	// fixed after newCanary
	n          *node
	key        string
	channel    string
	subscribed chan struct{}  // closed once Redis has acknowledged the channel
	returned   chan time.Time // when the canary that came back had been sent
	wiped      chan struct{}  // the mark is gone

	marked       atomic.Bool
	acknowledged atomic.Bool
	sentAt       atomic.Pointer[time.Time] // nil: none under way
}

var rounds atomic.Int64 // numbers the canaries of this process

func newCanary(n *node) *canary {
	key := n.canary() + n.w.cfg.Server + ":" + strconv.FormatInt(rounds.Add(1), 10)
	return &canary{n: n, key: key, channel: n.w.prefix + key,
		subscribed: make(chan struct{}), returned: make(chan time.Time, 1), wiped: make(chan struct{}, 1)}
}

// onSubscribed is false at a second acknowledgement: nobody asked for it.
func (c *canary) onSubscribed() bool {
	if !c.acknowledged.CompareAndSwap(false, true) {
		return false
	}
	close(c.subscribed)
	return true
}

func (c *canary) send(ctx context.Context, fail func(error)) {
	now := time.Now()
	c.sentAt.Store(&now)
	ctx, cancel := context.WithTimeout(ctx, c.n.w.cfg.CanaryTimeout)
	defer cancel()
	pipe := c.n.w.rdb.Pipeline()
	mark := pipe.PExpire(ctx, c.mark(), markLife)
	if !c.marked.Load() {
		pipe.Set(ctx, c.mark(), 1, markLife)
	}
	pipe.Set(ctx, c.key, 1, 10*time.Second)
	pipe.Del(ctx, c.key)
	if _, err := pipe.Exec(ctx); err != nil {
		fail(fmt.Errorf("canary: %w", err))
		return
	}
	c.look(mark.Val())
}

// look draws the conclusion from whether the mark was there.
func (c *canary) look(there bool) {
	if was := c.marked.Swap(true); !was || there {
		return
	}
	c.marked.Store(false) // the next canary sets it again
	select {
	case c.wiped <- struct{}{}:
	default:
	}
}

// markLife is long against a canary's pause, and short for what a dead process leaves behind.
const markLife = time.Minute

func (c *canary) mark() string { return c.key + ":mark" }

func (c *canary) onEvent(event string) {
	if event != "del" {
		return
	}
	sent := c.sentAt.Swap(nil)
	if sent == nil {
		return
	}
	c.n.w.met.canary.Observe(time.Since(*sent).Seconds())
	c.returned <- *sent // one at a time is under way, so there is room
}
