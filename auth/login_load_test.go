package auth

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// One sample in a hundred differs by chance, so two must.
func TestA7_AnUnknownUserTakesAsLongAsAWrongPassword(t *testing.T) {
	s := newServer(t, sessionsOn)
	if p := timingDifference(s, "a"); p < 0.01 {
		if p = timingDifference(s, "b"); p < 0.01 {
			t.Errorf("an unknown user can be told from a wrong password by the time: p = %.5f", p)
		}
	}
}

func timingDifference(s *server, round string) (p float64) {
	const n = 60
	for i := range n {
		s.seedUser(fmt.Sprintf("known%d%s@example.test", i, round), RoleUser)
	}
	c := s.program("")
	took := func(who string, i int) time.Duration {
		began := time.Now()
		r := c.want(401, "unauthenticated", "POST", "/api/auth/login", map[string]any{"email": fmt.Sprintf("%s%d%s@example.test", who, i, round), "password": "a wrong password"})
		if into[map[string]any](s.t, r)["detail"].(string) != errWrongPassword.Message {
			s.t.Errorf("%s", r.body)
		}
		return time.Since(began)
	}
	var known, unknown []time.Duration
	for i := range n { // in turns, and each as often first: the machine's mood is shared
		if i%2 == 0 {
			known = append(known, took("known", i))
		}
		unknown = append(unknown, took("unknown", i))
		if i%2 == 1 {
			known = append(known, took("known", i))
		}
	}
	p = mannWhitney(known, unknown)
	s.t.Logf("medians %v known, %v unknown, p = %.4f", median(known), median(unknown), p)
	return p
}

func median(d []time.Duration) time.Duration {
	s := slices.Sorted(slices.Values(d))
	return s[len(s)/2]
}

// mannWhitney is the two-sided p that both samples come from one distribution, by the normal approximation.
func mannWhitney(a, b []time.Duration) float64 {
	u := 0.0
	for _, x := range a {
		for _, y := range b {
			switch {
			case x > y:
				u++
			case x == y:
				u += 0.5
			}
		}
	}
	n, m := float64(len(a)), float64(len(b))
	z := (u - n*m/2) / math.Sqrt(n*m*(n+m+1)/12)
	return math.Erfc(math.Abs(z) / math.Sqrt2)
}

// TestA9 uses 150 log-ins; ROSETREE_LOGINS=1000 makes it the full one (half a minute and more).
func TestA9_LogInsAtOnceSucceedOrAreToldToWaitAndMemoryIsBounded(t *testing.T) {
	n := 150
	if v, err := strconv.Atoi(os.Getenv("ROSETREE_LOGINS")); err == nil {
		n = v
	}
	RoomForHashing()
	t.Cleanup(func() { runtime.GOMAXPROCS(cores) })
	s := newServer(t, sessionsOn)
	for i := range n {
		s.seedUser(fmt.Sprintf("u%d@example.test", i), RoleUser)
	}
	runtime.GC()
	before := memory()
	var peak atomic.Uint64
	var late []time.Duration
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() { // a timer of one millisecond feels what the hub's flush would
		defer close(stopped)
		for i := 0; ; i++ {
			began := time.Now()
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
			late = append(late, time.Since(began)-time.Millisecond)
			if i%50 == 0 {
				peak.Store(max(peak.Load(), memory()))
			}
		}
	}()
	var ok, waited atomic.Int32
	var wg sync.WaitGroup
	began := time.Now()
	transport := &http.Transport{MaxConnsPerHost: 0}
	defer transport.CloseIdleConnections()
	for i := range n {
		wg.Go(func() {
			c := s.program("")
			c.http.Transport = transport
			for range 20 {
				r := c.do("POST", "/api/auth/login", map[string]any{"email": fmt.Sprintf("u%d@example.test", i), "password": goodPassword, "transport": "bearer"})
				switch {
				case r.status == 200:
					ok.Add(1)
					return
				case r.status == 503 && r.header.Get("Retry-After") != "":
					waited.Add(1)
					seconds, _ := strconv.Atoi(r.header.Get("Retry-After"))
					time.Sleep(time.Duration(seconds)*time.Second + time.Duration(i)*time.Millisecond)
				default:
					t.Errorf("%d %s", r.status, r.body)
					return
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	close(stop)
	<-stopped
	slices.Sort(late)
	grew := (int64(peak.Load()) - int64(before)) >> 20
	t.Logf("%d log-ins in %v (%.0f/s), %d answers 503, %d MiB more, a 1 ms timer late by p99 %v, at most %v",
		n, took.Round(time.Millisecond), float64(n)/took.Seconds(), waited.Load(), grew, late[len(late)*99/100], late[len(late)-1])
	if int(ok.Load()) != n {
		t.Errorf("%d of %d succeeded", ok.Load(), n)
	}
	if grew > 200 {
		t.Errorf("memory grew by %d MiB", grew)
	}
}

func memory() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Sys - m.HeapReleased
}

func TestA10_WhoDisconnectsEarlyStillHoldsOnePermit(t *testing.T) {
	p := newHashPool(newMetrics(newRegistry()))
	var running, most atomic.Int32
	release := make(chan struct{})
	var wg sync.WaitGroup
	for range 50 {
		ctx, cancel := context.WithCancel(t.Context())
		wg.Go(func() {
			_ = p.do(ctx, false, always, func() {
				most.Store(max(most.Load(), running.Add(1)))
				<-release
				running.Add(-1)
			})
		})
		time.Sleep(time.Millisecond)
		cancel()
	}
	wg.Wait() // every request is gone; the work is not
	if n := int(most.Load()); n > p.permits {
		t.Errorf("%d hashes at once, %d permits", n, p.permits)
	}
	close(release)
}
