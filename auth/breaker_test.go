package auth

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rosetree/internal/devstack"
)

// use asks Redis through the breaker until stop, and returns how long the slowest answer took.
func use(e *revokeEnv, p Principal, d time.Duration) (worst time.Duration, answered, refused int) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for until := time.Now().Add(d); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
				began := time.Now()
				err := e.rv.breaker(utagOf(p.Session)).do(context.Background(), func(ctx context.Context) error {
					return e.rv.rdb.HGet(ctx, sessionKey(p.Session), "uid").Err()
				})
				mu.Lock()
				worst = max(worst, time.Since(began))
				if err == nil {
					answered++
				} else {
					refused++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return worst, answered, refused
}

func TestBreaker_AFrozenRedisHoldsNobodyAndComesBackWithTheLedger(t *testing.T) {
	env := devstack.Test(t)
	r := env.Redis(t)
	e := newRevokeEnv(t, r, env.Database(t, migrate), "one")
	all := principals(t, e.admin, 3)
	e.live()
	br := e.rv.breaker(utagOf(all[0].Session))
	if _, _, refused := use(e, all[0], 100*time.Millisecond); refused != 0 || br.isOut() {
		t.Fatalf("%d refused by a healthy Redis", refused)
	}
	r.Freeze(t)
	worst, answered, refused := use(e, all[0], time.Second)
	t.Logf("frozen: %d refused, the slowest after %v", refused, worst)
	if worst > 250*time.Millisecond+slack() || answered > 0 || !br.isOut() {
		t.Errorf("the slowest answer took %v, %d were answered, open: %v", worst, answered, br.isOut())
	}
	began := time.Now()
	if err := br.do(t.Context(), func(context.Context) error { return nil }); !errors.Is(err, errRedisOut) || time.Since(began) > 5*time.Millisecond+slack() {
		t.Errorf("while it is open: %v after %v", err, time.Since(began))
	}
	e.revoke(Target{Kind: KindSession, Session: all[1].Session})
	r.Thaw(t)
	e.within(10*time.Second, "the breaker to close", func() bool { return !br.isOut() })
	if n := e.admin.Exists(t.Context(), sessionKey(all[1].Session)).Val(); n != 0 {
		t.Error("Redis is trusted before it was told of a revocation")
	}
}

func TestBreaker_AnswersAreNoFailures(t *testing.T) {
	env := devstack.Test(t)
	e := newRevokeEnv(t, env.Redis(t), env.Database(t, migrate), "one")
	br := e.rv.breaker("")
	for _, answer := range []func(context.Context) error{
		func(ctx context.Context) error { return e.rv.rdb.Get(ctx, "missing").Err() },
		func(ctx context.Context) error {
			return e.rv.rdb.Eval(ctx, "return redis.error_reply('no')", nil).Err()
		},
		func(context.Context) error { return context.Canceled },
		func(context.Context) error { return redis.ErrPoolTimeout },
	} {
		for range 30 {
			if br.do(t.Context(), answer) == nil {
				t.Fatal("the answer is no error: this test shows nothing")
			}
		}
	}
	if br.isOut() {
		t.Error("the breaker opened")
	}
}
