package portfolio

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	drift      prometheus.Counter
	valuations prometheus.Counter
	changes    prometheus.Counter
	swept      prometheus.Counter
	reads      *prometheus.CounterVec
	replay     prometheus.Histogram
	sync       prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer, s *Service) *metrics {
	m := &metrics{
		drift:      prometheus.NewCounter(prometheus.CounterOpts{Name: "rosetree_portfolio_drift_total", Help: "Running totals that were not equal to the full sum. Must stay 0."}),
		valuations: prometheus.NewCounter(prometheus.CounterOpts{Name: "rosetree_portfolio_valuations_total", Help: "Valuations made for watched portfolios."}),
		changes:    prometheus.NewCounter(prometheus.CounterOpts{Name: "rosetree_portfolio_changes_total", Help: "Changes pushed to viewers."}),
		swept:      prometheus.NewCounter(prometheus.CounterOpts{Name: "rosetree_portfolio_outbox_swept_total", Help: "Outbox rows passed on by the sweeper."}),
		reads:      prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rosetree_portfolio_reads_total", Help: "Reads of a portfolio from PostgreSQL: all of it, or what changed."}, []string{"what"}),
		replay:     prometheus.NewHistogram(prometheus.HistogramOpts{Name: "rosetree_portfolio_replay_seconds", Help: "Replay of a ledger, whole or of what changed.", Buckets: prometheus.ExponentialBuckets(0.0005, 4, 8)}),
		sync: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "rosetree_portfolio_sync_seconds", Help: "From the commit of a change, on any server, to its push to this server's viewers.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .075, .1, .25, .5, 1, 5}}),
	}
	inMemory := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "rosetree_portfolio_live_portfolios", Help: "Portfolios in memory."}, func() float64 {
		s.mu.Lock()
		defer s.mu.Unlock()
		return float64(len(s.live))
	})
	reg.MustRegister(m.drift, m.valuations, m.changes, m.swept, m.reads, m.replay, m.sync, inMemory)
	return m
}
