package hub

import (
	"strings"
	"testing"
	"testing/synctest"

	dto "github.com/prometheus/client_model/go"

	"rosetree/auth"
)

func TestSocketsAreCountedByWhatTheyDoAndHowTheyEnded(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, h *house) {
		ana, ben := h.dial("ana"), h.dial("ben")
		ana.next("welcome")
		ben.next("welcome")
		ben.send(`{"type":"suspend"}`)
		synctest.Wait()
		for state, want := range map[string]float64{"open": 1, "suspended": 1, "blind": 0, "stuck": 0, "closing": 0} {
			if got := gauge(h, "rosetree_hub_socket_states", state); got != want {
				t.Errorf("%v sockets are %s, not %v", got, state, want)
			}
		}
		h.sessions.end("s-ana", auth.End{Reason: auth.EndRevoked, By: "admin"})
		ana.closed()
		_ = ben.ws.Close(4321, "a code of its own")
		synctest.Wait()
		for labels, want := range map[string]float64{"4500 session_revoked": 1, "other client_closed": 1} {
			if got := gauge(h, "rosetree_hub_closes_total", labels); got != want {
				t.Errorf("%v sockets ended with %s, not %v", got, labels, want)
			}
		}
	})
}

// gauge is the value of the series of a metric that has these values of its labels.
func gauge(h *house, name, labels string) float64 {
	families, err := h.registry.Gather()
	if err != nil {
		h.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && valuesOf(m) == labels {
				return m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return -1
}

func valuesOf(m *dto.Metric) string {
	var values []string
	for _, l := range m.GetLabel() {
		values = append(values, l.GetValue())
	}
	return strings.Join(values, " ")
}
