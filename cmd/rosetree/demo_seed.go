package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"rosetree/auth"
	"rosetree/internal/api"
	"rosetree/portfolio"
	"rosetree/prices"
)

// seeder fills an empty database by the same operations that clients call.
type seeder struct {
	callers *auth.Auth
	market  *prices.Service
	calls   map[string]api.Operation[auth.Principal]
}

// seedDemo makes people, portfolios and history where they are not there yet, and returns the log-ins.
func seedDemo(ctx context.Context, folder string, cfg Config, say func(string, ...any)) ([]demoPerson, error) {
	logins, err := readLogins(folder)
	if err != nil {
		return nil, err
	}
	if logins.Seeded {
		return logins.People, nil
	}
	say("writing people, price history and portfolios")
	s, done, err := newSeeder(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer done()
	if err := s.market.Seed(ctx); err != nil {
		return nil, fmt.Errorf("price history: %w", err)
	}
	past, err := readPast(ctx, s.market)
	if err != nil {
		return nil, err
	}
	var g errgroup.Group
	for i, p := range logins.People {
		g.Go(func() error { return s.person(ctx, demoCast[i], p, past) })
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	logins.Seeded = true
	return logins.People, logins.save()
}

// newSeeder composes the rooms that seeding needs; none of them runs, and done puts them away.
func newSeeder(ctx context.Context, cfg Config) (s *seeder, done func(), err error) {
	reg, log := prometheus.NewRegistry(), slog.New(slog.DiscardHandler)
	db, err := auth.OpenDB(ctx, cfg.DB, reg)
	if err != nil {
		return nil, nil, err
	}
	rdb, err := auth.OpenRedis(string(cfg.Redis.URL))
	if err != nil {
		db.Close()
		return nil, nil, err
	}
	done = func() { rdb.Close(); db.Close() }
	defer func() {
		if err != nil {
			done()
		}
	}()
	s = &seeder{}
	if s.callers, err = auth.New(cfg.Auth, db, rdb, log, reg); err != nil {
		return nil, nil, err
	}
	if s.market, err = prices.New(cfg.Prices, db.Service(auth.ServiceFeed), db.Sealer(), rdb, log, reg); err != nil {
		return nil, nil, err
	}
	portfolios := portfolio.New(cfg.Portfolio, db, s.market.Book, s.market, rdb, log, reg)
	s.calls = newOperations(s.callers, db, s.market, portfolios).byName()
	return s, done, nil
}

// person makes one account with its portfolios. Done a second time, after a start that was cut short, it
// finds what is there: the account by its address, the rest by idempotency keys.
func (s *seeder) person(ctx context.Context, who auth.NewUser, login demoPerson, past pastPrices) error {
	who.Password = login.Password
	user, err := s.callers.AddUser(ctx, who, "demo")
	if api.ProblemOf(err).Code == "conflict" {
		user, err = s.callers.UserByEmail(ctx, who.Email)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", who.Email, err)
	}
	caller := auth.Principal{User: user.ID, Role: user.Role}
	for _, plan := range demoPlans(past) {
		if plan.owner != who.Email {
			continue
		}
		if err := s.portfolio(ctx, caller, plan); err != nil {
			return fmt.Errorf("%s, portfolio %q: %w", who.Email, plan.name, err)
		}
	}
	return nil
}

func (s *seeder) portfolio(ctx context.Context, caller auth.Principal, plan demoPlan) error {
	var made struct {
		ID portfolio.ID `json:"id"`
	}
	key := "demo/" + plan.name
	err := s.call(ctx, caller, "portfolio.create", key, map[string]string{
		"name": plan.name, "base_currency": plan.base, "cost_method": plan.method}, &made)
	if err != nil {
		return err
	}
	for i, t := range plan.trades {
		fields := t.fields()
		fields["portfolio"] = string(made.ID)
		if err := s.call(ctx, caller, "transaction.add", fmt.Sprintf("%s/%d", key, i), fields, nil); err != nil {
			return fmt.Errorf("%s %s on %s: %w", t.kind, t.symbol, t.day.Format("2006-01-02"), err)
		}
	}
	return nil
}

// call runs an operation once for its key, and puts its answer into out.
func (s *seeder) call(ctx context.Context, caller auth.Principal, name, key string, in, out any) error {
	params, err := json.Marshal(in)
	if err != nil {
		return err
	}
	operation, ok := s.calls[name]
	if !ok {
		return fmt.Errorf("there is no operation %s", name)
	}
	answer, err := operation.Call(api.WithIdempotencyKey(ctx, key), caller, params)
	if err != nil || out == nil {
		return err
	}
	if params, err = json.Marshal(answer); err != nil {
		return err
	}
	return json.Unmarshal(params, out)
}
