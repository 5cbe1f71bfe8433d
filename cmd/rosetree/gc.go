package main

import (
	"context"
	"os"
	"regexp"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/prometheus/client_golang/prometheus/collectors"
)

// What lives in a server of many quiet sockets are the sockets, and with Go's default the heap may grow to twice
// that before it is swept. So garbage gets room by its own measure, and not by theirs: little is made while
// little happens. While much happens, it gets enough that collections stay apart: each marks everything that lives,
// and on one core that is time which prices wait for.
const (
	gcRoom  = 12 << 20        // bytes of garbage before the next collection …
	gcLeast = 10              // … but never less than this share of what lives, in per cent: marking it is the cost
	gcQuiet = 100             // … and more is not needed in a small server
	gcApart = 2 * time.Second // … or what is made in this time, when much is made
	gcMost  = 150             // … but never more than this share: what a storm leaves alive lies scattered over all the room it had
	gcLook  = 250 * time.Millisecond
	gcRest  = 5 * time.Second // of less garbage, before it gets less room
)

// gcPercent is the GOGC that gives garbage its room beside so many living bytes, when so many bytes a second are allocated.
func gcPercent(live, perSecond uint64) int {
	live = max(live, 1)
	quiet := min(max(100*gcRoom/live, gcLeast), gcQuiet)
	busy := min(100*perSecond*uint64(gcApart/time.Second)/live, gcMost)
	return int(max(quiet, busy))
}

// makeRoom keeps the collector's pace to what lives and what is made until ctx ends. GOGC has the last word.
func makeRoom(ctx context.Context) error {
	if os.Getenv("GOGC") != "" {
		return nil
	}
	look := time.NewTicker(gcLook)
	defer look.Stop()
	now, needed, looked := 0, time.Now(), time.Now()
	_, before := heap()
	for {
		live, allocated := heap()
		at := time.Now()
		percent := gcPercent(live, uint64(float64(allocated-before)/max(at.Sub(looked), gcLook).Seconds()))
		before, looked = allocated, at
		if 5*percent > 4*now { // setting it stops the world for a moment, so it follows in steps
			needed = at
		}
		if 4*percent > 5*now || percent < now && at.Sub(needed) > gcRest {
			debug.SetGCPercent(percent)
			now, needed = percent, at
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// liveHeap adds to the metrics what the last collection found alive: resident memory goes up and down with garbage, and with its room.
var liveHeap = collectors.GoRuntimeMetricsRule{Matcher: regexp.MustCompile("^/gc/heap/live:bytes$")}

// heap is what the last collection had to look at (the heap that it found alive, and the stacks), and all that was ever allocated.
func heap() (live, allocated uint64) {
	read := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(read)
	return read[0].Value.Uint64() + read[1].Value.Uint64(), read[2].Value.Uint64()
}
