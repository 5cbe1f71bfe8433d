package main

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"testing"
)

func TestGarbageHasRoomByItsOwnMeasure(t *testing.T) {
	for _, c := range []struct {
		live, perSecond uint64
		want            int
	}{
		{0, 0, 100}, {4 << 20, 0, 100}, {24 << 20, 0, 50}, {96 << 20, 0, 12}, {1 << 30, 0, 10}, // quiet
		{96 << 20, 3 << 20, 12}, {96 << 20, 48 << 20, 100}, {96 << 20, 1 << 30, gcMost}, {0, 1 << 30, gcMost}, // busy
	} {
		if got := gcPercent(c.live, c.perSecond); got != c.want {
			t.Errorf("%d MB live, %d MB a second: %d, want %d", c.live>>20, c.perSecond>>20, got, c.want)
		}
	}
	runtime.GC()
	if live, allocated := heap(); live == 0 || live > 4<<30 || allocated < live/2 {
		t.Errorf("%d bytes live, %d allocated", live, allocated)
	}
}

// What is made in haste has room at once, and gives it back when it is over.
func TestGarbageMadeInHasteHasRoomUntilItIsOver(t *testing.T) {
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	t.Setenv("GOGC", "")
	ctx, end := context.WithCancel(t.Context())
	var rooms sync.WaitGroup
	defer rooms.Wait()
	defer end()
	living := make([]byte, 64<<20)
	runtime.GC()
	rooms.Go(func() { _ = makeRoom(ctx) })
	percent := func() uint64 {
		read := []metrics.Sample{{Name: "/gc/gogc:percent"}}
		metrics.Read(read)
		return read[0].Value.Uint64()
	}
	eventually(t, "little room while little happens", func() bool { return percent() < 30 })
	eventually(t, "more of it in haste", func() bool { garbage = make([]byte, 8<<20); return percent() >= 100 })
	eventually(t, "little again", func() bool { return percent() < 30 })
	runtime.KeepAlive(living)
}

var garbage []byte // where the compiler cannot spare it

func TestGOGCHasTheLastWord(t *testing.T) {
	const given = 777 // more than makeRoom ever says
	before := debug.SetGCPercent(given)
	defer debug.SetGCPercent(before)
	over, end := context.WithCancel(t.Context())
	end()
	t.Setenv("GOGC", "777")
	if err := makeRoom(over); err != nil || debug.SetGCPercent(given) != given {
		t.Errorf("GOGC was set and did not count: %v", err)
	}
	t.Setenv("GOGC", "")
	if err := makeRoom(over); err != nil {
		t.Error(err)
	}
	if now := debug.SetGCPercent(given); now < gcLeast || now > gcMost {
		t.Errorf("nothing was set, and it is %d", now)
	}
}
