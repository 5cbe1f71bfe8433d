package prices

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/shopspring/decimal"
)

// span is the length of a candle.
type span struct {
	name string
	long time.Duration // of a day: its session's
	keep time.Duration // how long candles of it are kept; 0: for ever
}

// spans are the intervals that candles are kept for, the shortest first.
var spans = []span{
	{"1m", time.Minute, 7 * 24 * time.Hour},
	{"5m", 5 * time.Minute, 30 * 24 * time.Hour},
	{"1h", time.Hour, 366 * 24 * time.Hour},
	{"1d", 24 * time.Hour, 0},
}

func spanOf(name string) (span, bool) {
	i := slices.IndexFunc(spans, func(s span) bool { return s.name == name })
	if i < 0 {
		return span{}, false
	}
	return spans[i], true
}

// start is the beginning of the candle that holds what happened at t; day is t's session.
func (s span) start(t time.Time, d day) time.Time {
	if s.name == "1d" {
		return d.date()
	}
	return t.UTC().Truncate(s.long)
}

// ohlc is what a price did in a minute, or in a longer span that begins at start.
type ohlc struct {
	symbol                 Symbol
	start                  time.Time
	session                day
	open, high, low, close decimal.Decimal
	source                 string
}

func (m *ohlc) take(price decimal.Decimal) {
	if price.GreaterThan(m.high) {
		m.high = price
	}
	if price.LessThan(m.low) {
		m.low = price
	}
	m.close = price
}

// restate turns a minute before splits into shares after them.
func (m *ohlc) restate(n, d int64) {
	for _, p := range []*decimal.Decimal{&m.open, &m.high, &m.low, &m.close} {
		*p = restate(*p, n, d)
	}
}

// scale turns what is quoted in minor units into the currency.
func (m *ohlc) scale(factor decimal.Decimal) {
	for _, p := range []*decimal.Decimal{&m.open, &m.high, &m.low, &m.close} {
		*p = p.Mul(factor)
	}
}

// tape makes minutes of what the book tells. Longer candles are made of minutes when they are written.
type tape struct {
	mu       sync.Mutex
	book     *Book
	running  map[Symbol]*ohlc // the minute under way
	done     []ohlc           // minutes that are over and not written yet, oldest first
	sessions map[Symbol]session
	ended    []Close // last prices of sessions that are over and not written yet
}

// maxMinutes bounds what waits for a database that is out, or on a server that does not write; the oldest go first.
const maxMinutes = 50_000

func newTape(book *Book) *tape {
	return &tape{book: book, running: map[Symbol]*ohlc{}, sessions: map[Symbol]session{}}
}

// hear is a listener of the book.
func (t *tape) hear(news []Quote) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range news {
		if q := &news[i]; q.Source != splitSource { // a split restates a price, it is no trade
			t.add(q)
		}
	}
}

func (t *tape) add(q *Quote) {
	start := q.At.UTC().Truncate(time.Minute)
	m := t.running[q.Symbol]
	if m != nil && m.start.Equal(start) {
		m.take(q.Price)
		m.source = q.Source
		return
	}
	if m != nil {
		t.done = append(t.done, *m)
		t.done = t.done[max(0, len(t.done)-maxMinutes):]
	} else {
		m = &ohlc{}
		t.running[q.Symbol] = m
	}
	s := t.session(m, q)
	*m = ohlc{q.Symbol, start, s.day, q.Price, q.Price, q.Price, q.Price, q.Source}
}

// session is that of q; where it is a new one, the last price of m was the close of the one before.
func (t *tape) session(m *ohlc, q *Quote) session {
	s, known := t.sessions[q.Symbol]
	if ms := q.At.UnixMilli(); known && ms >= s.from && ms < s.until {
		return s
	}
	if now, ok := t.book.sessionOf(q.Symbol, q.At); ok {
		if known && now.day > s.day {
			t.ended = append(t.ended, Close{q.Symbol, s.day.date(), m.close, m.source})
			t.ended = t.ended[max(0, len(t.ended)-maxMinutes):]
		}
		s = now
		t.sessions[q.Symbol] = s
	}
	return s
}

// sessionOf is the session of s that at belongs to.
func (b *Book) sessionOf(s Symbol, at time.Time) (session, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	e := b.entries[s]
	if e == nil {
		return session{}, false
	}
	return e.calendar.sessionAt(at), true
}

// takeDone gives up the minutes that are over at now and the closes of ended sessions.
func (t *tape) takeDone(now time.Time) ([]ohlc, []Close) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for s, m := range t.running {
		if !now.Before(m.start.Add(time.Minute + gather*100)) { // a tick of the last moment may still be on its way
			t.done = append(t.done, *m)
			delete(t.running, s)
		}
	}
	done, ended := t.done, t.ended
	t.done, t.ended = nil, nil
	return done, ended
}

// unwritten are the minutes of s that the database does not have yet, oldest first.
func (t *tape) unwritten(s Symbol) []ohlc {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []ohlc
	for _, m := range t.done {
		if m.symbol == s {
			all = append(all, m)
		}
	}
	if m := t.running[s]; m != nil {
		all = append(all, *m)
	}
	return all
}

// joined makes candles of every span of minutes, which are in order for each symbol.
func joined(minutes []ohlc) map[string][]ohlc {
	all := map[string][]ohlc{}
	for _, s := range spans {
		places := map[string]int{}
		for _, m := range minutes {
			m.start = s.start(m.start, m.session)
			key := string(m.symbol) + " " + m.start.String()
			if i, ok := places[key]; ok {
				c := &all[s.name][i]
				c.take(m.high)
				c.take(m.low)
				c.close = m.close
				continue
			}
			places[key] = len(all[s.name])
			all[s.name] = append(all[s.name], m)
		}
	}
	return all
}

// parsePeriod reads the interval of a request; "" is a day.
func parsePeriod(text string) (span, bool) {
	if text == "" {
		text = "1d"
	}
	return spanOf(strings.ToLower(text))
}
