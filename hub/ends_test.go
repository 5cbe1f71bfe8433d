package hub

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"rosetree/auth"
)

func TestUpgradeIsRefusedWithAProblemBeforeTheSwitch(t *testing.T) {
	key := "dGhlIHNhbXBsZSBub25jZQ=="
	upgrade := func(change ...string) http.Header {
		h := http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {key}, "Authorization": {"Bearer ana"}}
		for i := 0; i < len(change); i += 2 {
			if change[i+1] == "" {
				h.Del(change[i])
				continue
			}
			h.Set(change[i], change[i+1])
		}
		return h
	}
	inBubble(t, Config{}, func(t *testing.T, h *house) {
		for _, test := range []struct {
			name   string
			header http.Header
			status int
			code   string
		}{
			{"plain HTTP", http.Header{"Authorization": {"Bearer ana"}}, 400, "bad_request"},
			{"old version", upgrade("Sec-Websocket-Version", "8"), 400, "bad_request"},
			{"no key", upgrade("Sec-Websocket-Key", ""), 400, "bad_request"},
			{"short key", upgrade("Sec-Websocket-Key", "abcd"), 400, "bad_request"},
			{"another protocol", upgrade("Sec-Websocket-Protocol", "graphql-ws"), 400, "bad_request"},
			{"only a ticket offered", upgrade("Sec-Websocket-Protocol", "rosetree.ticket.abc"), 400, "bad_request"},
			{"nobody", upgrade("Authorization", ""), 401, "unauthenticated"},
			{"revoked in between", upgrade("Authorization", "Bearer late"), 401, "session_revoked"},
			{"another origin", upgrade("Origin", "http://evil.example"), 403, "forbidden"},
		} {
			h.sessions.gone["s-late"] = true
			raw, err := h.listener.dial()
			if err != nil {
				t.Fatal(err)
			}
			req, _ := http.NewRequest("GET", "http://hub/ws", nil)
			req.Header = test.header
			go req.Write(raw)
			resp := readResponse(t, raw)
			var problem struct{ Code string }
			body, _ := io.ReadAll(resp.Body)
			if err := json.Unmarshal(body, &problem); err != nil || resp.StatusCode != test.status || problem.Code != test.code || resp.Header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s: %d %s %v", test.name, resp.StatusCode, body, resp.Header)
			}
			raw.Close()
		}
		synctest.Wait()
		if h.hub.Open() != 0 || h.sessions.watching() != 0 {
			t.Errorf("%d open, %d watched", h.hub.Open(), h.sessions.watching())
		}
	})
}

func TestSessionThatEndsDuringTheUpgradeNeverGetsData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, Config{})
		h.sessions.delay = time.Second
		time.AfterFunc(500*time.Millisecond, func() { h.sessions.end("s-ana", auth.End{Reason: auth.EndRevoked}) })
		if _, resp, err := h.tryDial("ana"); err == nil || resp.StatusCode != 401 {
			t.Errorf("the socket opened: %v", err)
		}
	})
}

func TestNothingFollowsTheMark(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, h *house) {
		c := h.dial("ana")
		c.next("welcome")
		c.send(`{"type":"subscribe","channel":"prices","symbols":["QUIET"]}`)
		c.next("prices")
		h.market.tick("1", "QUIET")
		h.market.tick("2", "QUIET")
		h.sessions.end("s-ana", auth.End{Reason: auth.EndRevoked})
		h.market.tick("3", "QUIET")
		for {
			m, err := c.read()
			if err != nil {
				break
			}
			if m["type"] == "prices" && m["updates"].([]any)[0].(message)["p"] == "3" {
				t.Error("data after the end")
			}
		}
		if _, _, err := h.tryDial("ana"); err == nil {
			t.Error("came back")
		}
	})
}

func TestRevokedPeerThatDoesNotReadIsCutAfter250ms(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, h *house) {
		c := h.dial("ana")
		synctest.Wait()
		h.sessions.end("s-ana", auth.End{Reason: auth.EndRevoked})
		time.Sleep(260 * time.Millisecond)
		synctest.Wait()
		if h.hub.Open() != 0 {
			t.Error("still open")
		}
		c.ws.CloseNow()
	})
}

func TestClientsOwnCloseIsAnswered(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, h *house) {
		c := h.dial("ana")
		c.next("welcome")
		if err := c.ws.Close(websocket.StatusNormalClosure, "bye"); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if h.hub.Open() != 0 || closes(h, "client_closed") != 1 || h.sessions.watching() != 0 {
			t.Errorf("%d open, %d watches", h.hub.Open(), h.sessions.watching())
		}
	})
}

// closes is how many connections ended for a reason.
func closes(h *house, reason string) (n float64) {
	families, err := h.registry.Gather()
	if err != nil {
		h.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "rosetree_hub_closes_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			if m.GetLabel()[1].GetValue() == reason { // beside its code
				n += m.GetCounter().GetValue()
			}
		}
	}
	return n
}

func readResponse(t *testing.T, r io.Reader) *http.Response {
	t.Helper()
	var head bytes.Buffer
	resp, err := http.ReadResponse(bufio.NewReader(io.TeeReader(r, &head)), nil)
	if err != nil {
		t.Fatalf("%v in %q", err, head.String())
	}
	return resp
}
