package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
)

// loadRevoke revokes sessions one by one, then all of the users' at once, while others watch prices.
// With --mass it begins with the second half, and the prices that the revoked watch stand still: what is measured is
// what their end does to the others, and not how much less there is to deliver after it.
func loadRevoke(ctx context.Context, w *loadWorld) error {
	if len(w.users) < 2 {
		return errors.New("two users are needed: one is revoked, the other looks on")
	}
	witness, subscribe := w.users[0], w.someSymbols
	if w.o.Mass {
		w.still = w.o.Symbols
		subscribe = func(i int) string {
			if w.sessions[i%len(w.sessions)].user == witness {
				return w.someSymbols(i)
			}
			return w.stillSymbols()
		}
	}
	if w.o.redis != nil {
		w.redis = redis.NewClient(w.o.redis)
		defer w.redis.Close()
	}
	counts, sockets, err := w.prepare(ctx, w.o.Sockets, subscribe)
	if err != nil {
		return err
	}
	var victims []*loadSocket
	for _, s := range sockets {
		if s.session.user != witness {
			victims = append(victims, s)
		}
	}
	singly := w.o.Count
	switch {
	case w.o.Mass:
		singly = 0
	case singly == 0:
		singly = min(500, len(victims)/2)
	}
	if singly > len(victims) {
		return fmt.Errorf("--count %d, and only %d sockets are not the witness's", singly, len(victims))
	}
	return w.streaming(ctx, func(ctx context.Context) error {
		if err := pause(ctx, w.o.Warm); err != nil {
			return err
		}
		if err := w.revokeSingly(ctx, victims[:singly]); err != nil {
			return err
		}
		return w.revokeAll(ctx, witness, victims[singly:], counts)
	})
}

// revokeSingly measures from the request to the close frame. A session with several sockets counts once.
func (w *loadWorld) revokeSingly(ctx context.Context, victims []*loadSocket) error {
	if len(victims) == 0 {
		return nil
	}
	took, wrong := &spread{}, 0
	for i, s := range victims {
		began := time.Now()
		if err := w.endOne(ctx, s.session); err != nil {
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
		if err := pause(ctx, time.Second/time.Duration(max(w.o.Rate, 1))); err != nil {
			return err
		}
	}
	w.report.latency("revoke to close", took)
	w.report.number("closed_with_another_code", float64(wrong))
	return nil
}

// endOne ends a session: by hand in Redis where its address is given, else by an admin.
func (w *loadWorld) endOne(ctx context.Context, s *loadSession) error {
	if w.redis == nil {
		return w.ask(ctx, http.MethodDelete, "/api/admin/sessions/"+s.id, w.admin.token, map[string]string{"reason": "load test"}, nil)
	}
	n, err := w.redis.Del(ctx, sessionKeyOf(s)).Result()
	if err == nil && n == 0 {
		err = errors.New("Redis does not hold session " + s.id)
	}
	return err
}

func sessionKeyOf(s *loadSession) string { return "rt:s:{" + s.id[:12] + "}" + s.id[12:] }

// revokeAll ends every session of all users but the witness, whose prices must go on in time.
func (w *loadWorld) revokeAll(ctx context.Context, witness *loadUser, victims []*loadSocket, counts *loadCounts) error {
	open := slices.DeleteFunc(slices.Clone(victims), func(s *loadSocket) bool {
		select {
		case <-s.closed:
			return true
		default:
			return false
		}
	})
	counts.reset()
	if err := pause(ctx, time.Second); err != nil { // what the others see while nothing is revoked
		return err
	}
	w.report.latency("tick to client before", &counts.age)
	counts.reset()
	cpu, began := w.metric(ctx, "process_cpu_seconds_total"), time.Now()
	if err := w.endEveryone(ctx, witness, open); err != nil {
		return fmt.Errorf("revoke all: %w", err)
	}
	answered := time.Since(began)
	took, first, last, wrong, err := closesOf(open, began)
	if err != nil {
		return err
	}
	w.report.latency("tick to client meanwhile", &counts.age)
	w.report.number("sockets_revoked_at_once", float64(len(open)))
	w.report.number("answered_after_s", answered.Seconds())
	w.report.number("first_closed_after_s", first.Seconds())
	w.report.number("all_closed_after_s", last.Seconds())
	w.report.number("all_closed_with_another_code", float64(wrong))
	w.report.latency("mass revoke to close", took)
	w.report.number("server_cpu_us_per_close", (w.metric(ctx, "process_cpu_seconds_total")-cpu)*1e6/float64(max(len(open), 1)))
	return nil
}

// endEveryone is one request for each user, or one pipeline where sessions are deleted in Redis.
func (w *loadWorld) endEveryone(ctx context.Context, witness *loadUser, open []*loadSocket) error {
	if w.redis == nil {
		var asking errgroup.Group
		for _, u := range w.users {
			if u == witness {
				continue
			}
			asking.Go(func() error {
				return w.ask(ctx, http.MethodDelete, "/api/admin/users/"+u.id+"/sessions", w.admin.token, map[string]string{"reason": "load test"}, nil)
			})
		}
		return asking.Wait()
	}
	pipe := w.redis.Pipeline()
	for _, s := range open {
		pipe.Del(ctx, sessionKeyOf(s.session))
	}
	_, err := pipe.Exec(ctx)
	return err
}

// closesOf waits until all are closed.
func closesOf(open []*loadSocket, began time.Time) (took *spread, first, last time.Duration, wrong int, err error) {
	took, first = &spread{}, time.Hour
	patience := time.After(30 * time.Second)
	for _, s := range open {
		select {
		case <-s.closed:
		case <-patience:
			return took, first, last, wrong, errors.New("a revoked socket is open 30 s later")
		}
		if s.code != 4500 {
			wrong++
		}
		after := s.at.Sub(began)
		took.add(after)
		first, last = min(first, after), max(last, after)
	}
	return took, first, last, wrong, nil
}
