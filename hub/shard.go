package hub

import (
	"sync"
	"sync/atomic"
	"time"
)

// Steps of the two wheels: fine for max_hz and retries, coarse for heartbeats and expiry.
const (
	fineStep    = 10 * time.Millisecond
	fineSteps   = 128
	coarseStep  = 250 * time.Millisecond
	coarseSteps = 256
	urgentShare = 32   // visits of one kind before the other kind gets its turn
	rushShare   = 1024 // urgent visits before prices get theirs: a mass revocation makes everybody urgent
)

// shard is a part of the connections and the one goroutine that writes to them.
type shard struct {
	// fixed after New
	hub    *Hub
	number int
	wake   chan struct{}

	hurry atomic.Bool // urgent has members

	mu     sync.Mutex // guards what follows
	conns  []*conn    // by number
	free   []uint32   // numbers that may be given again
	dirty  bitset     // a price that they watch has changed
	urgent bitset     // something waits that no pause may delay: an end, an answer
	all    bitset     // watch every symbol
	stuck  bitset     // the kernel takes nothing more for them: they wait for their own retry, and prices wait with them
	moved  time.Time  // when the oldest price came that no sweep has taken up yet; zero: there is none

	// owned by the flusher
	fine, coarse *wheel
	visiting     bitset
	rushing      bitset
	rushed       int // the word of rushing where the next rush goes on, so that all get their turn
	scratch      []byte
	kernel       *kernelWrite
	delivered    uint64
	conflated    uint64
	pace         pace // of goodbyes
}

func newShard(h *Hub, number int) *shard {
	return &shard{hub: h, number: number, wake: make(chan struct{}, 1), fine: newWheel(fineStep, fineSteps), coarse: newWheel(coarseStep, coarseSteps),
		scratch: make([]byte, 0, 4*maxPrices), kernel: newKernelWrite(), pace: newPace()}
}

// add gives c a number and its first visit; the caller holds c.mu.
func (s *shard) add(c *conn) {
	s.mu.Lock()
	if n := len(s.free); n > 0 {
		c.index, s.free = s.free[n-1], s.free[:n-1]
		s.conns[c.index] = c
	} else {
		c.index = uint32(len(s.conns))
		s.conns = append(s.conns, c)
	}
	s.mu.Unlock()
	s.urge(c.index)
}

// urge asks for a visit now, whatever pause the flusher makes for prices.
func (s *shard) urge(i uint32) {
	s.mu.Lock()
	s.urgent.set(i)
	s.mu.Unlock()
	s.hurry.Store(true)
	s.wakeUp()
}

// mark asks for a visit at the flusher's own pace.
func (s *shard) mark(i uint32) {
	s.mu.Lock()
	s.dirty.set(i)
	s.mu.Unlock()
	s.wakeUp()
}

func (s *shard) wakeUp() {
	select {
	case s.wake <- struct{}{}:
	default: // a token is there already
	}
}

// touch marks those who watch the changed symbols.
func (s *shard) touch(changed []*ticker) {
	s.mu.Lock()
	any := s.dirty.join(s.all)
	for _, t := range changed {
		if s.dirty.join(t.watchers[s.number]) {
			any = true
		}
	}
	if any && s.moved.IsZero() {
		s.moved = time.Now()
	}
	s.mu.Unlock()
	if any {
		s.wakeUp()
	}
}

// run writes until stop is closed. After a long sweep it rests as long as the sweep took, at most the
// flush interval: when little happens an update leaves at once, when much happens updates are joined.
func (s *shard) run(stop <-chan struct{}) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var rested time.Time
	for {
		timer.Reset(s.idle(rested))
		select {
		case <-stop:
			return
		case <-s.wake:
		case <-timer.C:
		}
		s.rush(rushShare)
		if time.Now().Before(rested) {
			continue
		}
		took := s.sweep()
		s.hub.metrics.sweep(took, s.delivered, s.conflated)
		s.delivered, s.conflated = 0, 0
		if took > restAfter {
			rested = time.Now().Add(min(took, s.hub.cfg.FlushInterval))
		}
	}
}

// restAfter is how short a sweep is followed by the next without a rest.
const restAfter = 200 * time.Microsecond

// idle is how long nothing is due. The wheels are looked at even while marks wait: wake tells of those.
func (s *shard) idle(rested time.Time) time.Duration {
	if rest := time.Until(rested); rest > 0 {
		return rest
	}
	now, wait := s.hub.now(), int64(time.Hour/time.Millisecond)
	for _, w := range []*wheel{s.fine, s.coarse} {
		if at, ok := w.next(); ok {
			wait = min(wait, max(at-now, 0))
		}
	}
	if s.marked() {
		wait = 0
	}
	return time.Duration(wait) * time.Millisecond
}

// marked says whether a mark came during the last rest, whose wake-up token was spent.
func (s *shard) marked() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.dirty.empty()
}

// dearVisit is more than a visit costs. A sweep that took longer was kept waiting for the processor, and a rest on top
// of that would make those wait twice whom it was to serve.
const dearVisit = 50 * time.Microsecond

// sweep visits everyone who is marked or due, letting the urgent go in between, and says how long that took.
func (s *shard) sweep() time.Duration {
	began := time.Now()
	moved := s.gather(s.hub.now())
	for n, word := 0, 0; ; n++ {
		i, at, ok := s.visiting.pop(word)
		if !ok {
			s.hub.metrics.priced(moved)
			return min(time.Since(began), time.Duration(n)*dearVisit)
		}
		word = at
		s.visit(i)
		if n%urgentShare == 0 {
			s.rush(urgentShare)
		}
	}
}

// gather puts everyone into visiting whom a sweep shall visit, and says since when the oldest price waits.
func (s *shard) gather(now int64) (moved time.Time) {
	s.fine.take(now, &s.visiting)
	s.coarse.take(now, &s.visiting)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dirty.leave(s.stuck)
	s.visiting.join(s.dirty)
	s.dirty.reset()
	moved, s.moved = s.moved, time.Time{}
	return moved
}

// block keeps prices from asking for visits of c, and unblock lets them again; the flusher calls both.
func (s *shard) block(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stuck.set(c.index)
}

func (s *shard) unblock(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stuck.clear(c.index)
}

// rush visits up to limit of the urgent.
func (s *shard) rush(limit int) {
	if !s.hurry.Swap(false) {
		return
	}
	s.mu.Lock()
	s.rushing.join(s.urgent)
	s.urgent.reset()
	s.mu.Unlock()
	for ; limit > 0; limit-- {
		i, at, ok := s.rushing.pop(s.rushed)
		if !ok {
			i, at, ok = s.rushing.pop(0) // those that came behind the place where the last rush stopped
		}
		if !ok {
			return
		}
		s.rushed = at
		s.visit(i)
	}
	s.hurry.Store(true) // the others wait for their turn
	s.wakeUp()
}

func (s *shard) visit(i uint32) {
	s.mu.Lock()
	var c *conn
	if int(i) < len(s.conns) {
		c = s.conns[i]
	}
	s.mu.Unlock()
	if c != nil {
		c.visit(s, s.hub.now())
	}
}

// later asks for a visit of c at due; the flusher calls it.
func (s *shard) later(c *conn, due, now int64) {
	if due-now <= s.fine.span() {
		s.fine.add(c.index, due)
		return
	}
	s.coarse.add(c.index, due)
}

// remove forgets c, whose connection is closed; the flusher calls it with c.mu held.
func (s *shard) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, slot := range c.prices.slots {
		slot.ticker.watchers[s.number].clear(c.index)
	}
	s.all.clear(c.index)
	s.dirty.clear(c.index)
	s.urgent.clear(c.index)
	s.stuck.clear(c.index)
	s.conns[c.index] = nil
	s.free = append(s.free, c.index)
}
