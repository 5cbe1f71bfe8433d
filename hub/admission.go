package hub

import (
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"rosetree/internal/api"
)

// admissionPatience is how long an upgrade waits for its turn, and then for a place: a queue that is longer than a client's patience
// helps no one.
const admissionPatience = 5 * time.Second

// admit waits until an upgrade may be authenticated. After a restart everybody comes at once: the rate keeps time for
// those who are connected already, and the number of places bounds what Redis and PostgreSQL are asked at once.
func (h *Hub) admit(r *http.Request) (leave func(), err error) {
	wait, ok := h.arrivals.next(time.Now())
	if !ok {
		return nil, errCrowded(wait)
	}
	if wait > 0 {
		turn := time.NewTimer(wait)
		defer turn.Stop()
		select {
		case <-turn.C:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	patience := time.NewTimer(admissionPatience)
	defer patience.Stop()
	select {
	case h.admission <- struct{}{}:
		return func() { <-h.admission }, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	case <-patience.C:
		return nil, errCrowded(0)
	}
}

// errCrowded spreads the next tries behind what waits already.
func errCrowded(behind time.Duration) error {
	return api.Unavailable("too many connections at once; try again in a moment", behind.Truncate(time.Second)+time.Duration(1+rand.IntN(10))*time.Second)
}

func errDraining() error {
	return api.Unavailable("this server sends its sockets to others; try again", time.Duration(1+rand.IntN(5))*time.Second)
}

// arrivals is a token bucket whose tokens can be taken in advance: each upgrade is told when its turn is.
type arrivals struct {
	gap   time.Duration // between two turns; 0: no limit
	burst time.Duration

	mu   sync.Mutex
	turn time.Time // guarded by mu: when the next one's is, if nobody had come for a while
}

func newArrivals(perSecond, burst int) *arrivals {
	if perSecond < 0 {
		return &arrivals{}
	}
	gap := time.Second / time.Duration(perSecond)
	return &arrivals{gap: gap, burst: time.Duration(max(burst, 1)) * gap}
}

// next takes a turn. Where it is too far away none is taken.
func (a *arrivals) next(now time.Time) (wait time.Duration, ok bool) {
	if a.gap == 0 {
		return 0, true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if idle := now.Add(-a.burst + a.gap); a.turn.Before(idle) {
		a.turn = idle
	}
	wait = max(a.turn.Sub(now), 0)
	if wait > admissionPatience {
		return wait, false
	}
	a.turn = a.turn.Add(a.gap)
	return wait, true
}
