package hub

import (
	"context"
	"runtime/debug"
	"time"
)

// An upgrade leaves behind several times what its connection keeps (net/http's buffers above all), and
// Go returns that to the system only bit by bit. After a storm of connections it is given back at once,
// when the storm is over.
const (
	stormSize  = 1000
	stormQuiet = 3 * time.Second
)

func (h *Hub) settle(ctx context.Context) {
	ticker := time.NewTicker(stormQuiet)
	defer ticker.Stop()
	var before, settled uint64
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := h.upgraded.Load()
		if now == before && now-settled >= stormSize {
			debug.FreeOSMemory()
			settled = now
		}
		before = now
	}
}
