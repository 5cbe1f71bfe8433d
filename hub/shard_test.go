package hub

import "testing"

// A peer that takes nothing is visited when its retry is due. Prices that tick meanwhile must not ask for visits of it:
// a hundred such peers that follow everything would delay everybody else with each tick.
func TestPricesAskForNoVisitsOfWhoIsStuck(t *testing.T) {
	s := newShard(&Hub{}, 0)
	stuck, reading := &conn{index: 3}, &conn{index: 5}
	visited := func(now int64) map[uint32]bool {
		s.dirty.set(stuck.index)
		s.dirty.set(reading.index)
		s.gather(now)
		all := map[uint32]bool{}
		for {
			i, _, ok := s.visiting.pop(0)
			if !ok {
				return all
			}
			all[i] = true
		}
	}
	s.block(stuck)
	s.later(stuck, 20, 0)
	if got := visited(10); got[stuck.index] || !got[reading.index] {
		t.Errorf("before the retry is due, visited are %v", got)
	}
	if got := visited(40); !got[stuck.index] || !got[reading.index] {
		t.Errorf("when the retry is due, visited are %v", got)
	}
	s.unblock(stuck)
	if got := visited(50); !got[stuck.index] || !got[reading.index] {
		t.Errorf("after it has taken everything, visited are %v", got)
	}
}
