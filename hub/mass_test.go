package hub

import (
	"testing"
	"testing/synctest"
	"time"

	"rosetree/auth"
)

// Thousands of goodbyes are spread over time, so that those who stay are served in between; data has
// stopped for all of them at once.
func TestMassRevocationIsPacedAndQuick(t *testing.T) {
	inBubble(t, Config{SocketsPerUser: -1}, func(t *testing.T, h *house) {
		const n = 2000
		ends := make(chan time.Time, n)
		for range n {
			c := h.dial("ana")
			go func() {
				c.closed()
				ends <- time.Now()
			}()
		}
		synctest.Wait()
		began := time.Now()
		h.sessions.end("s-ana", auth.End{Reason: auth.EndRevoked})
		last, atOnce := began, 0
		for range n {
			at := <-ends
			if at.Equal(began) {
				atOnce++
			}
			if at.After(last) {
				last = at
			}
		}
		shards := len(h.hub.shards)
		if took := last.Sub(began); took > 2*time.Second || atOnce > 2*goodbyeBurst*shards {
			t.Errorf("%d at once, the last after %v", atOnce, took)
		}
	})
}

// A pause of the flusher is not followed by a burst of the goodbyes that were due meanwhile.
func TestGoodbyesKeepTheirPaceAfterAPause(t *testing.T) {
	p := newPace()
	const n = 10_000
	for range n {
		p.turn(0)
	}
	said, last, pauses := 0, int64(0), 0
	for now := int64(0); said < n; now += 10 {
		if now == 500 {
			now += 300 // the flusher could not run
			pauses++
		}
		before := said
		for said < n && p.take(now) {
			said++
		}
		if burst := said - before; burst > goodbyeBurst {
			t.Fatalf("%d goodbyes at once", burst)
		}
		last = now
	}
	if pauses != 1 || last > 2000+300 {
		t.Errorf("%d goodbyes took %d ms", n, last)
	}
}

// slowToCut keeps its flusher waiting.
type slowToCut struct{ sink }

func (slowToCut) cut(bool) { time.Sleep(3 * time.Millisecond) }

// A sweep is followed by a rest as long as the sweep took. Time for which the flusher was kept waiting does not count:
// when thousands leave at once, those who stay would wait twice.
func TestWaitingForTheProcessorDoesNotLengthenTheRest(t *testing.T) {
	first, _ := deskConn(newMarket())
	s := first.shard
	for range 30 {
		c := &conn{hub: first.hub, shard: s, wire: &slowToCut{}, end: &ending{goodbye: lost}}
		s.add(c)
		s.mark(c.index)
	}
	began := time.Now()
	counted := s.sweep()
	if all := time.Since(began); all < 30*3*time.Millisecond || counted > 31*dearVisit {
		t.Errorf("%v of %v count", counted, all)
	}
}
