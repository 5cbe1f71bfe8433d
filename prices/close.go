package prices

import (
	"math"
	"time"

	"github.com/shopspring/decimal"
)

// dayClose is a session's last price; day 0 is none.
type dayClose struct {
	day    day
	price  decimal.Decimal
	shares day // per share as of this day; splits after it are still to be counted
}

// newestCloses are an instrument's two newest, the older one first: the session of the last price may have its close
// already, and then the day change refers to the one before.
type newestCloses [2]dayClose

// on is the close of d; nil where none is known.
func (l *newestCloses) on(d day) *dayClose {
	for i := range l {
		if l[i].day == d {
			return &l[i]
		}
	}
	return nil
}

// before is the newest close of a day before d; nil where none is known.
func (l *newestCloses) before(d day) *dayClose {
	for i := len(l) - 1; i >= 0; i-- {
		if l[i].day != 0 && l[i].day < d {
			return &l[i]
		}
	}
	return nil
}

// keep takes c in, where it is among the newest.
func (l *newestCloses) keep(c dayClose) {
	switch known := l.on(c.day); {
	case known != nil:
		*known = c
	case c.day > l[1].day:
		l[0], l[1] = l[1], c
	case c.day > l[0].day:
		l[0] = c
	}
}

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
	e.closes.keep(dayClose{d, c.Close, shares})
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
