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
