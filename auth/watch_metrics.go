package auth

import "github.com/prometheus/client_golang/prometheus"

type watchMetrics struct {
	watched     prometheus.Gauge
	blind       *prometheus.GaugeVec
	blindTime   *prometheus.CounterVec
	ended       *prometheus.CounterVec
	falseAlarms prometheus.Counter
	canary      prometheus.Histogram
	open        *prometheus.GaugeVec
	shed        *prometheus.CounterVec
}

// breaker are one breaker's own two.
func (m *watchMetrics) breaker(redis string) breakerMetrics {
	return breakerMetrics{m.open.WithLabelValues(redis), m.shed.WithLabelValues(redis)}
}

// forget takes out the series of a Redis server that serves nothing any more.
func (m *watchMetrics) forget(redis string) {
	m.blind.DeleteLabelValues(redis)
	m.blindTime.DeleteLabelValues(redis)
	m.open.DeleteLabelValues(redis)
	m.shed.DeleteLabelValues(redis)
}

func newWatchMetrics(reg prometheus.Registerer) *watchMetrics {
	m := &watchMetrics{
		watched: prometheus.NewGauge(prometheus.GaugeOpts{Name: "rosetree_auth_watched_sessions",
			Help: "Sessions with sockets on this server."}),
		blind: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "rosetree_auth_blind",
			Help: "1 while this server does not hear a Redis server's events and polls instead."}, []string{"redis"}),
		blindTime: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rosetree_auth_blind_seconds_total",
			Help: "For how long this server has not heard a Redis server's events."}, []string{"redis"}),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rosetree_auth_sessions_ended_total",
			Help: "Watched sessions that ended, by how this server learnt of it and why."}, []string{"heard", "reason"}),
		falseAlarms: prometheus.NewCounter(prometheus.CounterOpts{Name: "rosetree_auth_false_alarms_total",
			Help: "Events on sessions that turned out to live."}),
		canary: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "rosetree_auth_canary_seconds",
			Help:    "From writing a canary to hearing its event.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5}}),
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "rosetree_auth_breaker_open",
			Help: "1 while requests do not wait for a Redis server because it fails."}, []string{"redis"}),
		shed: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rosetree_auth_breaker_shed_total",
			Help: "Commands that found too many others waiting for a Redis server."}, []string{"redis"}),
	}
	reg.MustRegister(m.watched, m.blind, m.blindTime, m.ended, m.falseAlarms, m.canary, m.open, m.shed)
	return m
}
