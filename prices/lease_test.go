package prices

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"rosetree/internal/devstack"
)

func TestAFormerLeaderIsFencedOff(t *testing.T) {
	rdb := devstack.Test(t).Redis(t).Client(t)
	book := testBook()
	b := newBus(rdb, book, func() {}, func(hint) {}, slog.New(slog.DiscardHandler))
	rdb.Set(t.Context(), keyLead+"sim", "new leader", 0)
	_, err := b.publish(t.Context(), "sim", "old leader", []Tick{tick("BTC-USD", "1", time.Now())})
	if !errors.Is(err, errLeaseLost) {
		t.Errorf("the old leader was told %v", err)
	}
	if n := rdb.HLen(t.Context(), keyLast).Val(); n != 0 {
		t.Error("and left a price behind")
	}
	if _, err := b.publish(t.Context(), "sim", "new leader", []Tick{tick("BTC-USD", "2", time.Now())}); err != nil {
		t.Error(err)
	}
	if q, _ := book.Quote("BTC-USD"); !q.Price.Equal(price("2")) {
		t.Errorf("%+v", q)
	}
}

func TestTheLeaseIsKeptWhileTheWorkLastsAndLostWhenAnotherTakesIt(t *testing.T) {
	rdb := devstack.Test(t).Redis(t).Client(t)
	l := &lease{rdb: rdb, key: keyLead + "sim", term: time.Second, log: slog.New(slog.DiscardHandler)}
	err := l.lead(t.Context(), func(ctx context.Context, token string) error {
		began := time.Now()
		eventually(t, "three terms have passed", func() bool {
			if got := rdb.Get(t.Context(), l.key).Val(); got != token || ctx.Err() != nil {
				t.Errorf("after %s %q holds it, not %q; %v", time.Since(began), got, token, ctx.Err())
				return true
			}
			return time.Since(began) > 3*l.term
		})
		rdb.Set(t.Context(), l.key, "another", 0)
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Second):
			t.Error("the work goes on although another leads")
		}
		return nil
	})
	if !errors.Is(err, errLeaseLost) || rdb.Get(t.Context(), l.key).Val() != "another" {
		t.Errorf("%v; the lease is with %q", err, rdb.Get(t.Context(), l.key).Val())
	}
}
