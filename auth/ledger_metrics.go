package auth

import "github.com/prometheus/client_golang/prometheus"

type ledgerMetrics struct {
	rows      prometheus.Gauge
	proof     prometheus.Gauge
	unwritten prometheus.Gauge
	took      *prometheus.HistogramVec
}

func newLedgerMetrics(reg prometheus.Registerer) *ledgerMetrics {
	m := &ledgerMetrics{
		rows: prometheus.NewGauge(prometheus.GaugeOpts{Name: "rosetree_auth_denylist_entries",
			Help: "Revocations that this server holds in memory."}),
		proof: prometheus.NewGauge(prometheus.GaugeOpts{Name: "rosetree_auth_ledger_read_timestamp_seconds",
			Help: "When the ledger in PostgreSQL was last read to its end."}),
		unwritten: prometheus.NewGauge(prometheus.GaugeOpts{Name: "rosetree_auth_revocations_unwritten",
			Help: "Revocations that took effect and wait for PostgreSQL."}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "rosetree_auth_revocation_seconds",
			Help:    "From a revocation to the end of its last socket on this server, by how this server learnt of it.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}}, []string{"heard"}),
	}
	for _, heard := range []string{"keyspace", "feed", "local", "poll", "sweep"} {
		m.took.WithLabelValues(heard) // an alert on increase() needs the zero before it
	}
	reg.MustRegister(m.rows, m.proof, m.unwritten, m.took)
	return m
}
