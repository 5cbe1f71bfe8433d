package auth

import "github.com/prometheus/client_golang/prometheus"

type watchMetrics struct {
	watched     prometheus.Gauge
	blind       *prometheus.GaugeVec
	ended       *prometheus.CounterVec
	falseAlarms prometheus.Counter
	canary      prometheus.Histogram
}

func newWatchMetrics(reg prometheus.Registerer) *watchMetrics {
	m := &watchMetrics{
		watched: prometheus.NewGauge(prometheus.GaugeOpts{Name: "rosetree_auth_watched_sessions",
			Help: "Sessions with sockets on this server."}),
		blind: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "rosetree_auth_blind",
			Help: "1 while this server does not hear a Redis server's events and polls instead."}, []string{"redis"}),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rosetree_auth_sessions_ended_total",
			Help: "Watched sessions that ended, by how this server learnt of it and why."}, []string{"heard", "reason"}),
		falseAlarms: prometheus.NewCounter(prometheus.CounterOpts{Name: "rosetree_auth_false_alarms_total",
			Help: "Events on sessions that turned out to live."}),
		canary: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "rosetree_auth_canary_seconds",
			Help:    "From writing a canary to hearing its event.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5}}),
	}
	reg.MustRegister(m.watched, m.blind, m.ended, m.falseAlarms, m.canary)
	return m
}
