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

	store    store
	feeds    []Feed
	demand   *demand
	tape     *tape
	bus      *bus // nil: this server is alone
	rdb      redis.UniversalClient
	stale    chan struct{} // has one: the database knows what the book does not
	edits    edits
	alerts   *alertWatch
	personal *personal
	webhooks *webhooks
	metrics  *feedMetrics
	log      *slog.Logger
}

// New makes the feeds that cfg names; their instruments are in the book at once. rdb connects the servers: one
// leads each feed and all get its prices; without it (nil) this server is alone. sealer is for the secrets of webhooks.
func New(cfg Config, db DB, sealer Sealer, rdb redis.UniversalClient, log *slog.Logger, reg prometheus.Registerer) (*Service, error) {
	s := &Service{Book: NewBook(reg), store: store{db, sealer}, demand: &demand{}, rdb: rdb, stale: make(chan struct{}, 1), metrics: newFeedMetrics(reg), log: log}
	s.tape = newTape(s.Book)
	measured := newAlertMetrics(reg)
	s.alerts, s.webhooks = newAlertWatch(s.Book, s.store, measured, log), newWebhooks(s.store, measured, log)
	s.personal = newPersonal(s.store, s.alerts, log)
	s.webhooks.news = func(ctx context.Context, user, alert string) { s.announce(ctx, hint{newAlert, user, alert}) }
	if rdb != nil {
		s.bus = newBus(rdb, s.Book, s.reload, s.personal.hear, log)
	}
	var err error
	if s.feeds, err = cfg.Feeds.make(feedDeps{config: cfg, rdb: rdb, book: s.Book, demand: s.demand, metrics: s.metrics}); err != nil {
		return nil, err
	}
	for _, f := range s.feeds {
		s.metrics.begin(f.Name())
		if c, ok := f.(catalogue); ok {
			s.Book.Define(c.Instruments()...)
		}
	}
	if reg != nil {
		reg.MustRegister(newAges(s.Book), prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "rosetree_prices_publish_waiting", Help: "Ticks that wait for their way to the other servers: one of each symbol and feed at most."}, s.waiting))
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
		if p, ok := f.(barPast); ok {
			if _, err := s.store.writeSpan(ctx, "1d", p.DayBars(now.AddDate(-seedYears, 0, 0), now.UTC().Truncate(24*time.Hour)), fill); err != nil {
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
	for done := false; !done; {
		before := s.edits.count()
		instruments, err := s.store.instruments(ctx)
		if err != nil {
			return err
		}
		closes, err := s.store.lastCloses(ctx)
		if err != nil {
			return err
		}
		done = s.edits.unless(before, func() {
			s.Book.Define(instruments...)
			s.Book.Closed(closes...)
		})
	}
	s.alerts.restate()
	if s.bus != nil { // what was said of an instrument before it was known here
		if err := s.bus.snapshot(ctx); err != nil {
			s.log.Warn("prices: the last prices will come with the next subscription", "err", err)
		}
	}
	return nil
}

// Run seeds and runs the feeds until ctx ends. Prices flow also while the database is out: seeding is tried
// again until it succeeds.
func (s *Service) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { s.again(ctx, "seed", func() error { return s.Seed(ctx) }); return nil })
	g.Go(func() error { return s.tend(ctx) })
	defer s.Book.Listen(s.tape.hear)()
	g.Go(func() error { return s.keepCandles(ctx) })
	g.Go(func() error { return s.alerts.run(ctx, func(fired []ownedID) { s.fired(ctx, fired) }) })
	g.Go(func() error { return s.personal.run(ctx) })
	g.Go(func() error { return s.webhooks.run(ctx) })
	g.Go(func() error { return s.keepSealed(ctx, sealEvery) })
	if s.bus != nil {
		g.Go(func() error { return s.bus.listen(ctx) })
		g.Go(func() error { return s.shareDemand(ctx) })
		g.Go(func() error { return s.keepUp(ctx) })
	}
	for _, f := range s.feeds {
		g.Go(func() error {
			s.again(ctx, f.Name(), func() error { return s.play(ctx, f) })
			return nil
		})
		if h, ok := f.(historian); ok {
			g.Go(func() error {
				s.again(ctx, f.Name()+" history", func() error { return s.backfill(ctx, h) })
				return nil
			})
		}
	}
	return g.Wait()
}

// fired tells all servers what this one made fire.
func (s *Service) fired(ctx context.Context, all []ownedID) {
	for _, f := range all {
		s.announce(ctx, hint{newFiring, f.user, f.id})
	}
	s.webhooks.rouse()
}

// tend does what the calendar asks for.
func (s *Service) tend(ctx context.Context) error {
	for sleep(ctx, 15*time.Second) == nil {
		if ticks := s.Book.splitTicks(time.Now()); len(ticks) > 0 {
			if _, err := s.send(ctx, ticks); err != nil {
				s.log.Warn("prices: split prices were not published", "err", err)
			}
		}
	}
	return nil
}

// backfill writes the closes that h knows, where there are none.
func (s *Service) backfill(ctx context.Context, h historian) error {
	closes, err := h.History(ctx)
	if err != nil {
		return err
	}
	s.Book.closesInCurrency(closes)
	if err := s.store.writeCloses(ctx, closes, keepOld); err != nil {
		return err
	}
	return s.load(ctx)
}

// play runs f where this server leads it.
func (s *Service) play(ctx context.Context, f Feed) error {
	if s.bus == nil {
		return s.report(ctx, f, func(ticks []Tick) { s.Book.toCurrency(ticks); s.Book.Apply(ticks) })
	}
	l := &lease{rdb: s.rdb, key: keyLead + f.Name(), term: leaseTerm, log: s.log}
	return l.lead(ctx, func(ctx context.Context, token string) error {
		g, ctx := errgroup.WithContext(ctx)
		g.Go(func() error { return s.bus.carry(ctx, f.Name(), token) })
		g.Go(func() error {
			return s.report(ctx, f, func(ticks []Tick) { s.Book.toCurrency(ticks); s.bus.take(f.Name(), s.Book.screen(ticks)) })
		})
		return g.Wait()
	})
}

// report runs f; a feed that ends by itself has failed.
func (s *Service) report(ctx context.Context, f Feed, emit func([]Tick)) error {
	ticks, lag := s.metrics.ticks.WithLabelValues(f.Name()), s.metrics.lag.WithLabelValues(f.Name())
	err := f.Run(ctx, func(batch []Tick) {
		ticks.Add(float64(len(batch)))
		if len(batch) > 0 {
			lag.Observe(max(0, time.Since(batch[len(batch)-1].At).Seconds()))
		}
		emit(batch)
	})
	if ctx.Err() != nil {
		return nil
	}
	s.metrics.failures.WithLabelValues(f.Name()).Inc()
	if err == nil {
		err = errors.New("the feed ended")
	}
	return err
}

// waiting is how many ticks wait to be published.
func (s *Service) waiting() float64 {
	if s.bus == nil {
		return 0
	}
	return float64(s.bus.depth())
}

// reload notes that another server changed an instrument or its history.
func (s *Service) reload() {
	select {
	case s.stale <- struct{}{}:
	default: // it is noted already
	}
}

// keepUp reads what other servers changed, at most a few times a second.
func (s *Service) keepUp(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.stale:
			s.again(ctx, "reload", func() error { return s.load(ctx) })
		}
		if sleep(ctx, 200*time.Millisecond) != nil {
			return nil
		}
	}
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
		if time.Since(began) > 2*longest { // it worked for a while, so this is a new failure
			pause = shortest
		}
		wait := pause/2 + rand.N(pause/2)
		if t, ok := errors.AsType[*throttled](err); ok {
			wait += t.after
		}
		s.log.Warn("prices: will try again", "what", name, "err", err, "after", wait)
		if sleep(ctx, wait) != nil {
			return
		}
		pause = min(2*pause, longest)
	}
}

// Closes are the daily closes of symbol on the dates from … to, both included, oldest first.
func (s *Service) Closes(ctx context.Context, symbol Symbol, from, to time.Time) ([]Close, error) {
	return s.store.closes(ctx, symbol, from, to)
}
