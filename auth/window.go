package auth

import (
	"sync"
	"time"
)

// window counts the last minute's authentications, second by second. It judges this server and not its
// clients: a wrong password is an attempt that worked, or else whoever guesses passwords could trigger a rollback.
type window struct {
	mu    sync.Mutex
	slots [60]windowSlot // guarded by mu
}

type windowSlot struct {
	second   int64
	attempts int
	failures int
	took     [len(windowBounds) + 1]int
}

// windowBounds are the upper bounds of the latency classes.
var windowBounds = [...]time.Duration{
	100 * time.Microsecond, 200 * time.Microsecond, 300 * time.Microsecond, 500 * time.Microsecond, 750 * time.Microsecond,
	time.Millisecond, 1500 * time.Microsecond, 2 * time.Millisecond, 3 * time.Millisecond, 4 * time.Millisecond, 5 * time.Millisecond,
	6 * time.Millisecond, 7 * time.Millisecond, 8 * time.Millisecond, 9 * time.Millisecond, 10 * time.Millisecond, 12 * time.Millisecond,
	15 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 500 * time.Millisecond,
}

func newWindow() *window { return &window{} }

// record notes one attempt. ours says that it failed because of us; took is 0 where no session was validated.
func (w *window) record(ours bool, took time.Duration) {
	now := time.Now().Unix()
	w.mu.Lock()
	defer w.mu.Unlock()
	s := &w.slots[now%int64(len(w.slots))]
	if s.second != now {
		*s = windowSlot{second: now}
	}
	s.attempts++
	if ours {
		s.failures++
	}
	if took > 0 {
		i := 0
		for i < len(windowBounds) && took > windowBounds[i] {
			i++
		}
		s.took[i]++
	}
}

// forget begins the minute anew.
func (w *window) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.slots[:])
}

// health is what the last minute says.
type health struct {
	Attempts  int
	Failures  int
	ErrorRate float64       // per cent
	P95       time.Duration // of session validations; the upper bound of its class
}

func (w *window) health() health {
	oldest := time.Now().Unix() - int64(len(w.slots))
	var h health
	var took [len(windowBounds) + 1]int
	total := 0
	w.mu.Lock()
	for _, s := range w.slots {
		if s.second <= oldest {
			continue
		}
		h.Attempts += s.attempts
		h.Failures += s.failures
		for i, n := range s.took {
			took[i] += n
			total += n
		}
	}
	w.mu.Unlock()
	if h.Attempts > 0 {
		h.ErrorRate = 100 * float64(h.Failures) / float64(h.Attempts)
	}
	h.P95 = quantile(took[:], total, 0.95)
	return h
}

func quantile(classes []int, total int, q float64) time.Duration {
	if total == 0 {
		return 0
	}
	rest := int(q*float64(total-1)) + 1
	for i, n := range classes {
		if rest -= n; rest <= 0 {
			return windowBounds[min(i, len(windowBounds)-1)]
		}
	}
	return windowBounds[len(windowBounds)-1]
}

// ErrorRate is the share of authentications of the last minute, from 0 to 1, that failed because of this server.
func (a *Auth) ErrorRate() float64 { return a.recent.health().ErrorRate / 100 }

// RevokeP95 is the 95th percentile, over the last minute, of the time from a revocation to the last socket that it closed here; 0 where there was none.
func (a *Auth) RevokeP95() time.Duration { return a.ends.receipts.recent.health().P95 }

// LatencyP95 is the 95th percentile of session validations over the last minute.
func (a *Auth) LatencyP95() time.Duration { return a.recent.health().P95 }
