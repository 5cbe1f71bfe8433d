package auth

import (
	"sync/atomic"
	"time"
)

// clock is what issues, revocations and ends are compared by. Where PostgreSQL's clock and the wall clock of this machine show the same,
// give or take clockTrust, the wall clock serves, which is read more exactly. Where they have gone apart somebody has set one of them,
// which must neither end nor prolong anything: the time goes on, by the monotonic clock, from where they last agreed. Where they never
// did, it is PostgreSQL's, because all servers ask it.
type clock struct {
	last    atomic.Pointer[reading] // of PostgreSQL's
	agreed  atomic.Pointer[reading] // of the wall clock, when both showed the same
	doubted atomic.Bool             // PostgreSQL has refused a time of ours: its own clock has moved
}

// reading is one instant by two clocks.
type reading struct {
	there time.Time
	here  time.Time // with a monotonic reading
}

// at is what the other clock shows when time.Now() is here.
func (r *reading) at(here time.Time) time.Time { return r.there.Add(here.Sub(r.here)) }

// clockTrust is more than reading a clock over a network is off by, and far less than any life here.
const clockTrust = 2 * time.Second

// took notes what PostgreSQL's clock showed between began and now. A slow answer tells too little: it is better than none.
func (c *clock) took(db, began time.Time) {
	waited := time.Since(began)
	slow := waited >= clockTrust
	if !slow || c.last.Load() == nil {
		r := &reading{there: db, here: began.Add(waited / 2)}
		c.last.Store(r)
		c.doubted.Store(slow)
		if now := time.Now(); near(r.at(now), now) {
			c.agreed.Store(&reading{there: now.Round(0), here: now})
		}
	}
}

// near says that a clock shows what the wall clock does.
func near(shows, here time.Time) bool { return shows.Sub(here.Round(0)).Abs() < clockTrust }

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
	if near(carried, here) {
		return here
	}
	if r := c.agreed.Load(); r != nil {
		return r.at(here)
	}
	return carried
}

// carried is PostgreSQL's clock: for what PostgreSQL itself compares with it.
func (c *clock) carried(here time.Time) time.Time {
	r := c.last.Load()
	if r == nil {
		return here
	}
	return r.at(here)
}

// here is what time.Now() will be when the clock shows t, whatever is done to the wall clock until then.
func (c *clock) here(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	now := time.Now()
	return now.Add(t.Sub(c.of(now).Round(0)))
}
