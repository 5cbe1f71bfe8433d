package prices_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"rosetree/internal/api"
	"rosetree/prices"
)

func candlesOf(t testing.TB, s *prices.Service, query string) []prices.Candle {
	t.Helper()
	var out struct{ Candles []prices.Candle }
	if status := ask(t, serve(t, s), "GET", "/api/prices/BTC-USD/candles?"+query, "", &out); status != 200 {
		t.Fatalf("%s: %d", query, status)
	}
	return out.Candles
}

func TestCandlesAreThereWhileTheyFormAndAfterTheyAreWritten(t *testing.T) {
	db := feedRows(t)
	s := newService(t, "sim?rate=50&symbols=BTC-USD", db)
	stop := inBackground(t, s)
	for _, interval := range []string{"1m", "5m", "1h", "1d"} {
		until(t, interval, func() bool {
			list := candlesOf(t, s, "interval="+interval)
			if len(list) == 0 {
				return false
			}
			last := list[len(list)-1]
			return last.Open != nil && !last.High.LessThan(last.Close) && !last.Low.GreaterThan(*last.Open) && time.Since(time.UnixMilli(last.Time)) < 24*time.Hour
		})
	}
	until(t, "history is written", func() bool { return len(candlesOf(t, s, "interval=1d")) >= 300 })
	stop()
	if days := candlesOf(t, s, "interval=1d"); len(days) < 300 || days[0].Open != nil {
		t.Errorf("%d days, the first %+v: history has closes alone", len(days), days[0])
	}
}

func TestOldCandlesAreRemovedAndTheOthersStay(t *testing.T) {
	db := feedRows(t)
	b := &pgx.Batch{}
	b.Queue(`INSERT INTO app.candles (symbol, span, start, open, high, low, close)
	         SELECT 'BTC-USD', span, date_trunc('day', now() - age * interval '1 day'), 1, 2, 1, 2 FROM unnest('{1m,5m,1h,1d}'::text[]) span, generate_series(0, 400, 4) age`)
	if err := db.Do(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	s := newService(t, "sim?symbols=BTC-USD", db)
	stop := inBackground(t, s)
	left := func() string {
		var text string
		b := &pgx.Batch{}
		b.Queue(`SELECT string_agg(span || ' ' || n, ' ' ORDER BY span) FROM (SELECT span, count(*) n FROM app.candles WHERE high = 2 GROUP BY span) x`).
			QueryRow(func(row pgx.Row) error { return row.Scan(&text) })
		if err := db.Do(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		return text
	}
	until(t, "what is too old is gone", func() bool { return left() == "1d 101 1h 92 1m 2 5m 8" })
	stop()
}

// BenchmarkCandlesOfAYear is "a year of days from a warm server".
func BenchmarkCandlesOfAYear(b *testing.B) {
	s := newService(b, "sim?symbols=BTC-USD", feedRows(b))
	if err := s.Seed(b.Context()); err != nil {
		b.Fatal(err)
	}
	all := s.Operations()
	op := all[slices.IndexFunc(all, func(o api.Operation[struct{}]) bool { return o.Name == "price.candles" })]
	for b.Loop() {
		out, err := op.Call(b.Context(), struct{}{}, []byte(`{"symbol":"BTC-USD","interval":"1d"}`))
		if err != nil {
			b.Fatal(err)
		}
		_ = fmt.Sprint(out != nil)
	}
}
