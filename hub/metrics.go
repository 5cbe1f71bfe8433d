package hub

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"rosetree/auth"
)

// metrics of the hub; every label has a closed set of values.
type metrics struct {
	upgrades  *prometheus.CounterVec // result: ok, or the problem's code
	closed    *prometheus.CounterVec // code; reason: the short code
	delivered prometheus.Counter
	conflated prometheus.Counter
	sweeps    prometheus.Histogram
	prices    prometheus.Histogram
	faults    prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, h *Hub) *metrics {
	f := promauto.With(reg)
	for _, via := range []auth.Via{auth.ViaSession, auth.ViaLegacy, auth.ViaFallback} {
		f.NewGaugeFunc(prometheus.GaugeOpts{Name: "rosetree_hub_sockets", Help: "Open sockets by the path on which they were authenticated.",
			ConstLabels: prometheus.Labels{"auth": string(via)}}, func() float64 { return float64(h.openVia(via)) })
	}
	reg.MustRegister(states{h})
	m := &metrics{
		upgrades:  f.NewCounterVec(prometheus.CounterOpts{Name: "rosetree_hub_upgrades_total", Help: "Upgrades by result: ok, or the problem's code."}, []string{"result"}),
		closed:    f.NewCounterVec(prometheus.CounterOpts{Name: "rosetree_hub_closes_total", Help: "Closed sockets by close code and reason."}, []string{"code", "reason"}),
		delivered: f.NewCounter(prometheus.CounterOpts{Name: "rosetree_hub_updates_delivered_total", Help: "Price updates handed to the kernel."}),
		conflated: f.NewCounter(prometheus.CounterOpts{Name: "rosetree_hub_updates_conflated_total", Help: "Price updates that a socket was not given because a newer one of the same symbol had come."}),
		sweeps: f.NewHistogram(prometheus.HistogramOpts{Name: "rosetree_hub_sweep_seconds", Help: "Time of one round over the sockets that had something to get.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 4, 8)}),
		prices: f.NewHistogram(prometheus.HistogramOpts{Name: "rosetree_hub_price_seconds", Help: "From a price's arrival here to the end of the round that gave it to the sockets; what a client's own max_hz holds back is not counted.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1}}),
		faults: f.NewCounter(prometheus.CounterOpts{Name: "rosetree_hub_consistency_faults_total", Help: "Contradictions that the hub's self-check found."}),
	}
	for _, result := range []string{"ok", "unauthenticated", "unavailable", "internal"} {
		m.upgrades.WithLabelValues(result) // an alert on increase() needs the zero before it
	}
	return m
}

func (m *metrics) sweep(took time.Duration, delivered, conflated uint64) {
	m.sweeps.Observe(took.Seconds())
	m.delivered.Add(float64(delivered))
	m.conflated.Add(float64(conflated))
}

// priced measures a round that took up prices, the oldest of which came at moved.
func (m *metrics) priced(moved time.Time) {
	if !moved.IsZero() {
		m.prices.Observe(time.Since(moved).Seconds())
	}
}

// codeLabel is a close code as a label. A peer may close with any of thousands: those that are nobody's here are one.
func codeLabel(code int) string {
	switch {
	case code >= codeNormal && code <= 1015, code >= codeDrain && code <= codeRateLimited, code >= codeRevoked && code <= codeProtocolError:
		return strconv.Itoa(code)
	}
	return "other"
}

// socketStates are all, in the order in which they hide each other.
var socketStates = [...]string{"closing", "blind", "stuck", "suspended", "open"}

// state is the one that says most: blind: account data waits until the session can be checked; stuck: the peer does not take
// what was written; suspended: it wants nothing, because nobody looks.
func (c *conn) state() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.end != nil:
		return "closing"
	case c.blind:
		return "blind"
	case c.flush.stuckAt != 0:
		return "stuck"
	case c.suspended:
		return "suspended"
	}
	return "open"
}

// states counts when somebody asks: a socket changes its state far more often.
type states struct{ hub *Hub }

var statesDesc = prometheus.NewDesc("rosetree_hub_socket_states", "Sockets by what they are doing: open, suspended (nobody looks), stuck (the peer does not read), blind (account data waits until the session can be checked), closing.", []string{"state"}, nil)

// Describe implements prometheus.Collector.
func (s states) Describe(ch chan<- *prometheus.Desc) { ch <- statesDesc }

// Collect implements prometheus.Collector.
func (s states) Collect(ch chan<- prometheus.Metric) {
	s.hub.mu.Lock()
	open := slices.Collect(maps.Keys(s.hub.open)) // a connection's lock is not taken under the hub's
	s.hub.mu.Unlock()
	counts := map[string]int{}
	for _, c := range open {
		counts[c.state()]++
	}
	for _, state := range socketStates {
		ch <- prometheus.MustNewConstMetric(statesDesc, prometheus.GaugeValue, float64(counts[state]), state)
	}
}

func (h *Hub) openVia(via auth.Via) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.counts[countKey{countVia, string(via)}]
}

// report counts the end of a connection and writes its one line. The peer's own close codes are not
// ours to name: they are one reason.
func (c *conn) report() {
	c.mu.Lock()
	e, p, f := c.end, c.principal, c.flush
	c.mu.Unlock()
	c.hub.metrics.closed.WithLabelValues(codeLabel(e.code), e.reason).Inc()
	c.hub.log.Info("socket closed", "connection", c.id, "user", string(p.User), "session", string(p.Session), "auth", string(p.Via), "address", c.addr,
		"code", e.code, "reason", e.reason, "by", e.by, "heard", e.heard, "seconds", (c.hub.now()-c.opened)/1000,
		"received", c.received, "updates", f.delivered, "bytes", f.bytes)
}
