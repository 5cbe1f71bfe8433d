package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// loadRevoke revokes sessions one by one, then all of the users' at once, while others watch prices.
func loadRevoke(ctx context.Context, w *loadWorld) error {
	if len(w.users) < 2 && w.o.Users < 2 {
		return errors.New("two users are needed: one is revoked, the other looks on")
	}
	counts, sockets, err := w.prepare(ctx, w.o.Sockets, w.someSymbols)
	if err != nil {
		return err
	}
	witness := w.users[0]
	var victims []*loadSocket
	for _, s := range sockets {
		if s.session.user != witness {
			victims = append(victims, s)
		}
	}
	if w.o.Count == 0 {
		w.o.Count = min(500, len(victims)/2)
	}
	return w.streaming(ctx, func(ctx context.Context) error {
		if err := pause(ctx, w.o.Warm); err != nil {
			return err
		}
		if err := w.revokeSingly(ctx, victims[:w.o.Count]); err != nil {
			return err
		}
		return w.revokeAll(ctx, witness, victims[w.o.Count:], counts)
	})
}

// revokeSingly measures from the request to the close frame. A session with several sockets counts once.
func (w *loadWorld) revokeSingly(ctx context.Context, victims []*loadSocket) error {
	end, err := w.revoker(ctx)
	if err != nil {
		return err
	}
	took, wrong := &spread{}, 0
	for i, s := range victims {
		began := time.Now()
		if err := end(s.session); err != nil {
			return fmt.Errorf("revoke: %w", err)
		}
		select {
		case <-s.closed:
		case <-time.After(5 * time.Second):
			return fmt.Errorf("revoked, and open 5 s later")
		}
		took.add(s.at.Sub(began))
		if s.code != 4500 {
			wrong++
		}
		progress("%d of %d revoked", i+1, len(victims))
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
	w.report.latency("revoke to close", took)
	w.report.number("closed_with_another_code", float64(wrong))
	return nil
}

// revoker is how a session is ended: by hand in Redis where its address is given, else by an admin.
func (w *loadWorld) revoker(ctx context.Context) (func(*loadSession) error, error) {
	if w.o.RedisURL == "" {
		return func(s *loadSession) error {
			return w.ask(ctx, http.MethodDelete, "/api/admin/sessions/"+s.id, w.admin.token, map[string]string{"reason": "load test"}, nil)
		}, nil
	}
	o, err := redis.ParseURL(w.o.RedisURL)
	if err != nil {
		return nil, err
	}
	rdb := redis.NewClient(o)
	return func(s *loadSession) error {
		n, err := rdb.Del(ctx, "rt:s:{"+s.id[:12]+"}"+s.id[12:]).Result()
		if err == nil && n == 0 {
			err = errors.New("Redis does not hold session " + s.id)
		}
		return err
	}, nil
}

// revokeAll ends every session of all users but the witness, whose prices must go on in time.
func (w *loadWorld) revokeAll(ctx context.Context, witness *loadUser, victims []*loadSocket, counts *loadCounts) error {
	var open []*loadSocket
	for _, s := range victims {
		select {
		case <-s.closed:
		default:
			open = append(open, s)
		}
	}
	counts.reset()
	began := time.Now()
	var asking sync.WaitGroup
	var failed atomic.Value
	for _, u := range w.users {
		if u == witness {
			continue
		}
		asking.Go(func() {
			if err := w.ask(ctx, http.MethodDelete, "/api/admin/users/"+u.id+"/sessions", w.admin.token, map[string]string{"reason": "load test"}, nil); err != nil {
				failed.Store(err)
			}
		})
	}
	asking.Wait()
	if err, ok := failed.Load().(error); ok {
		return fmt.Errorf("revoke all: %w", err)
	}
	last, took := began, &spread{}
	for _, s := range open {
		select {
		case <-s.closed:
			took.add(s.at.Sub(began))
			if s.at.After(last) {
				last = s.at
			}
		case <-time.After(30 * time.Second):
			return errors.New("a revoked socket is open 30 s later")
		}
	}
	w.report.number("sockets_revoked_at_once", float64(len(open)))
	w.report.number("all_closed_after_s", last.Sub(began).Seconds())
	w.report.latency("mass revoke to close", took)
	w.report.latency("tick to client meanwhile", &counts.age)
	return nil
}

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
