package hub

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

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
