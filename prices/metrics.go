package prices

import "github.com/prometheus/client_golang/prometheus"

// metrics hold each counter by its label, resolved once: the tick path looks up no labels.
type metrics struct {
	believed prometheus.Counter
	refused  [refusals]prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rosetree_prices_ticks_refused_total",
		Help: "Ticks that the book did not believe, by reason.",
	}, []string{"reason"})
	m := &metrics{believed: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "rosetree_prices_ticks_total",
		Help: "Ticks that became the newest price of their symbol.",
	})}
	for r := unknownSymbol; r < refusals; r++ {
		m.refused[r] = refused.WithLabelValues(r.String())
	}
	if reg != nil {
		reg.MustRegister(m.believed, refused)
	}
	return m
}

// feedMetrics are by the feed's name in PRICE_FEEDS.
type feedMetrics struct {
	malformed *prometheus.CounterVec
	failures  *prometheus.CounterVec
	ticks     *prometheus.CounterVec
}

func newFeedMetrics(reg prometheus.Registerer) *feedMetrics {
	m := &feedMetrics{
		malformed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rosetree_prices_feed_malformed_total", Help: "Messages of a feed that were skipped because they could not be read."}, []string{"feed"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rosetree_prices_feed_failures_total", Help: "How often a feed ended with an error and was run again."}, []string{"feed"}),
		ticks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rosetree_prices_feed_ticks_total", Help: "Ticks that a feed reported, believed or not."}, []string{"feed"}),
	}
	if reg != nil {
		reg.MustRegister(m.malformed, m.failures, m.ticks)
	}
	return m
}
