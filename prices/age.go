package prices

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// freshnesses are all, in the order in which prices age.
var freshnesses = []Freshness{Live, Stalled, Stale, Closed, None}

// ages are metrics of how old prices are, computed when they are read: what nobody reads costs nothing, and the tick
// path knows nothing of them.
type ages struct {
	book           *Book
	oldest, states *prometheus.Desc
}

func newAges(b *Book) *ages {
	return &ages{book: b,
		oldest: prometheus.NewDesc("rosetree_prices_age_seconds_max", "Age of the oldest price among the instruments of a class whose market is open; 0 where there is none.", []string{"kind"}, nil),
		states: prometheus.NewDesc("rosetree_prices_instruments", "Instruments by how fresh their price is.", []string{"freshness"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (a *ages) Describe(ch chan<- *prometheus.Desc) { ch <- a.oldest; ch <- a.states }

// Collect implements prometheus.Collector. It looks at copies: the book's writer must not wait for calendars.
func (a *ages) Collect(ch chan<- prometheus.Metric) {
	now := time.Now()
	oldest, states := map[Kind]time.Duration{}, map[Freshness]float64{}
	for _, e := range a.book.copies() {
		state := None
		if e.quote.N > 0 {
			state = e.freshness(now)
		}
		if a.book.cut.Load() && (state == Live || state == Stalled) {
			state = Stale
		}
		states[state]++
		if e.quote.N > 0 && e.instrument.Kind != KindManual && e.calendar.open(now) {
			oldest[e.instrument.Kind] = max(oldest[e.instrument.Kind], now.Sub(e.quote.At))
		}
	}
	for _, k := range Kinds {
		ch <- prometheus.MustNewConstMetric(a.oldest, prometheus.GaugeValue, oldest[k].Seconds(), string(k))
	}
	for _, f := range freshnesses {
		ch <- prometheus.MustNewConstMetric(a.states, prometheus.GaugeValue, states[f], string(f))
	}
}

// copies are the entries as far as their freshness needs them.
func (b *Book) copies() []entry {
	b.mu.RLock()
	defer b.mu.RUnlock()
	all := make([]entry, 0, len(b.entries))
	for _, e := range b.entries {
		all = append(all, entry{instrument: Instrument{Kind: e.instrument.Kind}, calendar: e.calendar, quote: Quote{At: e.quote.At, N: e.quote.N, Source: e.quote.Source}})
	}
	return all
}
