package hub

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/coder/websocket"
)

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
