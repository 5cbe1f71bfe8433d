package prices_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/shopspring/decimal"

	"rosetree/auth"
	"rosetree/internal/devstack"
	"rosetree/migrations"
	"rosetree/prices"
)

func migrate(ctx context.Context, ownerURL, runtimeURL string) error {
	secret, err := auth.SecretKey{}.Or(runtimeURL)
	if err != nil {
		return err
	}
	return migrations.Up(ctx, ownerURL, migrations.Options{ContextKeys: secret.ContextKeys(), RuntimeURL: runtimeURL})
}

// feedRows is a migrated database of the test's own, as the service that writes prices sees it.
func feedRows(t testing.TB) prices.DB {
	t.Helper()
	d := devstack.Test(t).Database(t, migrate)
	db, err := auth.OpenDB(t.Context(), auth.DBConfig{URL: auth.Secret(d.URL)}, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db.Service(auth.ServiceFeed)
}

func newService(t testing.TB, feeds string, db prices.DB) *prices.Service {
	t.Helper()
	return newServiceOn(t, feeds, db, nil)
}

func newServiceOn(t testing.TB, feeds string, db prices.DB, rdb redis.UniversalClient) *prices.Service {
	t.Helper()
	var cfg prices.Config
	if err := cfg.Feeds.UnmarshalText([]byte(feeds)); err != nil {
		t.Fatal(err)
	}
	secret, err := auth.SecretKey{}.Or("user=test password=of-the-tests")
	if err != nil {
		t.Fatal(err)
	}
	s, err := prices.New(cfg, db, secret.Sealer(), rdb, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// inBackground runs s until the test ends, or stop is called.
func inBackground(t testing.TB, s *prices.Service) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Run(ctx) }()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

// serve offers all operations over HTTP, to anybody.
func serve(t testing.TB, s *prices.Service) *httptest.Server {
	mux := http.NewServeMux()
	for _, op := range append(s.Operations(), s.FeedOperations()...) {
		mux.Handle(op.Method+" "+op.Path, op.Handler(func(*http.Request) (struct{}, error) { return struct{}{}, nil }))
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

// ask sends body to path and reads the answer; it returns the status.
func ask(t testing.TB, server *httptest.Server, method, path, body string, answer any) int {
	t.Helper()
	r, _ := http.NewRequestWithContext(t.Context(), method, server.URL+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	res, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(answer); err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return res.StatusCode
}

func TestSeedingTwiceIsSeedingOnceAndFillsAFewYearsUntilYesterday(t *testing.T) {
	db := feedRows(t)
	s := newService(t, "replay:market,sim", db)
	yesterday := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -1)
	var first []prices.Close
	for range 2 {
		if err := s.Seed(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, symbol := range []prices.Symbol{"AAPL", "SPX", "BTC-USD", "EUR-USD"} {
			closes, err := s.Closes(t.Context(), symbol, yesterday.AddDate(-5, 0, 0), yesterday)
			if err != nil || len(closes) < 1200 {
				t.Fatalf("%s: %d closes, %v", symbol, len(closes), err)
			}
			if last := closes[len(closes)-1].Date; yesterday.Sub(last) > 5*24*time.Hour {
				t.Errorf("%s ends %s", symbol, last)
			}
			if symbol != "AAPL" {
				continue
			}
			if first != nil && len(first) != len(closes) {
				t.Errorf("the second seeding made %d of %d closes", len(closes), len(first))
			}
			first = closes
		}
	}
	if q, ok := s.Book.Quote("AAPL"); !ok || !q.Previous.Valid {
		t.Errorf("after seeding: %+v", q)
	}
}

func TestPricesMoveAndTheLivePathContinuesTheHistory(t *testing.T) {
	db := feedRows(t)
	s := newService(t, "replay:market,sim?rate=5", db)
	if err := s.Seed(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	if err := s.Run(ctx); err != nil {
		t.Fatal(err)
	}
	for _, i := range s.Book.Instruments() {
		q, ok := s.Book.Quote(i.Symbol)
		if !ok || time.Since(q.At) > 5*time.Second || !q.Previous.Valid {
			t.Errorf("%s: %+v", i.Symbol, q)
			continue
		}
		if ratio := q.Price.Div(q.Previous.Decimal).InexactFloat64(); ratio < 0.7 || ratio > 1.4 {
			t.Errorf("%s jumps from %s to %s", i.Symbol, q.Previous.Decimal, q.Price)
		}
	}
}

func TestAFeedDefinesAnInstrumentPostsPricesAndHistory(t *testing.T) {
	s := newService(t, "sim", feedRows(t))
	server := serve(t, s)
	var instrument prices.Instrument
	body := `{"name":"Acme","kind":"equity","currency":"EUR","multiplier":"1","price_adjusted":false,"splits":[{"ex_date":"2024-06-10","ratio":"2:1"}]}`
	if status := ask(t, server, "PUT", "/api/instruments/acme", body, &instrument); status != 200 || instrument.Symbol != "ACME" || len(instrument.Splits) != 1 {
		t.Fatalf("%d %+v", status, instrument)
	}
	var posted struct {
		Accepted int
		Rejected []struct {
			Index int
			Code  string
		}
	}
	at := time.Now().UnixMilli()
	body = `{"updates":[{"s":"ACME","p":"12.50","t":` + decimal.NewFromInt(at).String() + `},{"s":"ACME","p":"0"},{"s":"ACME","p":"NaN"},{"s":"ACME","p":"` +
		strings.Repeat("1", 60) + `"},{"s":"NOPE","p":"1"},{"s":"ACME","p":"13","t":` + decimal.NewFromInt(at+365*86400000).String() + `}]}`
	if status := ask(t, server, "POST", "/api/prices", body, &posted); status != 200 || posted.Accepted != 1 {
		t.Fatalf("%d %+v", status, posted)
	}
	var codes []string
	for _, r := range posted.Rejected {
		codes = append(codes, r.Code)
	}
	if got := strings.Join(codes, " "); got != "not_positive not_number too_many_digits unknown_symbol in_future" {
		t.Errorf("rejected: %s", got)
	}
	yesterday := time.Now().UTC().AddDate(0, 0, -4)
	var written struct{ Closes int }
	if status := ask(t, server, "PUT", "/api/prices/ACME/history", `{"closes":[{"date":"`+yesterday.Format(time.DateOnly)+`","close":"12.00"}]}`, &written); status != 200 || written.Closes != 1 {
		t.Fatalf("%d %+v", status, written)
	}
	if q, _ := s.Book.Quote("ACME"); q.Price.String() != "12.5" || !q.Previous.Valid || q.Previous.Decimal.String() != "12" {
		t.Errorf("quote %+v", q)
	}
	var candles struct{ Candles []prices.Candle }
	if status := ask(t, server, "GET", "/api/prices/ACME/candles?interval=1d", "", &candles); status != 200 || len(candles.Candles) != 1 || candles.Candles[0].Close.String() != "12" {
		t.Errorf("%d %+v", status, candles)
	}
	var last struct {
		Prices   []prices.LastPrice
		Rejected []prices.Rejected
	}
	if status := ask(t, server, "GET", "/api/prices?symbols=ACME,NOPE,BTC-USD", "", &last); status != 200 || len(last.Prices) != 2 || len(last.Rejected) != 1 || last.Prices[0].Price.String() != "12.5" {
		t.Errorf("%d %+v", status, last)
	}
}

func TestWrongInputIsAProblemThatNamesTheField(t *testing.T) {
	server := serve(t, newService(t, "sim", feedRows(t)))
	for _, c := range []struct {
		method, path, body, code, field string
		status                          int
	}{
		{"PUT", "/api/instruments/AC%20ME", `{"currency":"USD"}`, "invalid", "symbol", 422},
		{"PUT", "/api/instruments/ACME", `{"currency":"usd"}`, "invalid", "currency", 422},
		{"PUT", "/api/instruments/ACME", `{"currency":"USD","kind":"pony"}`, "invalid", "kind", 422},
		{"PUT", "/api/instruments/ACME", `{"currency":"USD","multiplier":"-1"}`, "invalid", "multiplier", 422},
		{"PUT", "/api/instruments/ACME", `{"currency":"USD","splits":[{"ex_date":"2024-01-01","ratio":"0:1"}]}`, "bad_request", "", 400},
		{"PUT", "/api/instruments/ACME", `{"currency":"USD","nmae":"x"}`, "bad_request", "nmae", 400},
		{"PUT", "/api/prices/NOPE/history", `{"closes":[{"date":"2024-01-01","close":"1"}]}`, "unknown_symbol", "symbol", 404},
		{"PUT", "/api/prices/AAPL/history", `{"closes":[{"date":"2024-13-01","close":"1"}]}`, "invalid", "closes.date", 422},
		{"PUT", "/api/prices/AAPL/history", `{"closes":[{"date":"2224-01-01","close":"1"}]}`, "invalid", "closes.date", 422},
		{"PUT", "/api/prices/AAPL/history", `{"closes":[{"date":"2024-01-01","close":"1e3"}]}`, "invalid", "closes.close", 422},
		{"POST", "/api/prices", `{"updates":[]}`, "invalid", "updates", 422},
		{"POST", "/api/prices", `{"updates":[{"s":"AAPL","p":1.5}]}`, "bad_request", "updates.p", 400},
		{"GET", "/api/prices", ``, "invalid", "symbols", 422},
		{"GET", "/api/prices/AAPL/candles?interval=7m", ``, "invalid", "interval", 422},
		{"GET", "/api/prices/AAPL/candles?from=yesterday", ``, "invalid", "from", 422},
		{"GET", "/api/prices/NOPE/candles", ``, "unknown_symbol", "symbol", 404},
	} {
		var p struct{ Code, Field string }
		if status := ask(t, server, c.method, c.path, c.body, &p); status != c.status || p.Code != c.code || p.Field != c.field {
			t.Errorf("%s %s %s: %d %+v", c.method, c.path, c.body, status, p)
		}
	}
}
