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
	lag       *prometheus.HistogramVec
}

func newFeedMetrics(reg prometheus.Registerer) *feedMetrics {
	m := &feedMetrics{
		malformed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rosetree_prices_feed_malformed_total", Help: "Messages of a feed that were skipped because they could not be read."}, []string{"feed"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rosetree_prices_feed_failures_total", Help: "How often a feed ended with an error and was run again."}, []string{"feed"}),
		ticks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rosetree_prices_feed_ticks_total", Help: "Ticks that a feed reported, believed or not."}, []string{"feed"}),
		lag: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "rosetree_prices_feed_lag_seconds", Help: "Time between the source's and ours, of the newest tick in each batch that a feed reported.",
			Buckets: []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 15, 60, 900, 86400}}, []string{"feed"}),
	}
	if reg != nil {
		reg.MustRegister(m.malformed, m.failures, m.ticks, m.lag)
	}
	return m
}

// begin makes the series of a feed, so that they are there at zero before anything happens.
func (m *feedMetrics) begin(feed string) {
	for _, c := range []*prometheus.CounterVec{m.malformed, m.failures, m.ticks} {
		c.WithLabelValues(feed)
	}
	m.lag.WithLabelValues(feed)
}

// alertMetrics are of the alerts of all users.
type alertMetrics struct {
	watched                    prometheus.Gauge
	fired                      prometheus.Counter
	delivered, failed, givenUp prometheus.Counter // webhooks
}

func newAlertMetrics(reg prometheus.Registerer) *alertMetrics {
	webhook := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rosetree_prices_alert_webhooks_total", Help: "Tries to post a firing to a user's webhook, by what came of it."}, []string{"outcome"})
	m := &alertMetrics{
		watched: prometheus.NewGauge(prometheus.GaugeOpts{Name: "rosetree_prices_alerts", Help: "Alerts that this server checks on ticks."}),
		fired: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rosetree_prices_alerts_fired_total", Help: "Alerts that this server made fire; of several servers one does."}),
		delivered: webhook.WithLabelValues("delivered"), failed: webhook.WithLabelValues("failed"), givenUp: webhook.WithLabelValues("given_up"),
	}
	if reg != nil {
		reg.MustRegister(m.watched, m.fired, webhook)
	}
	return m
}
