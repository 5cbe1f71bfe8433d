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
type canary struct {
	// fixed after newCanary
	n          *node
	key        string
	channel    string
	subscribed chan struct{}  // closed once Redis has acknowledged the channel
	returned   chan time.Time // when the canary that came back had been sent

	acknowledged atomic.Bool
	sentAt       atomic.Pointer[time.Time] // nil: none under way
}

var rounds atomic.Int64 // numbers the canaries of this process

func newCanary(n *node) *canary {
	key := n.canary + n.w.cfg.Server + ":" + strconv.FormatInt(rounds.Add(1), 10)
	return &canary{n: n, key: key, channel: n.w.prefix + key,
		subscribed: make(chan struct{}), returned: make(chan time.Time, 1)}
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
	pipe.Set(ctx, c.key, 1, 10*time.Second)
	pipe.Del(ctx, c.key)
	if _, err := pipe.Exec(ctx); err != nil {
		fail(fmt.Errorf("canary: %w", err))
	}
}

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
