package prices

import (
	"math"
	"time"
)

// Closed tells the book the last price of a session. It serves the day change, and as the price itself
// while there never was a tick: then n is 1, which no tick has where several servers share their prices.
func (b *Book) Closed(closes ...Close) {
	b.writing.Lock()
	defer b.writing.Unlock()
	now := time.Now()
	b.news = b.news[:0]
	b.mu.Lock()
	for _, c := range closes {
		if e := b.entries[c.Symbol]; e != nil && c.Close.Sign() > 0 {
			b.closed(e, c, now)
		}
	}
	b.mu.Unlock()
	b.tell()
}

// closeTime is the moment of c as a price; ok is false where a newer price is known.
func (b *Book) closeTime(c Close) (at time.Time, ok bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	e := b.entries[c.Symbol]
	if e == nil {
		return time.Time{}, false
	}
	at = e.momentOf(dayOf(c.Date), time.Now())
	return at, e.quote.N == 0 || at.After(e.quote.At)
}

// momentOf is the last moment of the session of d, not the first of the next; a session that is not
// over has come as far as now.
func (e *entry) momentOf(d day, now time.Time) time.Time {
	at := e.calendar.closeOf(d).Add(-time.Millisecond)
	if at.After(now) {
		return now.Truncate(time.Millisecond)
	}
	return at
}

func (b *Book) closed(e *entry, c Close, now time.Time) {
	d := dayOf(c.Date)
	shares := d
	if e.instrument.PriceAdjusted {
		shares = math.MaxInt32
	}
	e.keep(dayClose{d, c.Close, shares})
	at, before := e.momentOf(d, now), e.quote
	if e.quote.N <= 1 && at.After(e.quote.At) {
		e.session, e.guard = e.calendar.sessionAt(at), guard{}
		e.shares = max(e.shares, e.session.day)
		e.quote.Price, e.quote.At, e.quote.Source, e.quote.Symbol = c.Close, at, c.Source, c.Symbol
		e.quote.whole, _ = measured(c.Close)
	}
	e.refer()
	e.quote.shares, e.quote.slot, e.quote.era = e.shares, e.slot, e.era
	if !e.quote.Price.Equal(before.Price) || !e.quote.At.Equal(before.At) {
		e.quote.N = max(1, e.quote.N)
		b.news = append(b.news, e.quote)
	}
}
