package alert

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// bench is a watch whose gauge a test moves, and whose clock it turns.
type bench struct {
	*Watch
	*heard
	gauge prometheus.Gauge
	now   time.Time
}

func newBench(claim Claim) *bench {
	b := &bench{heard: &heard{}, gauge: prometheus.NewGauge(prometheus.GaugeOpts{Name: "x"}), now: time.Unix(1000, 0)}
	reg := prometheus.NewRegistry()
	reg.MustRegister(b.gauge)
	c := Condition{Name: "X", Severity: Critical, Says: "It is high.", Unit: "%", Limit: 5, For: time.Minute, Measure: Level{Of: Series{Name: "x"}, Scale: 1}}
	b.Watch = NewWatch(reg, []Condition{c}, b.heard, claim, slog.New(slog.DiscardHandler))
	return b
}

func (b *bench) after(t *testing.T, d time.Duration, value float64) {
	t.Helper()
	b.gauge.Set(value)
	for end := b.now.Add(d); b.now.Before(end); {
		b.now = b.now.Add(every)
		b.look(t.Context(), b.now)
	}
}

func TestAConditionIsToldOnceWhenItLastsAndOnceWhenItIsOver(t *testing.T) {
	b := newBench(alone{})
	b.after(t, 45*time.Second, 9)
	b.after(t, 15*time.Second, 1)
	if len(b.notices) != 0 {
		t.Fatalf("a peak shorter than its For was told: %+v", b.notices)
	}
	b.after(t, time.Hour, 9)
	if len(b.notices) != 1 || b.notices[0].Over || b.notices[0].Value != 9 {
		t.Fatalf("an hour over the limit is one message, told were %+v", b.notices)
	}
	b.after(t, time.Hour, 1)
	if len(b.notices) != 2 || !b.notices[1].Over {
		t.Fatalf("its end is one message, told were %+v", b.notices)
	}
}

// others holds the claim in another server's name until it is let go.
type others struct{ hold bool }

func (o *others) Take(context.Context, string) bool { return !o.hold }
func (o *others) Release(context.Context, string)   {}

func TestOfSeveralServersOneTellsAndAnotherTakesOver(t *testing.T) {
	o := &others{hold: true}
	b := newBench(o)
	b.after(t, time.Hour, 9)
	if len(b.notices) != 0 {
		t.Fatalf("told beside another server: %+v", b.notices)
	}
	o.hold = false // it died
	b.after(t, time.Minute, 9)
	if len(b.notices) != 1 {
		t.Fatalf("nobody told after the other server died: %+v", b.notices)
	}
}

func TestTheWebhookTriesAgainAndTellsOfTheEnd(t *testing.T) {
	var mu sync.Mutex
	var got []message
	calls := 0
	arrived := make(chan struct{}, 8)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if calls++; calls%2 == 1 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		var m message
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			t.Error(err)
		}
		got = append(got, m)
		arrived <- struct{}{}
	}))
	defer srv.Close()
	h := NewWebhook(srv.URL, "a", slog.New(slog.DiscardHandler))
	h.wait = time.Millisecond
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = h.Run(ctx) }()
	c := Condition{Name: "X", Severity: Critical, Says: "It is high.", Unit: "%", Limit: 5}
	h.Tell(ctx, Notice{Condition: c, Value: 9, Since: time.Now()})
	h.Tell(ctx, Notice{Condition: c, Value: 1, Since: time.Now(), Over: true})
	for range 2 {
		select {
		case <-arrived:
		case <-time.After(30 * time.Second):
			t.Fatal("the webhook heard nothing")
		}
	}
	stop()
	<-done
	if got[0].Status != "firing" || got[1].Status != "resolved" || got[0].Alert != "X" || !strings.Contains(got[0].Text, "It is high.") {
		t.Errorf("the webhook heard %+v", got)
	}
}

func TestALostMessageIsSaidInTheLogWithoutTheAddress(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	address := srv.URL + "/hook/s3cret"
	var log bytes.Buffer
	h := NewWebhook(address, "a", slog.New(slog.NewTextHandler(&log, nil)))
	h.wait = time.Microsecond
	h.deliver(t.Context(), message{Alert: "X"})
	srv.Close()
	h.deliver(t.Context(), message{Alert: "Y"})
	said := log.String()
	if strings.Count(said, "could not be delivered") != 2 || !strings.Contains(said, "answered 404") || !strings.Contains(said, "did not answer") {
		t.Errorf("the log says %s", said)
	}
	if strings.Contains(said, "s3cret") || strings.Contains(said, "127.0.0.1") {
		t.Errorf("the log has the webhook's address, which is a secret: %s", said)
	}
}
