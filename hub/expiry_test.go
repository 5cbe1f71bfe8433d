package hub

import (
	"fmt"
	"testing"
	"time"

	"rosetree/auth"
	"rosetree/internal/api"
	"rosetree/portfolio"
)

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
