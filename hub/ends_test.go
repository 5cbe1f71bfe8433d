package hub

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"rosetree/auth"
	"rosetree/internal/api"
	"rosetree/portfolio"
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

func TestSilentPeerIsFoundWithinTwoHeartbeats(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, h *house) {
		began := time.Now()
		c := h.dial("ana") // never reads, so it never answers a ping
		go io.Copy(io.Discard, c.raw)
		time.Sleep(41 * time.Second)
		synctest.Wait()
		if h.hub.Open() != 0 {
			t.Errorf("open after %v", time.Since(began))
		}
		if n := closes(h, "heartbeat_timeout"); n != 1 {
			t.Errorf("%v closes by heartbeat", n)
		}
	})
}

func TestPeerThatAnswersPingsStaysForever(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, h *house) {
		c := h.dial("ana")
		go func() {
			for {
				if _, err := c.read(); err != nil {
					return
				}
			}
		}()
		time.Sleep(time.Hour)
		if h.hub.Open() != 1 {
			t.Error("closed")
		}
	})
}

func TestStalledReaderIsClosedAfterTenSecondsAndDelaysNobody(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, h *house) {
		stalled, reading := h.dial("ana"), h.dial("ben")
		stalled.next("welcome")
		reading.next("welcome")
		for _, c := range []*client{stalled, reading} {
			c.send(`{"id":1,"type":"subscribe","channel":"prices","symbols":["QUIET"]}`)
			c.next("subscribed")
			c.next("prices")
		}
		began := time.Now()
		for i := range 100 {
			h.market.tick(fmt.Sprint(i+1), "QUIET")
			sent := time.Now()
			if reading.next("prices"); time.Since(sent) > 0 {
				t.Fatalf("waited %v", time.Since(sent))
			}
			time.Sleep(100 * time.Millisecond)
			if i == 90 && h.hub.Open() != 2 {
				t.Fatalf("closed after %v", time.Since(began))
			}
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if h.hub.Open() != 1 || closes(h, "slow_consumer") != 1 {
			t.Errorf("%d open, %v closed", h.hub.Open(), closes(h, "slow_consumer"))
		}
	})
}

func TestSlowReaderGetsTheNewestAndIsKept(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, h *house) {
		c := h.dial("ana")
		c.next("welcome")
		c.send(`{"id":1,"type":"subscribe","channel":"prices","symbols":["QUIET"]}`)
		c.next("subscribed")
		c.next("prices")
		go func() {
			for i := range 400 {
				h.market.tick(fmt.Sprint(i+1), "QUIET")
				time.Sleep(100 * time.Millisecond)
			}
		}()
		got := 0
		for range 5 {
			time.Sleep(8 * time.Second) // never ten
			m := c.next("prices")
			got++
			age := time.Now().UnixMilli() - int64(m["updates"].([]any)[0].(message)["t"].(float64))
			if age > 8200 { // what was in the pipe when the pause began
				t.Errorf("an update is %d ms old", age)
			}
		}
		if h.hub.Open() != 1 {
			t.Error("closed")
		}
	})
}

func TestOrderedQueueThatRunsOverClosesTheSocket(t *testing.T) {
	inBubble(t, Config{QueueBytes: 10_000}, func(t *testing.T, h *house) {
		c := h.dial("ana")
		c.next("welcome")
		c.send(`{"type":"subscribe","channel":"notices"}`)
		c.next("notice")
		for range 5 {
			h.hub.Publish("notices", Notice{Type: "notice", Text: strings.Repeat("x", 5000)})
			synctest.Wait()
		}
		time.Sleep(300 * time.Millisecond)
		synctest.Wait()
		if h.hub.Open() != 0 || closes(h, "slow_consumer") != 1 {
			t.Errorf("%d open", h.hub.Open())
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

func TestLimitsAnswerAsDocumented(t *testing.T) {
	for _, test := range []struct {
		name   string
		do     func(c *client)
		code   int
		reason string
	}{
		{"a message above the limit", func(c *client) { c.send(`{"type":"` + strings.Repeat("x", 2000) + `"}`) }, 1009, "too_large"},
		{"a binary message", func(c *client) { c.ws.Write(context.Background(), websocket.MessageBinary, []byte("{}")) }, 4510, "protocol_error"},
		{"text that is not UTF-8", func(c *client) { c.send("{\"type\":\"\xff\"}") }, 1007, "invalid_utf8"},
		{"too many messages", func(c *client) {
			for range 50 {
				if c.ws.Write(context.Background(), websocket.MessageText, []byte(`{"type":"ping"}`)) != nil {
					return
				}
			}
		}, 4029, "rate_limited retry_ms=5000"},
		{"too many pings", func(c *client) {
			go func() {
				for range 50 {
					c.ws.Ping(context.Background())
				}
			}()
		}, 4029, "rate_limited retry_ms=5000"},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, Config{MessageBytes: 1000, MessagesPerSecond: 5}, func(t *testing.T, h *house) {
				c := h.dial("ana")
				c.next("welcome")
				go test.do(c)
				bye, code, reason := c.closed()
				if code != test.code || reason != test.reason || bye == nil || bye["code"] != float64(test.code) {
					t.Errorf("%d %q %v", code, reason, bye)
				}
			})
		})
	}
}

func TestTooManySubscriptionsAreRefusedAndChangeNothing(t *testing.T) {
	inBubble(t, Config{Symbols: 2, Portfolios: 1}, func(t *testing.T, h *house) {
		h.market.tick("1", "A", "B", "C")
		c := h.dial("ana")
		c.next("welcome")
		c.send(`{"id":1,"type":"subscribe","channel":"prices","symbols":["A","B","C"]}`)
		if e := c.next("error"); e["error"].(message)["code"] != "too_many_subscriptions" {
			t.Error(e)
		}
		c.send(`{"id":2,"type":"subscribe","channel":"prices","symbols":["A","B"]}`)
		c.next("subscribed")
		if p := c.next("prices"); len(p["updates"].([]any)) != 2 {
			t.Error(p)
		}
		c.send(`{"id":3,"type":"subscribe","channel":"portfolio","portfolio":"p1"}`)
		c.next("subscribed")
		c.next("portfolio")
		c.send(`{"id":4,"type":"subscribe","channel":"portfolio","portfolio":"p2"}`)
		if e := c.next("error"); e["error"].(message)["code"] != "too_many_subscriptions" {
			t.Error(e)
		}
	})
}

func TestCallsUnderWayAreLimited(t *testing.T) {
	inBubble(t, Config{Calls: 2}, func(t *testing.T, h *house) {
		c := h.dial("ana")
		c.next("welcome")
		for i := range 3 {
			c.send(fmt.Sprintf(`{"id":%d,"type":"call","method":"test.echo","params":{"text":"slow"}}`, i))
		}
		if e := c.next("error"); e["id"] != 2.0 || e["error"].(message)["code"] != "rate_limited" {
			t.Error(e)
		}
		c.send(`{"id":"now","type":"ping"}`) // is not held up by calls
		c.next("pong")
		c.next("result")
		c.next("result")
	})
}

func TestSocketsPerUserAndPerAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, Config{SocketsPerUser: 1, SocketsPerAddress: 3}, func(d *Deps) {
			d.Address = func(*http.Request) string { return "192.0.2.7" }
		})
		h.dial("ana").next("welcome")
		second := h.dial("ana")
		if bye, code, _ := second.closed(); code != 4505 || bye["reason"] != "too_many_connections" {
			t.Errorf("%d %v", code, bye)
		}
		synctest.Wait()
		h.dial("ben").next("welcome")
		h.dial("cara").next("welcome")
		if _, resp, err := h.tryDial("dora"); err == nil || resp.StatusCode != 429 || resp.Header.Get("Retry-After") == "" {
			t.Errorf("%v %v", resp, err)
		}
	})
}

func TestRenewalToAnotherSessionMovesTheWatch(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, h *house) {
		c := h.dial("ana")
		c.next("welcome")
		c.send(`{"id":1,"type":"auth","token":"ana/s2"}`)
		c.next("result")
		if h.hub.Sockets("s-ana") != 0 || h.hub.Sockets("s2") != 1 || h.sessions.watching() != 1 {
			t.Errorf("%d and %d sockets, %d watches", h.hub.Sockets("s-ana"), h.hub.Sockets("s2"), h.sessions.watching())
		}
		h.sessions.end("s2", auth.End{Reason: auth.EndRevoked})
		if _, code, _ := c.closed(); code != 4500 {
			t.Error(code)
		}
	})
}

func TestSessionUsedElsewhereLivesOn(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, h *house) {
		h.sessions.expires["s-ana"] = time.Now().Add(time.Minute)
		c := h.dial("ana")
		w := c.next("welcome")
		if w["session"].(message)["expires_at"] == nil {
			t.Error("no deadline")
		}
		h.sessions.mu.Lock()
		h.sessions.expires["s-ana"] = time.Now().Add(time.Hour) // a request over HTTP
		h.sessions.mu.Unlock()
		go func() {
			for {
				m, err := c.read()
				if err != nil {
					return
				}
				if m["type"] == "reauth" {
					t.Error("asked to renew")
				}
			}
		}()
		time.Sleep(10 * time.Minute)
		if h.hub.Open() != 1 {
			t.Error("closed")
		}
	})
}

func TestPortfolioPausesWhileNobodyCanTellIfTheSessionLives(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, h *house) {
		h.market.tick("1", "AAPL")
		c := h.dial("ana")
		c.next("welcome")
		c.send(`{"type":"subscribe","channel":"portfolio","portfolio":"p1"}`)
		c.next("portfolio")
		c.send(`{"type":"subscribe","channel":"prices","symbols":["AAPL"]}`)
		c.next("prices")
		h.sessions.sight(false)
		v := h.portfolios.viewer()
		v.Change(portfolio.Change{Version: 6})
		v.Valuation(portfolio.Valuation{Version: 6, T: 1})
		v.Change(portfolio.Change{Version: 7})
		h.market.tick("2", "AAPL")
		c.next("prices") // before any of the portfolio
		began := time.Now()
		time.AfterFunc(5*time.Second, func() { h.sessions.sight(true) })
		for _, want := range []string{"portfolio 6", "valuation 6", "portfolio 7"} {
			m, err := c.read()
			if got := fmt.Sprint(m["type"], " ", m["version"]); err != nil || got != want {
				t.Fatalf("%s, want %s", got, want)
			}
		}
		if waited := time.Since(began); waited < 5*time.Second || waited > 5300*time.Millisecond {
			t.Errorf("waited %v", waited)
		}
	})
}

// A flusher that slept looks at deadlines from where it fell asleep; none may be lost on the way.
func TestDeadlineThatIsSetAfterAPauseIsKept(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, h *house) {
		h.sessions.expires["s-ana"] = time.Now().Add(12 * time.Second)
		h.sessions.recheck = func(p auth.Principal) (auth.Principal, error) {
			time.Sleep(2 * time.Second)
			return p, nil
		}
		began := time.Now()
		_, code, _ := h.dial("ana").closed()
		if took := time.Since(began); code != 4501 || took > 15*time.Second {
			t.Errorf("%d after %v", code, took)
		}
	})
}

func TestExpiryIsExactAlsoForASilentSocketAndWithoutRedis(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, h *house) {
		h.sessions.expires["s-ana"] = time.Now().Add(30 * time.Second)
		h.sessions.recheck = func(p auth.Principal) (auth.Principal, error) { return p, api.Unavailable("no Redis", 0) }
		deadline := time.Now().Add(30 * time.Second)
		c := h.dial("ana")
		_, code, _ := c.closed()
		if late := time.Since(deadline); code != 1013 || late < 0 || late > time.Second {
			t.Errorf("%d after %v", code, late)
		}
	})
}

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
			if m.GetLabel()[0].GetValue() == reason {
				n = m.GetCounter().GetValue()
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
