package prices

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"rosetree/internal/devstack"
)

// TestAFeedServesWhatIsLookedAtOnAnyServer: one server leads a feed, on the screens of the other something comes and goes.
func TestAFeedServesWhatIsLookedAtOnAnyServer(t *testing.T) {
	rdb := devstack.Test(t).Redis(t).Client(t)
	leader, other := sharing(t, rdb, &looks{}), &looks{}
	sharing(t, rdb, other)
	wanted := func() []Symbol { return leader.demand.wanted(10, func(Symbol) bool { return true }) }
	other.set([]Symbol{"BTC-USD"}, []Symbol{"AAPL"})
	eventually(t, "the leader serves the other server's screens first", func() bool { return slices.Equal(wanted(), []Symbol{"BTC-USD", "AAPL"}) })
	other.set([]Symbol{"ETH-USD"}, nil)
	eventually(t, "what has just come on a screen is served", func() bool { return slices.Contains(wanted(), "ETH-USD") })
	eventually(t, "what nobody looks at any more is given up", func() bool { return slices.Equal(wanted(), []Symbol{"ETH-USD"}) })
	other.set(nil, nil)
	eventually(t, "nothing is left in Redis of what nobody looks at", func() bool {
		n, err := rdb.Exists(t.Context(), keyScreen, keyHeld).Result()
		return err == nil && n == 0
	})
}

// sharing is a server that tells and learns who looks at what.
func sharing(t *testing.T, rdb redis.UniversalClient, l *looks) *Service {
	t.Helper()
	s, err := New(Config{}, nil, nil, rdb, slog.New(slog.NewTextHandler(t.Output(), nil)), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	s.FollowDemand(l.screen, func() []Symbol { l.mu.Lock(); defer l.mu.Unlock(); return l.held })
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.shareDemand(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return s
}
