package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// loadCounts are what a crowd of sockets receives.
type loadCounts struct {
	messages atomic.Uint64
	updates  atomic.Uint64
	age      spread // of updates, since their tick was sent
}

// receive counts one message.
func (c *loadCounts) receive(message []byte) {
	c.messages.Add(1)
	if n := updatesIn(message); n > 0 {
		c.updates.Add(uint64(n))
		if age, ok := ageOf(message, time.Now()); ok {
			c.age.add(age)
		}
	}
}

func (c *loadCounts) reset() {
	c.messages.Store(0)
	c.updates.Store(0)
	c.age.reset()
}

// crowd opens n sockets, spread over the sessions, subscribes each, and counts what they get.
func (w *loadWorld) crowd(ctx context.Context, n int, subscribe func(i int) string, counts *loadCounts) ([]*loadSocket, error) {
	all := make([]*loadSocket, n)
	took := &spread{}
	began := time.Now()
	var open, refused atomic.Int64
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(64)
	for i := range n {
		g.Go(func() error {
			s, err := w.open(gctx, w.sessions[i%len(w.sessions)], took, counts.receive)
			for tries := 0; tries < 40 && turnedAway(err); tries++ { // as clients do
				refused.Add(1)
				if err := pause(gctx, 250*time.Millisecond); err != nil {
					return err
				}
				s, err = w.open(gctx, w.sessions[i%len(w.sessions)], took, counts.receive)
			}
			if err != nil {
				return err
			}
			all[i] = s
			progress("%d of %d sockets", open.Add(1), n)
			if text := subscribe(i); text != "" {
				return s.send(text)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("open sockets: %w", err)
	}
	w.report.number("upgrades_per_second", float64(n)/time.Since(began).Seconds())
	w.report.number("upgrades_refused_for_a_while", float64(refused.Load()))
	w.report.latency("upgrade", took)
	return all, nil
}

func turnedAway(err error) bool {
	answered, ok := errors.AsType[errUpgrade](err)
	return ok && strings.HasPrefix(answered.status, "503")
}

// open connects one socket and follows it until its end.
func (w *loadWorld) open(ctx context.Context, session *loadSession, took *spread, fn func([]byte)) (*loadSocket, error) {
	began := time.Now()
	s, err := dialLoad(ctx, w.address, session.token)
	if err != nil {
		return nil, err
	}
	took.add(time.Since(began))
	s.session = session
	w.mu.Lock()
	w.sockets = append(w.sockets, s)
	w.mu.Unlock()
	go s.follow(fn)
	return s, nil
}

// someSymbols is a subscription of the options' size, of random symbols.
func (w *loadWorld) someSymbols(int) string {
	picked := rand.Perm(w.o.Of)[:w.o.Symbols]
	names := make([]string, len(picked))
	for i, p := range picked {
		names[i] = loadSymbol(p)
	}
	return w.subscription(names)
}

// stillSymbols is a subscription of those whose price stands still.
func (w *loadWorld) stillSymbols() string {
	names := make([]string, w.still)
	for i := range names {
		names[i] = loadSymbol(w.o.Of + i)
	}
	return w.subscription(names)
}

func (w *loadWorld) subscription(symbols []string) string {
	hz := ""
	if w.o.MaxHz > 0 {
		hz = fmt.Sprintf(`,"max_hz":%g`, w.o.MaxHz)
	}
	return `{"type":"subscribe","channel":"prices","symbols":["` + strings.Join(symbols, `","`) + `"]` + hz + `}`
}

// streaming runs fn while prices tick.
func (w *loadWorld) streaming(ctx context.Context, fn func(ctx context.Context) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var failed error
	var feeding sync.WaitGroup
	feeding.Go(func() {
		if failed = w.feed(ctx, w.o.Ticks, w.o.Of); failed != nil {
			stop()
		}
	})
	err := fn(ctx)
	stop()
	feeding.Wait()
	if failed != nil {
		return failed
	}
	return err
}

// delivered notes what counts saw in so many seconds.
func (w *loadWorld) delivered(counts *loadCounts, seconds float64) {
	w.report.number("updates_per_second", float64(counts.updates.Load())/seconds)
	w.report.number("messages_per_second", float64(counts.messages.Load())/seconds)
	w.report.number("ticks_per_second", float64(w.ticks.Load())/seconds)
	w.report.number("ticks_refused", float64(w.refused.Load()))
	w.report.latency("tick to client", &counts.age)
}
