package auth

import (
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

// dbMetrics are the pool's: an alert stands on used/max (70 and 80 %), on busy, and on every isolation refusal.
type dbMetrics struct {
	isolation *prometheus.CounterVec
	busy      prometheus.Counter
	retries   prometheus.Counter
}

func newDBMetrics(reg prometheus.Registerer, db *DB) *dbMetrics {
	m := &dbMetrics{
		isolation: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rosetree_auth_isolation_refusals_total",
			Help: "Statements that row security refused, by SQLSTATE. RT001 is a forged identity: page."}, []string{"code"}),
		busy: prometheus.NewCounter(prometheus.CounterOpts{Name: "rosetree_auth_db_busy_total",
			Help: "Requests answered unavailable because all connections stayed in use."}),
		retries: prometheus.NewCounter(prometheus.CounterOpts{Name: "rosetree_auth_db_retries_total",
			Help: "Work repeated on another connection after the first certainly did nothing."}),
	}
	for _, code := range []string{"RT001", "RT002", "RT003", "42501", "other"} {
		m.isolation.WithLabelValues(code) // an alert on increase() needs the zero before it
	}
	if reg == nil {
		return m
	}
	reg.MustRegister(m.isolation, m.busy, m.retries,
		poolGauge("used_connections", "Connections in use.", db, func(s *pgxpool.Stat) float64 { return float64(s.AcquiredConns()) }),
		poolGauge("max_connections", "The pool's limit.", db, func(s *pgxpool.Stat) float64 { return float64(s.MaxConns()) }),
		poolGauge("open_connections", "Connections open.", db, func(s *pgxpool.Stat) float64 { return float64(s.TotalConns()) }),
		poolCounter("acquires_total", "Times a connection was taken.", db, func(s *pgxpool.Stat) float64 { return float64(s.AcquireCount()) }),
		poolCounter("waited_acquires_total", "Times all connections were in use at first.", db, func(s *pgxpool.Stat) float64 { return float64(s.EmptyAcquireCount()) }),
		poolCounter("wait_seconds_total", "Time spent waiting for a connection.", db, func(s *pgxpool.Stat) float64 { return s.EmptyAcquireWaitTime().Seconds() }),
		poolCounter("opened_connections_total", "Connections made.", db, func(s *pgxpool.Stat) float64 { return float64(s.NewConnsCount()) }),
	)
	return m
}

func poolGauge(name, help string, db *DB, read func(*pgxpool.Stat) float64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "rosetree_auth_db_" + name, Help: help}, func() float64 { return read(db.pool.Stat()) })
}

func poolCounter(name, help string, db *DB, read func(*pgxpool.Stat) float64) prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "rosetree_auth_db_" + name, Help: help}, func() float64 { return read(db.pool.Stat()) })
}
