package auth

import (
	"context"
	"io"
	"net/http"
	"os"
	"slices"
	"sync"
	"testing"
	"time"
)

// TestMeasure_SessionValidation prints figures and judges nothing: ROSETREE_MEASURE=1 go test ./auth -run Measure -v
func TestMeasure_SessionValidation(t *testing.T) {
	if os.Getenv("ROSETREE_MEASURE") != "1" {
		t.Skip("ROSETREE_MEASURE=1 runs it")
	}
	s := newServer(t, sessionsOn)
	s.seedUser("ada@example.test", RoleUser)
	_, g := s.login("ada@example.test", "bearer")
	rdb := s.auth.rdb
	atRate(t, "in the process", func() error { _, _, err := s.ask(g.Tokens.Access); return err })
	atRate(t, "bare Redis round trip", func() error { return rdb.Ping(context.Background()).Err() })
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	atRate(t, "over HTTP", func() error {
		req, err := http.NewRequest("GET", s.URL+"/ws", nil)
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+g.Tokens.Access)
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	})
}

// atRate sends 500 a second for four seconds, whether or not the earlier ones were answered.
func atRate(t *testing.T, name string, do func() error) {
	t.Helper()
	const perSecond, n = 500, 2000
	var mu sync.Mutex
	var took []time.Duration
	failed := 0
	var wg sync.WaitGroup
	began := time.Now()
	for i := range n {
		due := began.Add(time.Duration(i) * time.Second / perSecond)
		time.Sleep(time.Until(due))
		wg.Go(func() {
			start := time.Now()
			err := do()
			d := time.Since(start)
			mu.Lock()
			defer mu.Unlock()
			if took = append(took, d); err != nil {
				failed++
			}
		})
	}
	wg.Wait()
	slices.Sort(took)
	t.Logf("%s, %d/s open loop: p50 %v p95 %v p99 %v max %v, %d failed", name, perSecond, took[n/2], took[n*95/100], took[n*99/100], took[n-1], failed)
}
