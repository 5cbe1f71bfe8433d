package hub

import (
	"math/rand/v2"
	"time"
)

// drainRate is how many connections a second are sent away at most: the servers that take them in
// must authenticate each.
const drainRate = 500

// drain sends everyone away, one after the other, and waits until they have left. The hints spread the
// returns over the window once more, because clients forget their back-off when a server says goodbye.
func (h *Hub) drain() {
	h.mu.Lock()
	h.draining = true
	if len(h.open) == 0 {
		h.emptied()
	}
	h.mu.Unlock()
	leaving := h.connections()
	window := min(h.cfg.Drain, time.Duration(len(leaving))*time.Second/drainRate)
	rand.Shuffle(len(leaving), func(i, j int) { leaving[i], leaving[j] = leaving[j], leaving[i] })
	began := time.Now()
	for i, c := range leaving {
		if due := began.Add(window * time.Duration(i) / time.Duration(len(leaving))); time.Until(due) > time.Millisecond {
			time.Sleep(time.Until(due))
		}
		c.close(goodbye{code: codeRestart, reason: "restart", retry: 250*time.Millisecond + rand.N(max(window, time.Second))})
	}
	select {
	case <-h.empty:
	case <-time.After(4 * lingering):
	}
	h.workers.Wait()
}
