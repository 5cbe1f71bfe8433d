package auth

import (
	"testing"
	"time"
)

// ahead is a clock on a machine whose wall clock was right when PostgreSQL was asked, a minute ago, and was then set by off.
func ahead(off time.Duration) (*clock, time.Time) {
	c, now := new(clock), time.Now()
	right := now.Round(0).Add(-off)
	c.last.Store(&reading{there: right.Add(-time.Minute), here: now.Add(-time.Minute)})
	return c, right
}

func TestAClockThatIsSetChangesNothing(t *testing.T) {
	for _, off := range []time.Duration{0, time.Second, -time.Second, time.Hour, -time.Hour, 24 * 365 * time.Hour} {
		c, right := ahead(off)
		if late := c.now().Sub(right); late < -clockTrust || late > clockTrust+time.Minute {
			t.Errorf("off by %v: the clock shows %v more than it should", off, late)
		}
		deadline := right.Add(time.Hour)
		if left := time.Until(c.here(deadline)); left > time.Hour+clockTrust || left < time.Hour-time.Minute {
			t.Errorf("off by %v: what ends in an hour ends in %v", off, left)
		}
		if back := c.of(c.here(deadline)); back.Sub(deadline).Abs() > clockTrust+time.Minute {
			t.Errorf("off by %v: %v came back as %v", off, deadline, back)
		}
	}
	if c := new(clock); !c.doubtful() || time.Since(c.now()).Abs() > time.Minute || !c.here(time.Time{}).IsZero() {
		t.Error("a clock that was never compared")
	}
}

// A right clock hides nothing: what it is given comes back as it was.
func TestARightClockIsTheMachinesOwn(t *testing.T) {
	c, right := ahead(0)
	deadline := right.Add(time.Hour).Truncate(time.Second)
	if got := c.here(deadline); !got.Equal(deadline) || !c.of(got).Equal(deadline) {
		t.Errorf("%v became %v", deadline, got)
	}
	if c.doubtful() {
		t.Error("it is doubted")
	}
	c.took(time.Now().Add(time.Hour), time.Now())
	if late := time.Until(c.now()); late < 59*time.Minute {
		t.Errorf("PostgreSQL is an hour ahead, and the clock shows %v", late)
	}
}

// PostgreSQL's clock is set, and the wall clock is right: the time goes on as it was, and identities show PostgreSQL what it believes.
func TestPostgreSQLsClockThatIsSetChangesNothing(t *testing.T) {
	for _, off := range []time.Duration{time.Hour, -time.Hour, 24 * 365 * time.Hour} {
		c := new(clock)
		c.took(time.Now(), time.Now())
		c.took(time.Now().Add(off), time.Now())
		if late := time.Until(c.now()); late.Abs() > clockTrust {
			t.Errorf("off by %v: the clock shows %v more than it should", off, late)
		}
		if late := time.Until(c.carried(time.Now())) - off; late.Abs() > clockTrust {
			t.Errorf("off by %v: what PostgreSQL is shown is %v off", off, late)
		}
	}
}
