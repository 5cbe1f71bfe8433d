package hub

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rosetree/auth"
)

// The self-check names each contradiction, counts it, and its page answers 500.
func TestTheSelfCheckFindsContradictions(t *testing.T) {
	for name, spoil := range map[string]struct {
		do   func(h *Hub, c *conn)
		says string
	}{
		"nothing": {func(*Hub, *conn) {}, ""},
		"a count that is wrong": {func(h *Hub, _ *conn) {
			h.counts[countKey{countUser, "u-ana"}]++
		}, "a count of kind"},
		"a count of nobody": {func(h *Hub, _ *conn) {
			h.counts[countKey{countSession, "s-nobody"}]++
		}, "counts are kept"},
		"a number given twice": {func(_ *Hub, c *conn) {
			c.shard.free = append(c.shard.free, c.index)
		}, "numbers"},
		"a connection in no shard": {func(_ *Hub, c *conn) {
			c.shard.conns[c.index] = nil
			c.shard.free = append(c.shard.free, c.index)
		}, "in no shard"},
		"a symbol that does not mark who follows it": {func(_ *Hub, c *conn) {
			c.prices.slots[0].ticker.watchers[c.shard.number].clear(c.index)
		}, "is not marked by it"},
		"a socket whose session nobody watches": {func(_ *Hub, c *conn) {
			c.unwatch = nil
		}, "not watched"},
		"a socket that auth does not know": {func(h *Hub, _ *conn) {
			watch := h.sessions.(*sessions).watch
			watch["s-ana"] = nil
		}, "session s-ana has 1 sockets, auth watches for 0"},
		"a watch that nobody stopped": {func(h *Hub, _ *conn) {
			_, _, _ = h.sessions.Watch(context.Background(), auth.Principal{Session: "s-gone"}, func(auth.End) {})
		}, "auth watches for 1 sockets of session s-gone, which has 0"},
		"a follower that has left": {func(h *Hub, c *conn) {
			(&subscription{c: &conn{hub: h, id: "gone"}, t: h.topics["notices"]}).join()
		}, "connection gone is closed and follows notices"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, Config{}, func(t *testing.T, h *house) {
				client := h.dial("ana")
				client.next("welcome")
				client.send(`{"id":1,"type":"subscribe","channel":"prices","symbols":["QUIET"]}`)
				client.next("subscribed")
				client.next("prices")
				c := h.hub.connections()[0]
				unwatch := c.unwatch
				synctest.Wait() // nobody is at work on what is spoiled
				c.shard.mu.Lock()
				spoil.do(h.hub, c)
				c.shard.mu.Unlock()
				mux, w := http.NewServeMux(), httptest.NewRecorder()
				h.hub.CheckRoutes(mux)
				mux.ServeHTTP(w, httptest.NewRequest("GET", "/debug/check", nil))
				c.unwatch = unwatch
				if healthy := spoil.says == ""; (w.Code == 200) != healthy || !strings.Contains(w.Body.String(), spoil.says) {
					t.Errorf("%d %s", w.Code, w.Body)
				}
			})
		})
	}
}

// A subscription that is worked on when its connection has ended already follows nothing.
func TestATopicIsNotFollowedAfterTheEnd(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, h *house) {
		client := h.dial("ana")
		client.next("welcome")
		c := h.hub.connections()[0]
		client.ws.CloseNow()
		synctest.Wait()
		if err := c.followTopic(channelMessage{Channel: "notices"}); err != nil {
			t.Error(err)
		}
		if left := h.hub.topics["notices"].all(); h.hub.Open() != 0 || len(left) != 0 {
			t.Errorf("%d open, %d follow", h.hub.Open(), len(left))
		}
		if faults := h.hub.Check(); len(faults) > 0 {
			t.Error(faults)
		}
	})
}

// A contradiction is counted though nobody asks for the self-check.
func TestTheSelfCheckRunsByItself(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, h *house) {
		time.Sleep(checkEvery)
		synctest.Wait()
		if n := gauge(h, "rosetree_hub_consistency_faults_total", ""); n != 0 {
			t.Fatalf("%v faults of nothing", n)
		}
		_, _, _ = h.sessions.Watch(t.Context(), auth.Principal{Session: "s-gone"}, func(auth.End) {})
		time.Sleep(checkEvery + watchesAgree)
		synctest.Wait()
		if n := gauge(h, "rosetree_hub_consistency_faults_total", ""); n != 1 {
			t.Errorf("%v faults are counted", n)
		}
	})
}
