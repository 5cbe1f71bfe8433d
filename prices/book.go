package prices

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/shopspring/decimal"
)

// maxAhead is how far a source's clock may be ahead of ours.
const maxAhead = 5 * time.Second

// Book keeps the newest believed price of every instrument. It refuses what cannot be true and counts
// it by reason. Applying a tick allocates nothing.
type Book struct {
	metrics *metrics

	writing   sync.Mutex // one writer at a time, listeners included, so that all see one order; before mu
	listeners []*listener
	news      []Quote // of the batch under way; reused

	minors atomic.Int32 // how many instruments are quoted in minor units

	cut atomic.Bool // the way from the feeds is interrupted: what is known is no longer live

	mu      sync.RWMutex
	entries map[Symbol]*entry
}

type listener struct{ tell func([]Quote) }

// entry is what is known of one instrument, guarded by Book.mu.
type entry struct {
	instrument Instrument
	calendar   *calendar
	minor      bool            // quoted in minor units
	slot, era  uint32          // era changes with what the day change refers to
	far        decimal.Decimal // how far a tick may jump
	guard      guard
	session    session // of quote
	shares     day     // quote.Price is per share as of this day
	quote      Quote   // N is 0 while no price is known
	closes     newestCloses
}

// NewBook is an empty book: define instruments before their ticks come.
func NewBook(reg prometheus.Registerer) *Book {
	return &Book{metrics: newMetrics(reg), entries: map[Symbol]*entry{}}
}

// Apply believes or refuses each tick, tells the listeners once, and returns how many it believed.
func (b *Book) Apply(ticks []Tick) int {
	b.writing.Lock()
	defer b.writing.Unlock()
	horizon := time.Now().Add(maxAhead)
	b.news = b.news[:0]
	b.mu.Lock()
	for i := range ticks {
		if why := b.apply(&ticks[i], horizon); why != believed {
			b.metrics.refused[why].Inc()
		}
	}
	b.mu.Unlock()
	b.tell()
	return len(b.news)
}

// screen is the part of ticks that Apply would believe, without believing it. The others are counted.
func (b *Book) screen(ticks []Tick) []Tick {
	b.writing.Lock()
	defer b.writing.Unlock()
	horizon := time.Now().Add(maxAhead)
	var good []Tick
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range ticks {
		if _, why := b.entries[ticks[i].Symbol].refuse(&ticks[i], horizon); why != believed {
			b.metrics.refused[why].Inc()
		} else {
			good = append(good, ticks[i])
		}
	}
	return good
}

// accept takes quotes that were numbered elsewhere; those with an n that is not greater are known already.
func (b *Book) accept(quotes []Quote) {
	b.writing.Lock()
	defer b.writing.Unlock()
	b.news = b.news[:0]
	b.mu.Lock()
	for _, q := range quotes {
		e := b.entries[q.Symbol]
		if e == nil || q.N <= e.quote.N {
			continue
		}
		if q.At.After(e.quote.At) || e.quote.N <= 1 {
			e.enter(q.At)
		}
		if t := (Tick{q.Symbol, q.Price, q.At, q.Source}); e.guard.far(&t, e.far) {
			e.guard.follow(q.Price) // another server has believed it
		}
		q.Previous, q.shares, q.slot, q.era = e.quote.Previous, e.shares, e.slot, e.era
		q.whole, _ = measured(q.Price)
		e.quote = q
		b.news = append(b.news, q)
	}
	b.mu.Unlock()
	b.tell()
}

// judge is the reason not to believe t, which is then counted.
func (b *Book) judge(t Tick) refusal {
	b.writing.Lock()
	defer b.writing.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	_, why := b.entries[t.Symbol].refuse(&t, time.Now().Add(maxAhead))
	if why != believed {
		b.metrics.refused[why].Inc()
	}
	return why
}

func (b *Book) apply(t *Tick, horizon time.Time) refusal {
	e := b.entries[t.Symbol]
	whole, why := e.refuse(t, horizon)
	if why != believed {
		return why
	}
	e.enter(t.At)
	e.quote = Quote{Symbol: e.instrument.Symbol, Price: t.Price, At: t.At.Truncate(time.Millisecond), N: e.quote.N + 1,
		Previous: e.quote.Previous, Source: t.Source, shares: e.shares, slot: e.slot, era: e.era, whole: whole}
	b.news = append(b.news, e.quote)
	return believed
}

// refuse is the reason not to believe t, and otherwise its price as measured; e is nil where no instrument has its symbol.
func (e *entry) refuse(t *Tick, horizon time.Time) (whole int64, why refusal) {
	if e == nil {
		return 0, unknownSymbol
	}
	if t.Price.Sign() <= 0 {
		return 0, notPositive
	}
	whole, holdable := measured(t.Price)
	switch {
	case !holdable:
		return 0, tooManyDigits
	case t.At.After(horizon):
		return 0, inFuture
	case e.quote.N > 0 && t.At.UnixMilli() <= e.quote.At.UnixMilli():
		return 0, notNewer
	case !trusted(t.Source) && e.guard.far(t, e.far):
		return 0, outlier
	default:
		return whole, believed
	}
}

// enter moves e into the session of at. What was the last price becomes the close of the session that
// ended, unless its official close is known already.
func (e *entry) enter(at time.Time) {
	ms := at.UnixMilli()
	if ms >= e.session.from && ms < e.session.until {
		return
	}
	ended := e.session.day
	e.session = e.calendar.sessionAt(at)
	if e.quote.N > 0 && e.session.day > ended && e.closes.on(ended) == nil {
		e.closes.keep(dayClose{ended, e.quote.Price, e.shares})
	}
	if n, m := e.splitsIn(e.shares, e.session.day); n != m {
		e.guard = guard{} // what was near is far by the ratio now
	}
	e.shares = max(e.shares, e.session.day)
	e.refer()
}

// refer makes the newest close before the session of the latest price the reference of the day change.
func (e *entry) refer() {
	e.era++
	e.quote.Previous = decimal.NullDecimal{}
	if c := e.closes.before(e.session.day); c != nil {
		n, m := e.splitsIn(c.shares, e.shares)
		e.quote.Previous = decimal.NewNullDecimal(restate(c.price, n, m))
	}
}

// Listen calls fn after each batch with what was believed, in one order for all listeners, on the
// feed's goroutine. fn must not block, must not keep the slice and must not call Apply.
func (b *Book) Listen(fn func([]Quote)) (stop func()) {
	l := &listener{fn}
	b.writing.Lock()
	defer b.writing.Unlock()
	b.listeners = append(slices.Clip(b.listeners), l)
	return func() {
		b.writing.Lock()
		defer b.writing.Unlock()
		b.listeners = slices.DeleteFunc(slices.Clone(b.listeners), func(other *listener) bool { return other == l })
	}
}

func (b *Book) tell() {
	if len(b.news) == 0 {
		return
	}
	b.metrics.believed.Add(float64(len(b.news)))
	for _, l := range b.listeners {
		l.tell(b.news)
	}
}

// Quote is the newest price of s; false where none is known.
func (b *Book) Quote(s Symbol) (Quote, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if e := b.entries[s]; e != nil && e.quote.N > 0 {
		return e.quote, true
	}
	return Quote{}, false
}

// Instrument is what s stands for.
func (b *Book) Instrument(s Symbol) (Instrument, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if e := b.entries[s]; e != nil {
		return e.instrument, true
	}
	return Instrument{}, false
}

// Instruments are all that the book knows, by symbol.
func (b *Book) Instruments() []Instrument {
	b.mu.RLock()
	defer b.mu.RUnlock()
	all := make([]Instrument, 0, len(b.entries))
	for _, e := range b.entries {
		all = append(all, e.instrument)
	}
	slices.SortFunc(all, func(x, y Instrument) int { return strings.Compare(string(x.Symbol), string(y.Symbol)) })
	return all
}

// Define adds instruments or changes what is known of them; prices stay.
func (b *Book) Define(instruments ...Instrument) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, i := range instruments {
		if i.Multiplier.IsZero() {
			i.Multiplier = one
		}
		i.MinorUnit = i.minorUnit()
		e := b.entries[i.Symbol]
		if e == nil {
			e = &entry{slot: uint32(len(b.entries))}
			b.entries[i.Symbol] = e
		}
		if minor := !i.MinorUnit.Equal(one); minor != e.minor {
			e.minor = minor
			b.minors.Add(map[bool]int32{true: 1, false: -1}[minor])
		}
		e.instrument, e.calendar, e.far = i, calendarOf(i), farOf(i.Kind)
	}
}
