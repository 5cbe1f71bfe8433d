package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"rosetree/auth"
	"rosetree/hub"
	"rosetree/portfolio"
	"rosetree/prices"
)

// Config is every setting of the server; each part stands in the room that it configures.
type Config struct {
	HTTP      HTTPConfig
	DB        auth.DBConfig
	Redis     RedisConfig
	Auth      auth.Config
	Prices    prices.Config
	Portfolio portfolio.Config
	Hub       hub.Config
	Alerts    AlertConfig
	Log       LogConfig
}

// RedisConfig is where Redis is.
type RedisConfig struct {
	URL auth.Secret `env:"REDIS_URL,required" secret:"true" doc:"Redis: redis://, rediss://, unix://; several addresses, or redis+cluster://, redis+sentinel:// for those set-ups"`
}

func newServe() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long:  "Run the server until SIGTERM or Ctrl-C; then sockets are sent away with a hint when to come back.\nSettings are environment variables: see 'rosetree config'.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadSettings[Config](os.Environ())
			if err != nil {
				return err
			}
			log := cfg.Log.logger(os.Stderr)
			return serve(cmd.Context(), cfg, log, func(at addresses) {
				log.Info("serving", "url", at.url, "metrics", at.metrics, "version", readVersion().Version)
			})
		},
	}
}

// addresses is where a server can be reached once it listens.
type addresses struct {
	url     string // http://127.0.0.1:8080
	metrics string // http://127.0.0.1:9090/metrics
}

// serve is the house from the ground up. It returns when ctx has ended and the sockets have been sent away.
func serve(ctx context.Context, cfg Config, log *slog.Logger, ready func(addresses)) error {
	auth.RoomForHashing()
	reg := newRegistry()
	db, err := auth.OpenDB(ctx, cfg.DB, reg)
	if err != nil {
		return err
	}
	defer db.Close()
	rdb, err := auth.OpenRedis(string(cfg.Redis.URL))
	if err != nil {
		return err
	}
	defer rdb.Close()

	callers, err := auth.New(cfg.Auth, db, rdb, log, reg)
	if err != nil {
		return err
	}
	market, err := prices.New(cfg.Prices, db.Service(auth.ServiceFeed), db.Sealer(), rdb, log, reg)
	if err != nil {
		return err
	}
	portfolios := portfolio.New(cfg.Portfolio, db, market.Book, market, rdb, log, reg)
	health := newReadiness(db, rdb, log)
	context.AfterFunc(ctx, func() { health.draining.Store(true) })
	notices := hub.NewNotices(db.Service(auth.ServiceAuth), log)
	operations := append(newOperations(callers, db, market, portfolios), notices.Operations()...)
	sockets := hub.New(cfg.Hub, hub.Deps{
		Sessions: callers, Market: market.Book, Portfolios: hub.Ledger(portfolios), Figures: callers,
		Calls: operations.byName(), Topics: slices.Concat(adminTopics(callers, health), personalTopics(market, portfolios, db), []hub.Topic{notices.Topic()}),
		Address: callers.Address, Log: log, Registry: reg,
	})
	callers.CountSockets, callers.LastFrames, callers.OpenSockets = sockets.Sockets, sockets.LastFrames, sockets.OpenSockets
	market.FollowDemand(sockets.Watched, portfolios.Held)
	followCallers(callers, sockets)
	followUsers(market, portfolios, db, sockets)
	operations = append(operations, sockets.Operations()...)

	listeners, at, err := listenAll(cfg.HTTP, publicRoutes(callers, operations, portfolios, sockets, notices, health), operatorRoutes(reg, callers, sockets, health), callers, log)
	if err != nil {
		return err
	}
	rooms := append([]runner{callers.Run, market.Run, portfolios.Run}, alerting(cfg.Alerts, reg, rdb, log)...)
	doors := []runner{sockets.Run, makeRoom,
		func(ctx context.Context) error { return notices.Run(ctx, sockets.ShowNotice) },
		func(ctx context.Context) error { return announce(ctx, callers, func() { ready(at) }) }}
	for _, l := range listeners {
		doors = append(doors, l.serve)
	}
	return runHouse(ctx, rooms, doors)
}

// announce calls ready once the server knows enough to let callers in.
func announce(ctx context.Context, callers *auth.Auth, ready func()) error {
	if callers.WaitReady(ctx) == nil {
		ready()
	}
	return nil
}

// runner works until ctx ends.
type runner func(ctx context.Context) error

// runHouse runs rooms and doors until ctx ends or one of them fails. The doors close first and send their
// visitors away; only then do the rooms below them stop.
func runHouse(ctx context.Context, rooms, doors []runner) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	below, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var lower errgroup.Group
	for _, run := range rooms {
		lower.Go(func() error {
			err := run(below)
			if below.Err() != nil {
				return nil
			}
			fail(err) // a room that ends by itself takes the server with it
			return fmt.Errorf("a part of the server ended: %w", err)
		})
	}
	upper, ctx := errgroup.WithContext(ctx)
	for _, run := range doors {
		upper.Go(func() error { return run(ctx) })
	}
	err := upper.Wait()
	stop()
	return errors.Join(err, lower.Wait())
}

func newRegistry() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(liveHeap)), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return reg
}
