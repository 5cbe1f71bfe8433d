package hub

import "testing"

// The number of a connection that is gone is given again, and a message of its own may still be under way then.
func TestALateUnsubscribeLeavesAloneWhoHasTheNumberNow(t *testing.T) {
	s := newShard(&Hub{}, 0)
	gone, next := &conn{shard: s}, &conn{shard: s}
	s.add(gone)
	gone.end = &ending{goodbye: lost}
	s.remove(gone)
	s.add(next)
	s.watch(next, nil, true)
	before := s.all.empty()
	if err := gone.leavePrices(channelMessage{Symbols: []string{"*"}}); err != nil || before || s.all.empty() || gone.index != next.index {
		t.Errorf("%v; connection %d is gone, %d follows all symbols: %t, and afterwards %t", err, gone.index, next.index, !before, !s.all.empty())
	}
}

func TestAnUnsubscribeThatIsRefusedUnsubscribesNothing(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, h *house) {
		h.market.tick("1", "A", "B")
		ana := h.dial("ana")
		ana.next("welcome")
		ana.send(`{"id":1,"type":"subscribe","channel":"prices","symbols":["A","B"]}`)
		ana.next("subscribed")
		ana.next("prices")
		ana.send(`{"id":2,"type":"unsubscribe","channel":"prices","symbols":["A","NO PE"]}`)
		ana.next("error")
		h.market.tick("2", "A")
		if u := ana.next("prices")["updates"].([]any); len(u) != 1 || u[0].(message)["s"] != "A" {
			t.Errorf("A, which stays: %v", u)
		}
		ana.send(`{"id":3,"type":"unsubscribe","channel":"prices","symbols":["A"]}`)
		ana.next("unsubscribed")
		h.market.tick("3", "A", "B")
		if u := ana.next("prices")["updates"].([]any); len(u) != 1 || u[0].(message)["s"] != "B" {
			t.Errorf("all but A: %v", u)
		}
	})
}
