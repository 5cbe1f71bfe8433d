package portfolio

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/shopspring/decimal"

	"rosetree/auth"
	"rosetree/internal/api"
	"rosetree/internal/devstack"
	"rosetree/migrations"
	"rosetree/prices"
)

// world is one test's database, Redis, market and servers.
type world struct {
	t      testing.TB
	db     *auth.DB
	owner  *pgx.Conn // the superuser, as psql would be
	redis  *devstack.Redis
	book   *prices.Book
	past   *prices.Service
	server *Service
}

func migrate(ctx context.Context, ownerURL, runtimeURL string) error {
	key, err := (auth.SecretKey{}).Or(runtimeURL)
	if err != nil {
		return err
	}
	return migrations.Up(ctx, ownerURL, migrations.Options{ContextKeys: key.ContextKeys(), RuntimeURL: runtimeURL})
}

func newWorld(t testing.TB) *world {
	t.Helper()
	env := devstack.Test(t)
	made := env.Database(t, migrate)
	w := &world{t: t, redis: env.Redis(t)}
	var err error
	if w.db, err = auth.OpenDB(t.Context(), auth.DBConfig{URL: auth.Secret(made.URL)}, prometheus.NewRegistry()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.db.Close)
	if w.owner, err = pgx.Connect(t.Context(), made.OwnerURL); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.owner.Close(context.Background()) })
	rdb := w.redis.Client(t)
	if w.past, err = prices.New(prices.Config{}, w.db.Service(auth.ServiceFeed), w.db.Sealer(), rdb, quiet, prometheus.NewRegistry()); err != nil {
		t.Fatal(err)
	}
	w.book = w.past.Book
	w.server = w.serve(Config{Frame: 20 * time.Millisecond, Linger: time.Minute})
	return w
}

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// serve runs one more server on the same database, Redis and market.
func (w *world) serve(cfg Config) *Service {
	s := New(cfg, w.db, w.book, w.past, w.redis.Client(w.t), quiet, prometheus.NewRegistry())
	w.run(s)
	return s
}

func (w *world) run(s *Service) {
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Run(ctx); err != nil && !errors.Is(err, redis.ErrClosed) {
			w.t.Error(err)
		}
	})
	w.t.Cleanup(func() { stop(); wg.Wait() })
}

// listening waits until n servers hear a channel.
func (w *world) listening(t testing.TB, channel string, n int64) {
	t.Helper()
	rdb := w.redis.Client(t)
	eventually(t, "a subscription to "+channel, func() bool {
		count, err := rdb.PubSubNumSub(context.Background(), channel).Result()
		return err == nil && count[channel] >= n
	})
}

// user adds one.
func (w *world) user(email string) auth.Principal {
	w.t.Helper()
	id := uuid.Must(uuid.NewV7()).String()
	w.exec(`INSERT INTO app.users (id, email, display_name, role, status, base_currency) VALUES ($1, $2, '', 'user', 'active', 'USD')`, id, email)
	w.exec(`INSERT INTO app.credentials (user_id, email_key) VALUES ($1, lower($2))`, id, email)
	return auth.Principal{User: auth.UserID(id), Role: auth.RoleUser}
}

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	if _, err := w.owner.Exec(context.Background(), sql, args...); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) define(symbol, currency string) {
	w.book.Define(prices.Instrument{Symbol: prices.Symbol(symbol), Name: symbol + " Inc.", Kind: prices.KindCrypto, Currency: currency, Multiplier: decimal.NewFromInt(1)})
}

func (w *world) tick(symbol, price string) {
	w.t.Helper()
	at := time.Now()
	if q, ok := w.book.Quote(prices.Symbol(symbol)); ok && !at.Truncate(time.Millisecond).After(q.At) {
		at = q.At.Add(time.Millisecond)
	}
	if w.book.Apply([]prices.Tick{{Symbol: prices.Symbol(symbol), Price: decimal.RequireFromString(price), At: at, Source: "test"}}) != 1 {
		w.t.Fatalf("the book refused %s at %s", symbol, price)
	}
}

// closed writes daily closes, the newest for today.
func (w *world) closed(symbol string, closes ...string) {
	w.t.Helper()
	today := time.Now().UTC().Truncate(24 * time.Hour)
	for i, c := range closes {
		w.exec(`INSERT INTO app.closes (symbol, date, close) VALUES ($1, $2, $3::text::numeric) ON CONFLICT (symbol, date) DO UPDATE SET close = excluded.close`,
			symbol, today.AddDate(0, 0, i-len(closes)+1), c)
	}
}

// call runs an operation as a client would: params in JSON, the answer out of JSON.
func (w *world) call(p auth.Principal, name, params string) (map[string]any, error) {
	return w.callAt(w.server, context.Background(), p, name, params)
}

func (w *world) callAt(s *Service, ctx context.Context, p auth.Principal, name, params string) (map[string]any, error) {
	w.t.Helper()
	all := s.Operations()
	i := slices.IndexFunc(all, func(o api.Operation[auth.Principal]) bool { return o.Name == name })
	if i < 0 {
		w.t.Fatalf("no operation %s", name)
	}
	out, err := all[i].Call(ctx, p, json.RawMessage(params))
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(out)
	if err != nil {
		w.t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		w.t.Fatal(err)
	}
	return m, nil
}

func (w *world) must(p auth.Principal, name, params string) map[string]any {
	w.t.Helper()
	out, err := w.call(p, name, params)
	if err != nil {
		w.t.Fatalf("%s %s: %v", name, params, err)
	}
	return out
}

func (w *world) portfolio(p auth.Principal, more string) string {
	w.t.Helper()
	return w.must(p, "portfolio.create", `{"name":"P"`+more+`}`)["id"].(string)
}

// add enters "buy 10 ACME @ 10" with further JSON fields.
func (w *world) add(p auth.Principal, portfolio, row, more string) map[string]any {
	w.t.Helper()
	f := strings.Fields(row)
	return w.must(p, "transaction.add", `{"portfolio":"`+portfolio+`","type":"`+f[0]+`","quantity":"`+f[1]+`","symbol":"`+f[2]+`","price":"`+f[4]+`"`+more+`}`)
}

// refused holds the code and field of an error.
func refused(t testing.TB, err error, code, field string) {
	t.Helper()
	p := api.ProblemOf(err)
	if err == nil || p.Code != code || p.Field != field {
		t.Errorf("%v, want code %s of field %q", err, code, field)
	}
}

// viewer keeps what it is told.
type viewer struct {
	mu    sync.Mutex
	news  []string
	snap  Snapshot
	last  Change
	value Valuation
	gone  error
	wake  chan struct{}
}

func newViewer() *viewer { return &viewer{wake: make(chan struct{}, 1)} }

func (v *viewer) note(what string, set func()) {
	v.mu.Lock()
	v.news = append(v.news, what)
	set()
	v.mu.Unlock()
	select {
	case v.wake <- struct{}{}:
	default:
	}
}

func (v *viewer) Snapshot(s Snapshot)   { v.note("snapshot", func() { v.snap = s }) }
func (v *viewer) Change(c Change)       { v.note("change", func() { v.last = c }) }
func (v *viewer) Valuation(x Valuation) { v.note("valuation", func() { v.value = x }) }
func (v *viewer) Gone(err error)        { v.note("gone", func() { v.gone = err }) }

// until waits for a condition on what was told.
func (v *viewer) until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		v.mu.Lock()
		done := ok()
		news := slices.Clone(v.news)
		v.mu.Unlock()
		if done {
			return
		}
		select {
		case <-v.wake:
		case <-deadline:
			t.Fatalf("%s never came; told: %v", what, news)
		}
	}
}

func (w *world) watch(s *Service, p auth.Principal, id string, since int64) (*viewer, *Watching) {
	w.t.Helper()
	v := newViewer()
	watching, _, err := s.Watch(context.Background(), p, ID(id), since, v)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(watching.Stop)
	return v, watching
}

func closeOf(symbol string, day time.Time, price string) prices.Close {
	return prices.Close{Symbol: prices.Symbol(symbol), Date: day, Close: decimal.RequireFromString(price)}
}

func newServer(t testing.TB, h http.Handler) string {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}
