package prices_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rosetree/internal/devstack"
	"rosetree/prices"
)

// archive is a local exchange that answers the past as its documentation says. Its first answer is 429.
type archive struct {
	*httptest.Server
	long  time.Duration
	level atomic.Int64 // of all its prices
	asked atomic.Int64
}

// row is one candle's start and level in the exchange's form.
type row func(start time.Time, level int64) string

func newArchive(t testing.TB, path string, long time.Duration, asks func(url.Values) (from, to time.Time), newestFirst bool, one row, frame string, malformed string) *archive {
	a := &archive{long: long}
	a.level.Store(100)
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path {
			http.Error(w, `{"error":"INVALID_ARGUMENT"}`, http.StatusNotFound)
			return
		}
		if a.asked.Add(1) == 1 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		from, to := asks(r.URL.Query())
		var rows []string
		for at := from.Truncate(long); at.Before(to); at = at.Add(long) {
			if !at.Before(from) {
				rows = append(rows, one(at, a.level.Load()))
			}
		}
		if newestFirst {
			slices.Reverse(rows)
		}
		_, _ = fmt.Fprintf(w, frame, strings.Join(append(rows, malformed), ","))
	}))
	t.Cleanup(a.Close)
	return a
}

func unix(text string, unit time.Duration) time.Time {
	n, _ := strconv.ParseInt(text, 10, 64)
	return time.UnixMilli(n * unit.Milliseconds())
}

// archives speak the protocols of the exchanges for the days of one pair.
func archives(t testing.TB, long time.Duration) map[string]*archive {
	return map[string]*archive{
		"coinbase": newArchive(t, "/api/v3/brokerage/market/products/BTC-USD/candles", long, func(q url.Values) (time.Time, time.Time) {
			if (unix(q.Get("end"), time.Second).Sub(unix(q.Get("start"), time.Second))) > 350*long || q.Get("granularity") != "ONE_DAY" {
				t.Errorf("coinbase refuses %v", q)
			}
			return unix(q.Get("start"), time.Second), unix(q.Get("end"), time.Second).Add(time.Second)
		}, true, func(start time.Time, level int64) string {
			return fmt.Sprintf(`{"start":"%d","low":"%d.1","high":"%d.5","open":"%[2]d.2","close":"%[2]d.25","volume":"355.8"}`, start.Unix(), level, level)
		}, `{"candles":[%s]}`, `{"start":"soon","low":"1"}`),
		"kraken": newArchive(t, "/0/public/OHLC", long, func(q url.Values) (time.Time, time.Time) {
			if q.Get("pair") != "XBTUSD" || q.Get("interval") != "1440" {
				t.Errorf("kraken refuses %v", q)
			}
			return unix(q.Get("since"), time.Second).Add(time.Second), time.Now() // the one under way included
		}, false, func(start time.Time, level int64) string {
			return fmt.Sprintf(`[%d,"%d.2","%[2]d.5","%[2]d.1","%[2]d.25","100.2","3.39",23]`, start.Unix(), level)
		}, `{"error":[],"result":{"XXBTZUSD":[%s],"last":1688672160}}`, `[1688672160]`),
		"binance": newArchive(t, "/api/v3/klines", long, func(q url.Values) (time.Time, time.Time) {
			if q.Get("symbol") != "BTCUSDT" || q.Get("interval") != "1d" {
				t.Errorf("binance refuses %v", q)
			}
			return unix(q.Get("startTime"), time.Millisecond), unix(q.Get("endTime"), time.Millisecond).Add(time.Millisecond)
		}, false, func(start time.Time, level int64) string {
			return fmt.Sprintf(`[%d,"%d.20","%[2]d.50","%[2]d.10","%[2]d.25","148976.1",%d,"2434.1",308,"1756.8","28.4","0"]`, start.UnixMilli(), level, start.Add(long).UnixMilli()-1)
		}, `[%s]`, `["never","1","1","1","1"]`),
	}
}

func TestExchangesFillInThePastPatientlyAndNothingTwice(t *testing.T) {
	const day = 24 * time.Hour
	today := time.Now().UTC().Truncate(day)
	request := prices.PastRequest{Interval: "1d", From: today.AddDate(0, 0, -400), To: time.Now()}
	for name, a := range archives(t, day) {
		t.Run(name, func(t *testing.T) {
			db, r := feedRows(t), devstack.Test(t).Redis(t)
			other := startNode(t, r, db, "sim?symbols=SOL-USD")
			symbol := prices.Symbol("BTC-USD")
			s := newServiceOn(t, name+"?history="+a.URL, db, r.Client(t))
			if name == "binance" {
				symbol = "BTC-USDT"
				var i prices.Instrument
				ask(t, serve(t, s), "PUT", "/api/instruments/BTC-USDT", `{"currency":"USD","kind":"crypto"}`, &i)
			}
			past := func(change func(*prices.PastRequest)) (got prices.PastResult) {
				t.Helper()
				r := request
				r.Symbols = []string{string(symbol)}
				change(&r)
				if err := s.Backfill(t.Context(), r, func(r prices.PastResult) { got = r }); err != nil {
					t.Fatal(err)
				}
				return got
			}
			candles := func() []prices.Candle {
				var out struct{ Candles []prices.Candle }
				ask(t, serve(t, s), "GET", "/api/prices/"+string(symbol)+"/candles?from="+request.From.Format(time.DateOnly), "", &out)
				return out.Candles
			}
			first := past(func(*prices.PastRequest) {})
			if first.Found != 400 || first.Written != 400 || first.Skipped == 0 {
				t.Fatalf("%+v: the day under way is none, what cannot be read is counted", first)
			}
			list := candles()
			if c := list[0]; len(list) != 400 || c.Time != request.From.UnixMilli() || c.Open.String() != "100.2" || c.High.String() != "100.5" || c.Low.String() != "100.1" || c.Close.String() != "100.25" {
				t.Fatalf("%d candles, the first %+v", len(list), c)
			}
			until(t, "a server that runs refers to the close before", func() bool {
				q, ok := other.Book.Quote(symbol)
				return ok && q.Price.String() == "100.25" && q.Previous.Decimal.String() == "100.25"
			})
			a.level.Store(200)
			if again := past(func(*prices.PastRequest) {}); again.Written != 0 || candles()[0].Close.String() != "100.25" {
				t.Errorf("%+v: what is there gave way", again)
			}
			last := past(func(r *prices.PastRequest) { r.Replace, r.From = true, today.AddDate(0, 0, -1) })
			if list = candles(); last.Written != 1 || list[399].Open.String() != "200.2" || list[399].Close.String() != "200.25" || list[398].Close.String() != "100.25" {
				t.Errorf("%+v, %+v", last, list[398:])
			}
		})
	}
}

func TestABackfillThatCannotBeIsRefusedWithWhatIsWrong(t *testing.T) {
	db, r := feedRows(t), devstack.Test(t).Redis(t)
	file := filepath.Join(t.TempDir(), "acme.csv")
	if err := os.WriteFile(file, []byte("date,open,high,low,close\n2026-01-05,1,2,1,1.12345\n2026-01-06,1.1,2,1,1.5\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	whole := prices.PastRequest{Interval: "1d", From: now.AddDate(-1, 0, 0), To: now}
	with := func(change func(*prices.PastRequest)) prices.PastRequest { r := whole; change(&r); return r }
	nothing := httptest.NewServer(http.NotFoundHandler())
	defer nothing.Close()
	for _, c := range []struct {
		feeds string
		r     prices.PastRequest
		want  string
	}{
		{"sim", whole, "coinbase, kraken or binance"},
		{"coinbase,kraken", whole, "one exchange"},
		{"coinbase", with(func(r *prices.PastRequest) { r.Symbols = []string{"AAPL"} }), "AAPL"},
		{"coinbase", with(func(r *prices.PastRequest) { r.Symbols = []string{"NO PE"} }), "a symbol has only"},
		{"coinbase", with(func(r *prices.PastRequest) { r.Interval = "7m" }), "7m"},
		{"coinbase", with(func(r *prices.PastRequest) { r.Interval = "1m" }), "kept for 7 days"},
		{"coinbase", with(func(r *prices.PastRequest) { r.From = r.To }), "not before"},
		{"coinbase?history=" + nothing.URL, whole, "404"},
	} {
		err := newServiceOn(t, c.feeds, db, r.Client(t)).Backfill(t.Context(), c.r, func(prices.PastResult) {})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %+v: %v", c.feeds, c.r, err)
		}
	}
	s := newServiceOn(t, "sim?symbols=SOL-USD", db, r.Client(t))
	fromFile := func(symbol string) (got []prices.PastResult, err error) {
		err = s.BackfillFile(t.Context(), file, symbol, whole, func(r prices.PastResult) { got = append(got, r) })
		return got, err
	}
	for symbol, want := range map[string]string{"": "symbol", "ACME": "define it first"} {
		if _, err := fromFile(symbol); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", symbol, err)
		}
	}
	for want, wrong := range map[string]prices.PastRequest{
		"is not before":   with(func(r *prices.PastRequest) { r.To = r.From.AddDate(0, 0, -1) }),
		"is not possible": with(func(r *prices.PastRequest) { r.Interval = "1h" }),
	} {
		if err := s.BackfillFile(t.Context(), file, "ACME", wrong, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", wrong, err)
		}
	}
	var i prices.Instrument
	ask(t, serve(t, s), "PUT", "/api/instruments/ACME", `{"currency":"USD"}`, &i)
	for _, written := range []int{2, 0} {
		if got, err := fromFile("acme"); err != nil || len(got) != 1 || got[0].Found != 2 || got[0].Written != written {
			t.Errorf("%+v, %v", got, err)
		}
	}
	closes, err := s.Closes(t.Context(), "ACME", whole.From, now)
	if err != nil || len(closes) != 2 || closes[0].Close.String() != "1.12345" {
		t.Errorf("a file's digits: %+v, %v", closes, err)
	}
}
