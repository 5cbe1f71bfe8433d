package prices

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"
)

// lease makes one server the leader of a feed. It is fenced: publish.lua refuses a leader whose lease
// went to another, however late its message comes.
type lease struct {
	rdb  redis.UniversalClient
	key  string
	term time.Duration
	log  *slog.Logger
}

// leaseTerm and leaseTries keep a hand-over under two seconds, also where the leader was killed.
const (
	leaseTerm  = 1500 * time.Millisecond
	leaseTries = 300 * time.Millisecond
)

var errLeaseLost = errors.New("another server took the lead")

//go:embed scripts/renew.lua
var renewSource string

var renewScript = redis.NewScript(renewSource)

// lead waits until this server leads, runs work with the token that proves it, and gives the lease back.
// work's context ends when the lease is lost, or when it could not be renewed in time.
func (l *lease) lead(ctx context.Context, work func(ctx context.Context, token string) error) error {
	token := rand.Text()
	for {
		won, err := l.rdb.SetNX(ctx, l.key, token, l.term).Result()
		if err == nil && won {
			break
		}
		if sleep(ctx, leaseTries) != nil {
			return nil
		}
	}
	l.log.Info("prices: leading", "lease", l.key)
	working, stop := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() { defer close(done); stop(l.keep(working, token)) }()
	err := work(working, token)
	lost := context.Cause(working)
	stop(nil)
	<-done
	l.giveBack(ctx, token)
	if ctx.Err() == nil && errors.Is(lost, errLeaseLost) {
		return errLeaseLost
	}
	return err
}

// keep renews until the lease is lost or ctx ends.
func (l *lease) keep(ctx context.Context, token string) error {
	renewed := time.Now()
	for sleep(ctx, l.term/4) == nil {
		asked := time.Now()
		call, cancel := context.WithTimeout(ctx, l.term/4)
		held, err := renewScript.Run(call, l.rdb, []string{l.key}, token, l.term.Milliseconds()).Int()
		cancel()
		switch {
		case err == nil && held == 1:
			renewed = asked
		case err == nil:
			return errLeaseLost
		case time.Since(renewed) > l.term-l.term/4:
			return errLeaseLost // Redis is out, and the lease may have ended
		}
	}
	return nil
}

func (l *lease) giveBack(ctx context.Context, token string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	// A lease that cannot be given back ends by itself.
	_ = renewScript.Run(ctx, l.rdb, []string{l.key}, token, 0).Err()
}
