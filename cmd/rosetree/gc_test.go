package main

import (
	"context"
	"runtime"
	"runtime/debug"
	"testing"
)

func TestGarbageHasRoomByItsOwnMeasure(t *testing.T) {
	for live, want := range map[uint64]int{0: 100, 4 << 20: 100, 24 << 20: 50, 96 << 20: 12, 1 << 30: 10} {
		if got := gcPercent(live); got != want {
			t.Errorf("%d MB live: %d, want %d", live>>20, got, want)
		}
	}
	runtime.GC()
	if live := liveBytes(); live == 0 || live > 4<<30 {
		t.Errorf("%d bytes live", live)
	}
}

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
