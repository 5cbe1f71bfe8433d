package hub

import (
	"maps"
	"slices"
	"time"

	"rosetree/auth"
)

// lookAgain is how often a session that cannot be checked is asked for.
const lookAgain = 250 * time.Millisecond

// paused says whether account data must wait, because nobody can tell whether the session still lives:
// prices go on, portfolios pause. The caller holds mu.
func (c *conn) paused() bool {
	if !c.blind && c.hub.sessions.Blind(c.principal) {
		c.blind = true
		c.hub.waitForSight(c)
	}
	return c.blind
}

// waitForSight has c looked after until its session can be checked again.
func (h *Hub) waitForSight(c *conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.blind) == 0 {
		h.workers.Go(h.regainSight)
	}
	h.blind[c] = struct{}{}
}

// regainSight runs while anybody is blind.
func (h *Hub) regainSight() {
	for {
		time.Sleep(lookAgain)
		h.mu.Lock()
		waiting := slices.Collect(maps.Keys(h.blind))
		h.mu.Unlock()
		var done []*conn
		for _, c := range waiting {
			if c.over() || !h.sessions.Blind(c.identity()) {
				done = append(done, c)
			}
		}
		if h.sees(done) {
			return
		}
	}
}

// sees lets what waited go, and says whether nobody is blind any more.
func (h *Hub) sees(done []*conn) bool {
	for _, c := range done {
		c.unpause()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range done {
		delete(h.blind, c)
	}
	return len(h.blind) == 0
}

func (c *conn) unpause() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.blind = false
	for _, v := range c.views {
		if !v.open {
			continue
		}
		for _, message := range v.waiting {
			c.queue(message)
		}
		v.waiting, v.waitingSize = nil, 0
	}
	for _, f := range c.topics {
		if f.missed && !c.suspended {
			c.hub.workers.Go(func() { _ = f.start(nil) }) // where it cannot be read now, the next subscription brings it
		}
		f.missed = false
	}
	c.shard.urge(c.index)
}

// hold keeps a message of a view; a client that would be told too much too late is sent away instead.
func (v *view) hold(message []byte) {
	v.waiting = append(v.waiting, message)
	if v.waitingSize += len(message); v.waitingSize > v.c.hub.cfg.QueueBytes && len(v.waiting) > 1 {
		v.c.finish(goodbyeOf(auth.End{Reason: auth.EndUnavailable, By: "system"}), "local")
	}
}
