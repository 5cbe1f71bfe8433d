package portfolio

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/singleflight"

	"rosetree/auth"
	"rosetree/prices"
)

// Config is the room's settings.
type Config struct {
	Frame   time.Duration `env:"VALUATION_INTERVAL" envDefault:"250ms" doc:"how often a watched portfolio's valuation may be sent"`
	Linger  time.Duration `env:"PORTFOLIO_LINGER" envDefault:"30s" doc:"how long a portfolio stays in memory after the last look at it"`
	Stalled time.Duration `env:"PRICE_STALLED_AFTER" envDefault:"30s" doc:"age at which a price of an open market counts as stalled"`
	Stale   time.Duration `env:"PRICE_STALE_AFTER" envDefault:"15m" doc:"age at which a price of an open market counts as stale"`
}

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{{&c.Frame, 250 * time.Millisecond}, {&c.Linger, 30 * time.Second}, {&c.Stalled, 30 * time.Second}, {&c.Stale, 15 * time.Minute}} {
		if *d.value <= 0 {
			*d.value = d.fallback
		}
	}
	return c
}

// Service is the room's door: operations, and live portfolios.
type Service struct {
	// OnImport hears how far imports are, on any server; it must not block. Set it before Run.
	OnImport func(auth.UserID, ImportProgress)

	// fixed after New
	config   Config
	db       *auth.DB
	market   Market
	past     History
	rdb      redis.UniversalClient
	log      *slog.Logger
	metrics  *metrics
	rates    *rateBook
	closes   closesBook
	outgoing chan news
	outbox   outbox
	steps    chan importNews
	imports  importsUnderWay

	loads singleflight.Group

	mu   sync.Mutex
	live map[key]*live // portfolios in memory; guarded by mu

	tickers   sync.Map // prices.Symbol → *ticker
	exchanges sync.Map // pair → *exchange
	turns     atomic.Uint64
}

// key names a portfolio. Its id alone would do for honest clients; with the owner in it nobody can
// reach another user's portfolio by its id.
type key struct {
	user auth.UserID
	id   ID
}

// New makes the room. past may be the market itself.
func New(cfg Config, db *auth.DB, market Market, past History, rdb redis.UniversalClient, log *slog.Logger, reg prometheus.Registerer) *Service {
	s := &Service{config: cfg.withDefaults(), db: db, market: market, past: past, rdb: rdb, log: log,
		outgoing: make(chan news, 4096), steps: make(chan importNews, 256), live: map[key]*live{}, closes: closesBook{seen: map[prices.Symbol]closesCopy{}}}
	s.metrics = newMetrics(reg, s)
	s.rates = newRateBook(past)
	return s
}

// Run keeps portfolios live until ctx ends: it listens to prices and to news of other servers, passes
// news on, and sends valuations.
func (s *Service) Run(ctx context.Context) error {
	defer s.market.Listen(s.tick)()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.publish(ctx) })
	g.Go(func() error { return s.hearNews(ctx) })
	g.Go(func() error { return s.tellImports(ctx) })
	g.Go(func() error { return s.sweepOutbox(ctx) })
	g.Go(func() error { return s.flush(ctx) })
	g.Go(func() error { return s.grow(ctx) })
	g.Go(func() error { return s.housekeep(ctx) })
	return g.Wait()
}

// every calls do each interval until ctx ends.
func every(ctx context.Context, interval time.Duration, do func()) error {
	t := time.NewTicker(interval)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			do()
		}
	}
}
