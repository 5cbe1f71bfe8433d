package auth

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"rosetree/internal/devstack"
)

// BenchmarkCheck measures one validation and, in the same run, the bare round trip that is its lower bound.
//
//	go test -run '^$' -bench BenchmarkCheck -benchtime 5s ./auth
func BenchmarkCheck(b *testing.B) {
	r := devstack.Test(b).Redis(b)
	rdb := openRedisURL(b, r.URL)
	st := &sessions{rdb: rdb, limit: 100, clock: new(clock)}
	now := time.Now()
	user := UserID("00000000-0000-7000-8000-000000000001")
	s := &Session{User: user, Role: RoleUser, IssuedAt: now, AuthAt: now, SeenAt: now, Ends: now.Add(time.Hour), Idle: time.Hour}
	t := mintToken(utag([]byte("test"), user))
	if _, err := st.create(b.Context(), s, t, ""); err != nil {
		b.Fatal(err)
	}
	denied := newDenylist()
	denied.ready.Store(true)
	for _, c := range []struct {
		name string
		do   func(ctx context.Context) error
	}{
		{"ping", func(ctx context.Context) error { return rdb.Ping(ctx).Err() }},
		{"session", func(ctx context.Context) error {
			s, err := st.check(ctx, t, "192.0.2.1")
			if _, no := denied.check(s.principal()); no {
				return errRedisOut
			}
			return err
		}},
	} {
		b.Run(c.name, func(b *testing.B) { measure(b, c.do) })
		b.Run(c.name+"-500-a-second", func(b *testing.B) { openLoop(b, 500, c.do) })
	}
}

func measure(b *testing.B, do func(context.Context) error) {
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		if err := do(b.Context()); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	report(b, took)
}

// openLoop sends at a fixed rate, whether or not the one before has been answered: so do clients.
func openLoop(b *testing.B, perSecond int, do func(context.Context) error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	var took []time.Duration
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	for b.Loop() {
		due := <-tick.C
		wg.Go(func() {
			err := do(b.Context())
			mu.Lock()
			defer mu.Unlock()
			if took = append(took, time.Since(due)); err != nil {
				b.Error(err)
			}
		})
	}
	wg.Wait()
	report(b, took)
}

func report(b *testing.B, took []time.Duration) {
	if len(took) == 0 {
		return
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

// BenchmarkRevocation measures from DEL to the call that closes the sockets, at a hundred a second.
//
//	go test -run '^$' -bench BenchmarkRevocation -benchtime 1000x ./auth
func BenchmarkRevocation(b *testing.B) {
	for _, watched := range []int{1_000, 10_000} {
		b.Run(fmt.Sprintf("watched-%d", watched), func(b *testing.B) { benchRevocation(b, watched) })
	}
}

func benchRevocation(b *testing.B, watched int) {
	r := devstack.Test(b).Redis(b)
	e := newWatchEnv(b, r)
	e.live()
	e.watchAll(principals(b, e.admin, watched))
	victims := principals(b, e.admin, b.N)
	e.watchAll(victims)
	took := make([]time.Duration, 0, b.N)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	b.ResetTimer()
	for _, p := range victims { // not b.Loop: each revocation needs a session that was watched before
		<-tick.C
		at := e.del(p)
		for {
			if end, over := e.ending(p.Session); over {
				took = append(took, end.at.Sub(at))
				break
			}
			time.Sleep(50 * time.Microsecond)
		}
	}
	report(b, took)
}
