package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// What lives in a server of many quiet sockets are the sockets, and with Go's default the heap may grow to twice
// that before it is swept. So garbage gets room by its own measure, and not by theirs: little is made while
// little happens. A small server has more room than it needs, a large one is swept every few seconds.
const (
	gcRoom  = 12 << 20 // bytes of garbage before the next collection …
	gcLeast = 10       // … but never less than this share of what lives, in per cent: marking it is the cost
	gcMost  = 100
	gcLook  = 5 * time.Second
)

// gcPercent is the GOGC that gives garbage its room beside so many living bytes.
func gcPercent(live uint64) int {
	return int(min(max(100*gcRoom/max(live, 1), gcLeast), gcMost))
}

// makeRoom keeps the collector's pace to what lives until ctx ends. GOGC has the last word.
func makeRoom(ctx context.Context) error {
	if os.Getenv("GOGC") != "" {
		return nil
	}
	look, now := time.NewTicker(gcLook), 0
	defer look.Stop()
	for {
		if percent := gcPercent(liveBytes()); percent != now {
			debug.SetGCPercent(percent)
			now = percent
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// liveBytes is what the last collection had to look at: the heap that it found alive, and the stacks.
func liveBytes() uint64 {
	read := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}}
	metrics.Read(read)
	return read[0].Value.Uint64() + read[1].Value.Uint64()
}
