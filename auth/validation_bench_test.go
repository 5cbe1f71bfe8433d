package auth

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rosetree/internal/devstack"
)

// BenchmarkValidation says what a validated request costs, from the socket to the answer, beside what the same connections
// carry without a validation and beside the bare round trip to Redis, all in one run. cpu-us is the process time of one
// operation, client and server together (Redis is a process of its own); a-core is how many of them one core does in a second, x-redis how many bare round trips it takes as long as.
//
//	go test -run '^$' -bench BenchmarkValidation -benchtime 3s ./auth
func BenchmarkValidation(b *testing.B) {
	env := devstack.Test(b)
	r, d := env.Redis(b), env.Database(b, migrate)
	rdb := openRedisURL(b, r.URL)
	db, err := OpenDB(b.Context(), DBConfig{URL: Secret(d.URL)}, prometheus.NewRegistry())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(db.Close)
	a, err := New(sessionsOn, db, rdb, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = a.Run(ctx) }()
	b.Cleanup(func() { cancel(); <-done })
	if err := a.WaitReady(b.Context()); err != nil {
		b.Fatal(err)
	}
	now := time.Now()
	user := UserID("00000000-0000-7000-8000-000000000001")
	s := &Session{User: user, Role: RoleUser, IssuedAt: now, AuthAt: now, SeenAt: now, Ends: now.Add(time.Hour), Idle: time.Hour}
	t := mintToken(a.keys.utag(user))
	if _, err := a.sessions.create(b.Context(), s, t, ""); err != nil {
		b.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /nothing", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("GET /who", func(w http.ResponseWriter, r *http.Request) {
		if _, err := a.Authenticate(r); err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	server := httptest.NewServer(mux)
	b.Cleanup(server.Close)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	get := func(path string) func() error {
		return func() error {
			req, _ := http.NewRequest("GET", server.URL+path, nil)
			req.Header.Set("Authorization", "Bearer "+t.String())
			resp, err := client.Do(req)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusNoContent {
				return errNoSession
			}
			_, err = io.Copy(io.Discard, resp.Body)
			return err
		}
	}
	request := httptest.NewRequest("GET", "/", nil)
	request.Header.Set("Authorization", "Bearer "+t.String())
	var redis time.Duration
	for _, c := range []struct {
		name string
		do   func() error
	}{
		{"redis", func() error { return rdb.Ping(context.Background()).Err() }},
		{"in-process", func() error { _, err := a.Authenticate(request); return err }},
		{"http-nothing", get("/nothing")},
		{"http-session", get("/who")},
	} {
		b.Run(c.name, func(b *testing.B) {
			each := inParallel(b, c.do)
			if c.name == "redis" {
				redis = each
			}
			b.ReportMetric(float64(each)/float64(redis), "x-redis")
		})
	}
}

func inParallel(b *testing.B, do func() error) time.Duration {
	b.SetParallelism(16)
	b.ReportAllocs()
	var failed atomic.Int64
	before := processTime()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if do() != nil {
				failed.Add(1)
			}
		}
	})
	b.ReportMetric(float64(failed.Load()), "failed") // a machine that is busy with other things sheds
	each := float64((processTime() - before).Nanoseconds()) / float64(b.N)
	b.ReportMetric(each/1000, "cpu-us")
	b.ReportMetric(1e9/each, "a-core")
	return b.Elapsed() / time.Duration(b.N)
}

// processTime is what this process has computed.
func processTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
