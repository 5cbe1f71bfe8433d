package auth

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
)

// breaker stands before every command that a request waits for, one for each Redis master. It opens when Redis fails, so that a request learns
// at once instead of after a timeout, and closes only when its own probe has found Redis answering and has brought it
// up to date: no request is the guinea pig.
type breaker struct {
	// fixed after newBreaker
	probe  func(context.Context) error
	places chan struct{} // commands in flight: a slow Redis sheds load instead of queueing it
	log    *slog.Logger
	met    breakerMetrics
	opened chan struct{}

	mu       sync.Mutex
	isOpen   bool      // guarded by mu
	row      int       // guarded by mu: failures since the last success
	first    time.Time // guarded by mu: the first of them
	since    time.Time // guarded by mu: beginning of the window
	calls    int       // guarded by mu: in the window
	failures int       // guarded by mu: in the window
}

const (
	breakerPlaces  = 64                     // the pool has as many connections
	breakerWait    = 250 * time.Millisecond // for a place
	failuresInRow  = 5
	rowLasts       = 300 * time.Millisecond // a process that stood still for 100 ms sees all its commands time out at once
	breakerWindow  = time.Second
	windowCalls    = 20 // fewer say nothing about a share
	firstOpen      = 500 * time.Millisecond
	longestOpen    = 5 * time.Second
	commandTimeout = 100 * time.Millisecond
)

// errRedisOut: Redis is not asked, because it does not answer or does not answer in time.
var errRedisOut = errors.New("auth: Redis is out")

type breakerMetrics struct {
	open prometheus.Gauge
	shed prometheus.Counter
}

func newBreaker(probe func(context.Context) error, log *slog.Logger, met breakerMetrics) *breaker {
	return &breaker{probe: probe, log: log, met: met, places: make(chan struct{}, breakerPlaces), opened: make(chan struct{}, 1)}
}

// do runs fn unless Redis is out. An answer of Redis, also redis.Nil or a script's error, is no failure.
func (b *breaker) do(ctx context.Context, fn func(context.Context) error) error {
	if b.isOut() {
		return errRedisOut
	}
	return b.try(ctx, fn)
}

// try runs fn also while the breaker is open: a revocation does not wait for the next probe, it costs its caller a
// timeout at worst.
func (b *breaker) try(ctx context.Context, fn func(context.Context) error) error {
	if err := b.take(ctx); err != nil {
		return err
	}
	defer func() { <-b.places }()
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	err := fn(ctx)
	b.count(err)
	return err
}

func (b *breaker) take(ctx context.Context) error {
	select {
	case b.places <- struct{}{}:
		return nil
	default:
	}
	wait := time.NewTimer(breakerWait)
	defer wait.Stop()
	select {
	case b.places <- struct{}{}:
		return nil
	case <-wait.C:
		b.met.shed.Inc()
		return errRedisOut
	case <-ctx.Done():
		return ctx.Err()
	}
}

// isOut says whether Redis is not asked at the moment.
func (b *breaker) isOut() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.isOpen
}

func (b *breaker) count(err error) {
	if errors.Is(err, redis.ErrPoolTimeout) {
		return // says that we ask for too much, and nothing about Redis
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if now.Sub(b.since) > breakerWindow {
		if b.calls >= windowCalls && 2*b.failures > b.calls {
			b.trip(err)
		}
		b.since, b.calls, b.failures = now, 0, 0
	}
	b.calls++
	if !isInfrastructure(err) {
		b.row = 0
		return
	}
	if b.row == 0 {
		b.first = now
	}
	b.row++
	b.failures++
	if b.row >= failuresInRow && now.Sub(b.first) >= rowLasts {
		b.trip(err)
	}
}

// trip opens the breaker. The caller holds mu.
func (b *breaker) trip(cause error) {
	if b.isOpen {
		return
	}
	b.isOpen = true
	b.met.open.Set(1)
	b.log.Warn("Redis is out: sessions are answered from the ledger where that is allowed, else 503", "cause", cause)
	select {
	case b.opened <- struct{}{}:
	default:
	}
}

// isInfrastructure tells a Redis that fails from one that answers. A caller who went away says nothing about it.
func isInfrastructure(err error) bool {
	if err == nil || errors.Is(err, redis.Nil) || errors.Is(err, context.Canceled) {
		return false
	}
	for _, prefix := range []string{"LOADING", "READONLY", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN", "MOVED", "ASK", "BUSY", "MISCONF", "OOM"} {
		if redis.HasErrorPrefix(err, prefix) {
			return true
		}
	}
	answered, ok := errors.AsType[redis.Error](err)
	return !ok || answered == nil
}

// run probes while the breaker is open, until ctx ends.
func (b *breaker) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.opened:
		}
		for wait := firstOpen; ; wait = min(2*wait, longestOpen) {
			pause(ctx, wait/2+rand.N(wait/2))
			if ctx.Err() != nil {
				return
			}
			if err := b.probe(ctx); err == nil {
				break
			}
		}
		b.close()
	}
}

func (b *breaker) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.isOpen, b.row, b.calls, b.failures = false, 0, 0, 0
	b.met.open.Set(0)
	b.log.Info("Redis is back and up to date")
}
