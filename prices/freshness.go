package prices

import "time"

// Freshness says how far a price can be believed.
type Freshness string

const (
	Live    Freshness = "live"
	Stalled Freshness = "stalled" // its market is open, but it has not moved for a while
	Stale   Freshness = "stale"   // too old to value with confidence
	Closed  Freshness = "closed"  // its market is closed and this is its last price
	None    Freshness = "none"    // never had a price
)

// patience is how old a price may get while its market is open.
type patience struct{ stalled, stale time.Duration }

// patienceOf is by class: a coin that is silent for a minute is broken, a small share may be quiet.
func patienceOf(k Kind) patience {
	switch k {
	case KindCrypto:
		return patience{30 * time.Second, 5 * time.Minute}
	case KindFX:
		return patience{time.Minute, 15 * time.Minute}
	default:
		return patience{2 * time.Minute, 20 * time.Minute}
	}
}

// daily prices are set once a working day; over a long weekend they are four days old.
const dailyStale = 5 * 24 * time.Hour

// Freshness judges the price of s as of now.
func (b *Book) Freshness(s Symbol, now time.Time) Freshness {
	b.mu.RLock()
	defer b.mu.RUnlock()
	e := b.entries[s]
	if e == nil || e.quote.N == 0 {
		return None
	}
	f := e.freshness(now)
	if b.cut.Load() && (f == Live || f == Stalled) {
		return Stale // nobody can tell us what it costs now
	}
	return f
}

func (e *entry) freshness(now time.Time) Freshness {
	age, limit := now.Sub(e.quote.At), patienceOf(e.instrument.Kind)
	switch {
	case age <= limit.stalled:
		return Live
	case e.instrument.Kind == KindManual:
		return Closed // its owner says when it changes
	case e.calendar.name == "daily" || e.quote.Source == ecbSource:
		if age > dailyStale {
			return Stale
		}
		return Closed
	}
	last := e.calendar.lastClose(now)
	if e.quote.At.Before(e.calendar.openOf(last)) {
		return Stale // a whole session went by without it
	}
	if !e.calendar.open(now) {
		return Closed
	}
	if opened := e.calendar.openOf(now); e.quote.At.Before(opened) && last.Before(opened) {
		age = now.Sub(opened) // after a pause, yesterday's price is not old before today's trading has had time
	}
	if age > limit.stale {
		return Stale
	}
	if age > limit.stalled {
		return Stalled
	}
	return Live
}

// Open says whether the market of s is in session at t; false for what is not known.
func (b *Book) Open(s Symbol, t time.Time) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	e := b.entries[s]
	return e != nil && e.calendar.open(t)
}
