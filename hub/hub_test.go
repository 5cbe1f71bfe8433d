package hub

import (
	"testing"
	"testing/synctest"
	"time"

	"rosetree/auth"
)

func TestAPersonIsWelcomedAndSeesPricesMove(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, h *house) {
		h.market.tick("189.12", "AAPL")
		c := h.dial("ana", "rosetree.v1")
		if got := c.ws.Subprotocol(); got != "rosetree.v1" {
			t.Errorf("subprotocol %q", got)
		}
		w := c.next("welcome")
		if w["protocol"] != "rosetree.v1" || w["user"].(message)["id"] != "u-ana" || w["auth"] != "session" || w["heartbeat_ms"] != 20000.0 {
			t.Errorf("welcome %v", w)
		}
		c.send(`{"id":1,"type":"subscribe","channel":"prices","symbols":["AAPL","QUIET","NOPE","AAPL"]}`)
		ack := c.next("subscribed")
		if ack["class"] != "merge" || len(ack["symbols"].([]any)) != 2 || ack["rejected"].([]any)[0].(message)["code"] != "unknown_symbol" {
			t.Errorf("ack %v", ack)
		}
		s := c.next("prices")
		if s["snapshot"] != true || len(s["updates"].([]any)) != 1 || s["updates"].([]any)[0].(message)["p"] != "189.12" {
			t.Errorf("snapshot %v", s)
		}
		h.market.tick("190", "AAPL", "OTHER")
		if u := c.next("prices"); u["snapshot"] != nil || len(u["updates"].([]any)) != 1 || u["updates"].([]any)[0].(message)["n"] != 2.0 {
			t.Errorf("update %v", u)
		}
	})
}

func TestRevocationClosesAtOnceWithTheDocumentedCode(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, h *house) {
		c := h.dial("ana")
		c.next("welcome")
		if n := h.hub.Sockets("s-ana"); n != 1 {
			t.Errorf("%d sockets", n)
		}
		before := time.Now()
		h.sessions.end("s-ana", auth.End{Reason: auth.EndRevoked, By: "admin", At: before})
		bye, code, reason := c.closed()
		if code != 4500 || reason != "session_revoked" || bye["code"] != 4500.0 || bye["by"] != "admin" || bye["retry_ms"] != nil {
			t.Errorf("%v %d %q", bye, code, reason)
		}
		if took := time.Since(before); took > 0 {
			t.Errorf("took %v", took)
		}
		synctest.Wait()
		if n := h.hub.Sockets("s-ana"); n != 0 || h.sessions.watching() != 0 {
			t.Errorf("%d sockets, %d watches are left", n, h.sessions.watching())
		}
	})
}
