package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"rosetree/internal/alert"
)

// TestEveryAlertStandsOnAMetricThatIsThereFromTheStart: a misspelt metric makes an alert that never fires, and one that
// appears with the first failure hides that failure from Prometheus.
func TestEveryAlertStandsOnAMetricThatIsThereFromTheStart(t *testing.T) {
	h := newHouse(t)
	var text string
	eventually(t, "the gauge that has a child per Redis server, once the watcher has met it", func() bool {
		text = h.text("/metrics")
		return strings.Contains(text, "# TYPE rosetree_auth_blind ")
	})
	for _, c := range alert.Conditions {
		for _, s := range c.Series() {
			name := strings.TrimSuffix(s.Name, "_count")
			if !strings.Contains(text, "# TYPE "+name+" ") {
				t.Errorf("%s stands on %s, which the server does not have", c.Name, s.Name)
			}
			for _, v := range s.Values {
				if !strings.Contains(text, s.Label+`="`+v+`"`) {
					t.Errorf("%s stands on %s{%s=%q}, which is not there from the start", c.Name, s.Name, s.Label, v)
				}
			}
		}
	}
}

func (h *house) text(path string) string {
	h.t.Helper()
	res, err := http.Get(h.url + path)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 {
		h.t.Fatal(path, res.StatusCode, err)
	}
	return string(body)
}

func TestALostRedisIsToldToTheWebhookAndItsReturnToo(t *testing.T) {
	heard := make(chan string, 16)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var m struct{ Alert, Status string }
		if json.NewDecoder(r.Body).Decode(&m) == nil {
			heard <- m.Alert + " " + m.Status
		}
	}))
	defer hook.Close()
	h := newHouse(t, "ALERT_WEBHOOK_URL="+hook.URL)
	wait := func(want string) {
		t.Helper()
		for timeout := time.After(2 * time.Minute); ; {
			select {
			case got := <-heard:
				if got == want {
					return
				}
			case <-timeout:
				t.Fatalf("the webhook never heard %q", want)
			}
		}
	}
	ana := h.register("ana@example.test")
	defer h.knock(ana.token)() // the breaker opens on what requests meet
	h.server.Freeze(t)
	wait("RedisGone firing")
	h.server.Thaw(t)
	wait("RedisGone resolved")
}

// knock sends requests, whatever becomes of them, until it is told to stop.
func (h *house) knock(token string) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		for ctx.Err() == nil {
			r, _ := http.NewRequestWithContext(ctx, "GET", h.url+"/api/auth/status", nil)
			r.Header.Set("Authorization", "Bearer "+token)
			if res, err := http.DefaultClient.Do(r); err == nil {
				res.Body.Close()
			}
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	})
	return func() { cancel(); done.Wait() }
}
