package auth

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	checks     *prometheus.HistogramVec // path, result
	logins     *prometheus.CounterVec   // result
	hashQueue  prometheus.Gauge
	badTokens  prometheus.Counter
	shadow     *prometheus.CounterVec // result
	percentage prometheus.Gauge
	switches   *prometheus.GaugeVec // switch
	degraded   prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		checks: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "rosetree_auth_check_seconds", Help: "Time to authenticate a request, by the credential's path and the result.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .007, .01, .025, .05, .1, .25, 1},
		}, []string{"path", "result"}),
		logins:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rosetree_auth_logins_total", Help: "Log-ins and registrations by result: ok, refused (wrong password), limited, failed (our fault)."}, []string{"result"}),
		hashQueue:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "rosetree_auth_hash_queue_depth", Help: "Log-ins that wait for or have a permit to hash."}),
		badTokens:  prometheus.NewCounter(prometheus.CounterOpts{Name: "rosetree_auth_bad_tokens_total", Help: "Well-formed session tokens that no session has: expired ones, or somebody guesses."}),
		shadow:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rosetree_auth_shadow_total", Help: "Comparisons of the two paths after the answer: match, mismatch, absent (no session stands for the token), accepts_more (the new path accepts what the old one refuses), dropped, failed."}, []string{"result"}),
		percentage: prometheus.NewGauge(prometheus.GaugeOpts{Name: "rosetree_auth_rollout_percent", Help: "Share of users whose log-ins get a session, as this server follows it."}),
		switches:   prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "rosetree_auth_rollout_switch", Help: "1 where a switch is on, as this server follows it: new_auth, rollback, lockdown, legacy."}, []string{"switch"}),
		degraded:   prometheus.NewCounter(prometheus.CounterOpts{Name: "rosetree_auth_degraded_accept_total", Help: "Requests accepted by a fallback token while Redis could not be asked."}),
	}
	m.startAtZero()
	reg.MustRegister(m.checks, m.logins, m.hashQueue, m.badTokens, m.shadow, m.percentage, m.switches, m.degraded)
	return m
}

// follow shows the switches.
func (m *metrics) follow(s Switches) {
	m.percentage.Set(s.share())
	for name, on := range map[string]bool{"new_auth": s.NewAuth, "rollback": s.Rollback, "lockdown": s.Lockdown, "legacy": s.LegacyEnabled} {
		value := 0.0
		if on {
			value = 1
		}
		m.switches.WithLabelValues(name).Set(value)
	}
}

// startAtZero makes every series at once: an increase from nothing is none to Prometheus, and the first failure would be
// the one that no alert saw.
func (m *metrics) startAtZero() {
	for _, result := range []string{"ok", "refused", "failed"} {
		for _, path := range []form{formNone, formSession, formLegacy, formFallback} {
			m.checks.WithLabelValues(string(path), result)
		}
	}
	for _, result := range []string{"match", "mismatch", "absent", "accepts_more", "dropped", "failed"} {
		m.shadow.WithLabelValues(result)
	}
	for _, result := range []string{"ok", "refused", "limited", "failed"} {
		m.logins.WithLabelValues(result)
	}
}
