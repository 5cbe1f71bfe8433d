package hub

import "time"

const (
	maxPrices    = 16 << 10               // of one prices message; the rest follows in the next
	lingering    = 250 * time.Millisecond // from the goodbye to the cut
	firstRetry   = 10                     // milliseconds until a stuck peer is tried again …
	longestRetry = 160                    // … doubling up to this
	loneWrite    = 64 << 10               // a queue above this is written by itself instead of being joined
)

// visit brings a connection up to date: deadlines, the end, what the kernel had not taken, what waits.
// Only the flusher calls it.
func (c *conn) visit(s *shard, now int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return
	}
	if c.end == nil && now >= c.flush.timerAt {
		c.keepAlive(now)
	}
	if c.end == nil {
		s.later(c, c.flush.timerAt, now) // also after a visit that came early: it may have been this deadline's
	}
	if c.end == nil && c.drained(s, now) {
		if c.flush.blocked {
			c.flush.blocked = false
			s.unblock(c)
		}
		c.write(s, now)
	}
	if c.end != nil {
		c.depart(s, now)
	}
}

// drained hands over the rest of an earlier write and says whether nothing of it is left. A peer that
// takes nothing for too long is let go; one that takes anything is not.
func (c *conn) drained(s *shard, now int64) bool {
	f := &c.flush
	if len(f.rest) == 0 && c.wire.idle() {
		return true
	}
	if now < f.retryAt {
		s.later(c, f.retryAt, now)
		return false
	}
	n, err := c.wire.write(s.kernel, f.rest)
	f.bytes += uint64(n)
	f.rest = f.rest[n:]
	switch {
	case err != nil:
		c.finish(lost, "write")
	case n == 0 && len(f.rest) == 0 && c.wire.idle(): // came to an end meanwhile
		return true
	case n > 0 && len(f.rest) == 0:
		f.rest, f.stuckAt, f.retryIn, f.aliveAt = nil, 0, 0, now
		return c.wire.idle()
	case n > 0:
		f.stuckAt, f.retryIn, f.aliveAt = now, 0, now
		c.retry(s, now)
	default:
		c.stuck(s, now)
	}
	return false
}

// stuck counts the time for which a peer takes nothing.
func (c *conn) stuck(s *shard, now int64) {
	f := &c.flush
	if f.stuckAt == 0 {
		f.stuckAt = now
	}
	if now-f.stuckAt >= c.hub.cfg.Stall.Milliseconds() {
		c.finish(goodbye{code: codeSlowConsumer, reason: "slow_consumer", cut: true}, "write")
		return
	}
	c.retry(s, now)
}

func (c *conn) retry(s *shard, now int64) {
	f := &c.flush
	f.retryIn = min(max(2*f.retryIn, firstRetry), longestRetry)
	f.retryAt = now + f.retryIn
	if !f.blocked {
		f.blocked = true
		s.block(c)
	}
	s.later(c, f.retryAt, now)
}

// write joins everything that waits in one write.
func (c *conn) write(s *shard, now int64) {
	if len(c.out) > loneWrite {
		out := c.out
		c.out = nil
		if c.hand(s, now, out); len(c.flush.rest) > 0 || c.end != nil {
			return
		}
	}
	buf := append(s.scratch[:0], c.out...)
	c.out = nil
	more := false
	if !c.suspended {
		buf = c.appendValuations(s, buf, now)
		buf, more = c.appendPrices(s, buf, now)
	}
	s.scratch = buf[:0]
	if len(buf) > 0 {
		c.hand(s, now, buf)
	}
	if more {
		s.mu.Lock()
		s.dirty.set(c.index)
		s.mu.Unlock()
	}
}

// hand gives p to the kernel and keeps what it does not take.
func (c *conn) hand(s *shard, now int64, p []byte) {
	n, err := c.wire.write(s.kernel, p)
	c.flush.bytes += uint64(n)
	if err != nil {
		c.finish(lost, "write")
		return
	}
	if n < len(p) {
		c.flush.rest = append([]byte(nil), p[n:]...)
		c.flush.stuckAt = now
		c.flush.retryIn = 0
		c.retry(s, now)
	}
}

// lost is the end of a connection that broke: there is nobody to say goodbye to.
var lost = goodbye{code: 1006, reason: "connection_lost", cut: true}

// depart brings an end forward: the goodbye, then the peer's answer or the cut.
func (c *conn) depart(s *shard, now int64) {
	e := c.end
	if e.cutAt == 0 {
		if due := c.turn(s, now); due > now {
			s.later(c, due, now)
			return
		}
		e.cutAt = now + lingering.Milliseconds()
		if len(c.flush.rest) > 0 && e.cut {
			c.leave(s, true) // in the middle of a frame no goodbye can be said
			return
		}
	}
	if !e.said {
		e.said = c.say(s, now)
	}
	switch {
	case e.code == lost.code, now >= e.cutAt:
		c.leave(s, e.cut)
	case e.peerOut && (e.said || e.broken):
		c.leave(s, false)
	case e.said:
		s.later(c, e.cutAt, now)
	default:
		s.later(c, min(now+firstRetry, e.cutAt), now)
	}
}

// turn is when c may say goodbye. Those who need none, because the peer is gone or has closed by itself, wait for nobody.
func (c *conn) turn(s *shard, now int64) int64 {
	e := c.end
	if e.peerOut || e.code == lost.code || e.frame != nil {
		return now
	}
	if e.turn == 0 {
		e.turn = s.pace.turn(now)
	}
	if e.turn <= now && !s.pace.take(now) {
		return now + fineStep.Milliseconds()
	}
	return e.turn
}

// say writes what is left of the queue, the bye message and the close frame; it says whether all of
// that is out.
func (c *conn) say(s *shard, now int64) bool {
	e := c.end
	if !e.composed {
		e.composed = true
		c.flush.rest = append(c.flush.rest, c.out...)
		c.out = nil
		if e.frame != nil {
			c.flush.rest = append(c.flush.rest, e.frame...)
		} else {
			c.flush.rest = appendFrame(c.flush.rest, byeMessage(e.goodbye))
			c.flush.rest = appendClose(c.flush.rest, e.code, e.closeReason())
		}
	}
	if len(c.flush.rest) == 0 {
		return c.wire.idle()
	}
	n, err := c.wire.write(s.kernel, c.flush.rest)
	c.flush.bytes += uint64(n)
	c.flush.rest = c.flush.rest[n:]
	e.broken = err != nil
	return len(c.flush.rest) == 0 && c.wire.idle()
}

// leave closes the real connection; the reader returns and clears up.
func (c *conn) leave(s *shard, hard bool) {
	c.gone = true
	s.remove(c)
	c.out, c.flush.rest, c.prices = nil, nil, priceSlots{}
	c.wire.cut(hard)
}

// keepAlive looks at the deadlines of a quiet connection and sets the next one.
func (c *conn) keepAlive(now int64) {
	f, period := &c.flush, c.hub.cfg.Heartbeat.Milliseconds()
	heard := max(c.readAt.Load(), f.aliveAt)
	if now-heard >= 2*period {
		c.finish(goodbye{code: codeHeartbeat, reason: "heartbeat_timeout"}, "timer")
		return
	}
	if now-f.sentAt >= period {
		c.queue(c.hub.heartbeat())
		f.pingAt = min(f.pingAt, now) // one write for both
	}
	if now >= f.pingAt {
		c.out = append(c.out, pingBytes...)
		f.pingAt = now + period
	}
	expiry := c.watchExpiry(now)
	f.timerAt = min(f.pingAt, f.sentAt+period, heard+2*period, expiry)
	f.timerAt = max(f.timerAt, now+1)
}
