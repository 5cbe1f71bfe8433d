package hub

import (
	"slices"
	"strings"
	"testing"
)

func TestWatchedIsWhatSomebodyFollowsAndNoMore(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, h *house) {
		h.market.tick("1", "A", "B", "C")
		watched := func() string {
			var all []string
			for _, s := range h.hub.Watched() {
				all = append(all, string(s))
			}
			slices.Sort(all)
			return strings.Join(all, " ")
		}
		ana, bob := h.dial("ana"), h.dial("bob")
		ana.next("welcome")
		bob.next("welcome")
		if got := watched(); got != "" {
			t.Errorf("before anybody subscribes: %s", got)
		}
		ana.send(`{"id":1,"type":"subscribe","channel":"prices","symbols":["A","B"]}`)
		ana.next("subscribed")
		ana.next("prices")
		bob.send(`{"id":1,"type":"subscribe","channel":"prices","symbols":["B"]}`)
		bob.next("subscribed")
		bob.next("prices")
		ana.send(`{"id":2,"type":"unsubscribe","channel":"prices","symbols":["A","B"]}`)
		ana.next("unsubscribed")
		if got := watched(); got != "B" {
			t.Errorf("one of two left B, the only one left A: %s", got)
		}
		bob.send(`{"id":2,"type":"subscribe","channel":"prices","symbols":["*"]}`)
		bob.next("subscribed")
		if got := watched(); !slices.Contains(strings.Fields(got), "C") {
			t.Errorf("somebody follows all: %s", got)
		}
	})
}
