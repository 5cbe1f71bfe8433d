package prices

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
)

// Service runs the feeds into the book and keeps history.
type Service struct {
	Book *Book

	store store
	feeds []Feed
	log   *slog.Logger
}

// New makes the feeds that cfg names; their instruments are in the book at once.
func New(cfg Config, db DB, rdb redis.UniversalClient, log *slog.Logger, reg prometheus.Registerer) (*Service, error) {
	feeds, err := cfg.Feeds.make()
	if err != nil {
		return nil, err
	}
	s := &Service{Book: NewBook(reg), store: store{db}, feeds: feeds, log: log}
	for _, f := range feeds {
		if c, ok := f.(catalogue); ok {
			s.Book.Define(c.Instruments()...)
		}
	}
	return s, nil
}

// seedYears is how much history Seed writes of feeds that know the past.
const seedYears = 6

// Seed writes the instruments and the daily closes that the feeds bring, as far as they are not there,
// and reads everything into the book. It may run at every start: what is there stays.
func (s *Service) Seed(ctx context.Context) error {
	newest, err := s.store.newestClose(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	for _, f := range s.feeds {
		if c, ok := f.(catalogue); ok {
			if err := s.store.addInstruments(ctx, c.Instruments()); err != nil {
				return err
			}
		}
		if p, ok := f.(past); ok {
			if err := s.store.writeCloses(ctx, missing(p, newest, now), keepOld); err != nil {
				return err
			}
		}
	}
	return s.load(ctx)
}

// missing are the closes of sessions that are over and newer than what each symbol has.
func missing(p past, newest map[Symbol]time.Time, now time.Time) []Close {
	var all []Close
	for _, c := range p.Past(now.AddDate(-seedYears, 0, 0), now.UTC().Truncate(24*time.Hour)) {
		if c.Date.After(newest[c.Symbol]) {
			all = append(all, c)
		}
	}
	return all
}

// load reads instruments and their last closes into the book.
func (s *Service) load(ctx context.Context) error {
	instruments, err := s.store.instruments(ctx)
	if err != nil {
		return err
	}
	closes, err := s.store.lastCloses(ctx)
	if err != nil {
		return err
	}
	s.Book.Define(instruments...)
	s.Book.Closed(closes...)
	return nil
}

// Run seeds and runs the feeds until ctx ends. Prices flow also while the database is out: seeding is tried
// again until it succeeds.
func (s *Service) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { s.again(ctx, "seed", func() error { return s.Seed(ctx) }); return nil })
	for _, f := range s.feeds {
		g.Go(func() error {
			s.again(ctx, f.Name(), func() error { return s.play(ctx, f) })
			return nil
		})
	}
	return g.Wait()
}

// play runs f; a feed that ends by itself has failed, unless it says that it is done.
func (s *Service) play(ctx context.Context, f Feed) error {
	err := f.Run(ctx, func(ticks []Tick) { s.Book.Apply(ticks) })
	if err == nil && ctx.Err() == nil {
		return errors.New("the feed ended")
	}
	return err
}

// again repeats work until it succeeds or ctx ends, after a pause that grows to a minute. Half of the
// pause is random, so that servers that failed together do not come back together.
func (s *Service) again(ctx context.Context, name string, work func() error) {
	const shortest, longest = 500 * time.Millisecond, time.Minute
	pause := shortest
	for {
		began := time.Now()
		err := work()
		if err == nil || ctx.Err() != nil {
			return
		}
		if time.Since(began) > longest {
			pause = shortest
		}
		wait := pause/2 + rand.N(pause/2)
		s.log.Warn("prices: will try again", "what", name, "err", err, "after", wait)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		pause = min(2*pause, longest)
	}
}

// Closes are the daily closes of symbol on the dates from … to, both included, oldest first.
func (s *Service) Closes(ctx context.Context, symbol Symbol, from, to time.Time) ([]Close, error) {
	return s.store.closes(ctx, symbol, from, to)
}
