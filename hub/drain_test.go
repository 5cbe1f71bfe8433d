package hub

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestDrainIsSpreadAndHintsAreSpread(t *testing.T) {
	inBubble(t, Config{Drain: 10 * time.Second, SocketsPerUser: -1}, func(t *testing.T, h *house) {
		began := time.Now()
		type end struct {
			at    time.Duration
			retry float64
		}
		ends := make(chan end, 100)
		for range 100 {
			c := h.dial("ana")
			go func() {
				bye, _, _ := c.closed()
				ends <- end{time.Since(began), bye["retry_ms"].(float64)}
			}()
		}
		synctest.Wait()
		h.stop()
		<-h.ran
		first, last, retries := time.Hour, time.Duration(0), map[float64]bool{}
		for range 100 {
			e := <-ends
			first, last = min(first, e.at), max(last, e.at)
			retries[e.retry] = true
		}
		if last-first < 150*time.Millisecond || len(retries) < 50 {
			t.Errorf("left within %v with %d different hints", last-first, len(retries))
		}
		if _, resp, err := h.tryDial("ana"); err == nil || resp.StatusCode != 503 {
			t.Errorf("a draining server let someone in: %v", err)
		}
	})
}

// A server that sends half of its sockets away goes on serving the others, lets nobody in meanwhile, and then
// takes sockets again.
func TestMoveSendsAShareAwayAndTheServerGoesOn(t *testing.T) {
	inBubble(t, Config{SocketsPerUser: -1}, func(t *testing.T, h *house) {
		const all = 20
		codes := make(chan int, all)
		for range all {
			c := h.dial("ana")
			go func() {
				_, code, _ := c.closed()
				codes <- code
			}()
		}
		synctest.Wait()
		var ready []bool
		sockets, over, err := h.hub.move(50, func(on bool) { ready = append(ready, !on) })
		if err != nil || sockets != all/2 {
			t.Fatalf("%d sockets, %v", sockets, err)
		}
		if _, _, err := h.hub.move(50, func(bool) {}); err != errMoving {
			t.Errorf("twice at once: %v", err)
		}
		if _, resp, err := h.tryDial("bob"); err == nil || resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
			t.Errorf("let in meanwhile: %v", err)
		}
		time.Sleep(over + time.Second)
		for len(codes) > 0 {
			if code := <-codes; code != 4000 {
				t.Errorf("closed with %d", code)
			}
		}
		if open := h.hub.Open(); open != all/2 || len(ready) != 2 || ready[0] || !ready[1] {
			t.Errorf("%d open, ready %v", open, ready)
		}
		h.dial("bob").next("welcome")
	})
}

func TestAStopEndsAMoveAndTheServerStaysUnready(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, h *house) {
		h.dial("ana").next("welcome")
		on := 0
		if _, _, err := h.hub.move(100, func(moving bool) {
			if moving {
				on++
			} else {
				on--
			}
		}); err != nil {
			t.Fatal(err)
		}
		h.stop()
		<-h.ran
		if on != 1 {
			t.Error("a server that stops said that it is ready")
		}
		if _, _, err := h.hub.move(100, func(bool) {}); err == nil {
			t.Error("a server that stops began to move sockets")
		}
	})
}

func TestMoveRouteRefusesNonsenseAndForeignPages(t *testing.T) {
	c, _ := deskConn(newMarket())
	mux := http.NewServeMux()
	c.hub.MoveRoute(mux, func(bool) {})
	ask := func(query, origin string) (int, string) {
		r := httptest.NewRequest("POST", "http://metrics/debug/drain"+query, nil)
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	for query, want := range map[string]int{"?percent=0": 422, "?percent=101": 422, "?percent=NaN": 422, "?percent=half": 422, "?percent=50": 202, "": 409} {
		if query == "" {
			continue // asked last, while the other is under way
		}
		if code, body := ask(query, ""); code != want {
			t.Errorf("%s: %d %s", query, code, body)
		}
	}
	if code, body := ask("", ""); code != 409 || !strings.Contains(body, "conflict") {
		t.Errorf("twice: %d %s", code, body)
	}
	if code, _ := ask("", "https://evil.example"); code != 403 {
		t.Errorf("from a page: %d", code)
	}
	close(c.hub.stopping)
	c.hub.workers.Wait()
}
