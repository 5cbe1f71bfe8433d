package auth

import (
	"sync/atomic"
	"time"
)

// clock is PostgreSQL's, carried on by this machine's monotonic clock. What is signed, revoked or expires is compared by it: the
// wall clock of a server may be wrong, and may jump, and must neither end nor prolong anything. Where both show the same, give
// or take clockTrust, the wall clock serves, which is read more exactly.
type clock struct {
	last    atomic.Pointer[reading]
	doubted atomic.Bool // PostgreSQL has refused a time of ours: its own clock has moved
}

// reading is one instant by two clocks.
type reading struct {
	db   time.Time
	here time.Time // with a monotonic reading
}

// clockTrust is more than reading PostgreSQL's clock over a network is off by, and far less than any life here.
const clockTrust = 2 * time.Second

// took notes what PostgreSQL's clock showed between began and now. A slow answer tells too little: it is better than none.
func (c *clock) took(db, began time.Time) {
	waited := time.Since(began)
	slow := waited >= clockTrust
	if !slow || c.last.Load() == nil {
		c.last.Store(&reading{db: db, here: began.Add(waited / 2)})
		c.doubted.Store(slow)
	}
}

// doubtful says that PostgreSQL should be asked before it is shown a time: it never was, it has refused one, or the wall clock and
// the monotonic one have gone apart since (somebody set the one, or the machine slept, which stops the other).
func (c *clock) doubtful() bool {
	r := c.last.Load()
	if r == nil || c.doubted.Load() {
		return true
	}
	now := time.Now()
	return (now.Round(0).Sub(r.here.Round(0)) - now.Sub(r.here)).Abs() > clockTrust
}

// now is what the clock shows.
func (c *clock) now() time.Time { return c.of(time.Now()) }

// of is what the clock shows when time.Now() is here.
func (c *clock) of(here time.Time) time.Time {
	carried := c.carried(here)
	if carried.Sub(here.Round(0)).Abs() < clockTrust {
		return here
	}
	return carried
}

// carried is of where milliseconds count, between machines.
func (c *clock) carried(here time.Time) time.Time {
	r := c.last.Load()
	if r == nil {
		return here
	}
	return r.db.Add(here.Sub(r.here))
}

// here is what time.Now() will be when the clock shows t, whatever is done to the wall clock until then.
func (c *clock) here(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	now := time.Now()
	return now.Add(t.Sub(c.of(now).Round(0)))
}
