package hub

import (
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestArrivalsKeepTheirRate(t *testing.T) {
	a, now := newArrivals(100, 10), time.Now()
	for n := range 600 {
		wait, ok := a.next(now)
		want := max(time.Duration(n-9)*10*time.Millisecond, 0)
		if ok != (want <= admissionPatience) || ok && wait != want {
			t.Fatalf("number %d: %v %v, want %v", n, wait, ok, want)
		}
	}
	if wait, ok := a.next(now.Add(time.Minute)); !ok || wait != 0 {
		t.Errorf("after the storm: %v", wait)
	}
	if wait, ok := newArrivals(-1, 10).next(now); !ok || wait != 0 {
		t.Error("no limit is one")
	}
}

// Everybody comes at once: they are let in at the rate, and who would wait too long is told when to come again.
func TestReconnectStormIsAdmittedAtABoundedRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, Config{UpgradesPerSecond: 20, Upgrades: 10, SocketsPerUser: -1})
		synctest.Wait()
		began := time.Now()
		var mu sync.Mutex
		var in []time.Duration
		refused := 0
		var all sync.WaitGroup
		for range 200 {
			all.Go(func() {
				_, resp, err := h.tryDial("ana")
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					in = append(in, time.Since(began))
					return
				}
				refused++
				after, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
				if resp.StatusCode != 503 || after < 5 {
					t.Errorf("%d, Retry-After %d", resp.StatusCode, after)
				}
			})
		}
		all.Wait()
		atOnce, last := 0, time.Duration(0)
		for _, at := range in {
			if at == 0 {
				atOnce++
			}
			last = max(last, at)
		}
		if atOnce != 10 || len(in) != 10+5*20 || refused != 200-len(in) || last != 5*time.Second {
			t.Errorf("%d at once, %d in all until %v, %d refused", atOnce, len(in), last, refused)
		}
	})
}
