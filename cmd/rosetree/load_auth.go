package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// loadLogin logs in count times at once, by password.
func loadLogin(ctx context.Context, w *loadWorld) error {
	if len(w.users) == 0 {
		return errors.New("no user: give --account or --users")
	}
	took, refused := &spread{}, map[string]int{}
	var mu sync.Mutex
	var all sync.WaitGroup
	cpu, began := w.metric(ctx, "process_cpu_seconds_total"), time.Now()
	for i := range w.o.Count {
		all.Go(func() {
			start := time.Now()
			_, err := w.loginSession(ctx, &loadUser{email: w.users[i%len(w.users)].email, password: w.users[i%len(w.users)].password})
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				refused[outcome(err)]++
				return
			}
			took.add(time.Since(start))
			progress("%d of %d log-ins", took.count.Load(), w.o.Count)
		})
	}
	all.Wait()
	seconds := time.Since(began).Seconds()
	w.report.latency("log-in", took)
	w.report.number("logins_per_second", float64(took.count.Load())/seconds)
	for why, n := range refused {
		w.report.number("refused_"+why, float64(n))
	}
	w.report.Server["cpu_cores"] = (w.metric(ctx, "process_cpu_seconds_total") - cpu) / seconds
	w.report.Server["rss_mb"] = w.metric(ctx, "process_resident_memory_bytes") / 1e6
	return nil
}

func outcome(err error) string {
	if answered, ok := errors.AsType[*answerError](err); ok {
		return fmt.Sprintf("%d_%s", answered.status, answered.code)
	}
	return "connection"
}

// loadValidate asks who the caller is, at an open rate: a slow answer does not slow the questions.
func loadValidate(ctx context.Context, w *loadWorld) error {
	if err := w.enough(ctx, 20); err != nil {
		return err
	}
	return w.validating(ctx, w.sessions)
}

// loadMixed validates with both kinds of credentials while sockets of both kinds watch prices.
func loadMixed(ctx context.Context, w *loadWorld) error {
	if w.o.legacySecret == "" {
		return errors.New("legacy tokens need LEGACY_JWT_SECRET, as the server has it")
	}
	if err := w.enough(ctx, 20); err != nil {
		return err
	}
	for _, u := range w.users {
		for range max(len(w.sessions)/len(w.users)/2, 1) {
			w.sessions = append(w.sessions, w.legacyFor(u))
		}
	}
	half := len(w.sessions) / 2
	for i := 1; i < half; i += 2 { // sessions and legacy tokens by turns
		w.sessions[i], w.sessions[len(w.sessions)-i] = w.sessions[len(w.sessions)-i], w.sessions[i]
	}
	counts, _, err := w.prepare(ctx, len(w.sessions), w.someSymbols)
	if err != nil {
		return err
	}
	return w.streaming(ctx, func(ctx context.Context) error {
		counts.reset()
		err := w.validating(ctx, w.sessions)
		w.report.latency("tick to client", &counts.age)
		return err
	})
}

func (w *loadWorld) validating(ctx context.Context, who []*loadSession) error {
	took := &spread{}
	var wrong atomic.Int64
	var asked sync.WaitGroup
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	asked.Go(func() {
		ticker := time.NewTicker(time.Second / time.Duration(max(w.o.Rate, 1)))
		defer ticker.Stop()
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			asked.Go(func() {
				began := time.Now()
				var status struct{ Authenticated bool }
				err := w.ask(context.WithoutCancel(ctx), http.MethodGet, "/api/auth/status", who[i%len(who)].token, nil, &status)
				if err != nil || !status.Authenticated {
					wrong.Add(1)
					return
				}
				took.add(time.Since(began))
			})
		}
	})
	seconds, err := w.measured(ctx, func() { progress("%d validations, p99 %v", took.count.Load(), took.at(0.99)) })
	stop()
	asked.Wait()
	w.report.latency("validation", took)
	w.report.number("validations_per_second", float64(took.count.Load())/seconds)
	w.report.number("failed", float64(wrong.Load()))
	return err
}
