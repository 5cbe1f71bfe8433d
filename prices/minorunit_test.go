package prices_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"rosetree/prices"
)

func TestWhatIsQuotedInPenceIsKeptInPounds(t *testing.T) {
	s := newService(t, "sim?symbols=SOL-USD", feedRows(t))
	server := serve(t, s)
	var i prices.Instrument
	for _, c := range []struct{ symbol, body, currency, factor string }{
		{"BARC.L", `{"currency":"GBX","name":"Barclays","isin":"GB0031348658"}`, "GBP", "0.01"},
		{"RIO.L", `{"currency":"GBp","minor_unit_factor":"0.01"}`, "GBP", "0.01"},
		{"NPN.J", `{"currency":"ZAc"}`, "ZAR", "0.01"},
		{"TEVA.TA", `{"currency":"ILA"}`, "ILS", "0.01"},
		{"ODD", `{"currency":"EUR","minor_unit_factor":"0.001"}`, "EUR", "0.001"},
		{"PLAIN", `{"currency":"EUR"}`, "EUR", "1"},
	} {
		if status := ask(t, server, "PUT", "/api/instruments/"+c.symbol, c.body, &i); status != 200 || i.Currency != c.currency || i.MinorUnit.String() != c.factor {
			t.Errorf("%s: %d %+v", c.symbol, status, i)
		}
	}
	var p struct{ Field string }
	for body, field := range map[string]string{`{"currency":"GBX","minor_unit_factor":"0.1"}`: "minor_unit_factor", `{"currency":"GBP","minor_unit_factor":"100"}`: "minor_unit_factor",
		`{"currency":"GBPence"}`: "currency"} {
		if ask(t, server, "PUT", "/api/instruments/X", body, &p); p.Field != field {
			t.Errorf("%s: %q", body, p.Field)
		}
	}
	var posted struct{ Accepted int }
	ask(t, server, "POST", "/api/prices", `{"updates":[{"s":"BARC.L","p":"432.15"}]}`, &posted)
	if q, _ := s.Book.Quote("BARC.L"); q.Price.String() != "4.3215" {
		t.Errorf("432.15 pence are %s pounds", q.Price)
	}
	var written struct{ Closes int }
	yesterday := time.Now().UTC().AddDate(0, 0, -1)
	ask(t, server, "PUT", "/api/prices/BARC.L/history", `{"closes":[{"date":"`+yesterday.Format(time.DateOnly)+`","close":"430"}]}`, &written)
	if closes, err := s.Closes(t.Context(), "BARC.L", yesterday.AddDate(0, 0, -1), yesterday); err != nil || len(closes) != 1 || closes[0].Close.String() != "4.3" {
		t.Errorf("%v %v", closes, err)
	}
	if err := s.Seed(t.Context()); err != nil { // as after a restart
		t.Fatal(err)
	}
	if i, _ := s.Book.Instrument("BARC.L"); i.ISIN != "GB0031348658" || i.MinorUnit.String() != "0.01" {
		t.Errorf("from the database: %+v", i)
	}
}

func TestASplitMovesThresholdsAndCandlesOfBeforeIt(t *testing.T) {
	p := newPeople(t)
	s, e := p.alone(t)
	ana := p.join(t)
	server := serve(t, s)
	day := func(back int) string { return time.Now().UTC().AddDate(0, 0, -back).Format(time.DateOnly) }
	var i prices.Instrument
	ask(t, server, "PUT", "/api/instruments/ACME", `{"currency":"USD","kind":"crypto"}`, &i)
	var n struct{ Closes int }
	ask(t, server, "PUT", "/api/prices/ACME/history", `{"closes":[{"date":"`+day(6)+`","close":"80"},{"date":"`+day(2)+`","close":"45"}]}`, &n)
	b := &pgx.Batch{}
	b.Queue(`INSERT INTO app.candles (symbol, span, start, open, high, low, close) SELECT 'ACME', span, $1::date, 78, 84, 76, 80 FROM unnest('{1d,1h}'::text[]) span`, day(6))
	if err := p.feed.Do(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	a := do[prices.Alert](t, s, ana, "alert.add", map[string]any{"symbol": "ACME", "kind": "above", "threshold": "100"})
	b = &pgx.Batch{}
	b.Queue(`UPDATE app.alerts SET shares_at = $1::date`, day(5)) // as if it had been set before the split
	if err := ana.Rows.Do(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	ask(t, server, "PUT", "/api/instruments/ACME", `{"currency":"USD","kind":"crypto","splits":[{"ex_date":"`+day(4)+`","ratio":"2:1"}]}`, &i)
	if got := do[alertList](t, s, ana, "alert.list", nil).Alerts[0].Threshold.String(); got != "50" {
		t.Errorf("the threshold of 100 is %s after 2:1", got)
	}
	until(t, "the moved threshold is in memory", func() bool { trade(t, s, "ACME", "49.9"); return s.WatchedLevel("ACME", a.ID) == "50" })
	if len(e.firings(ana.ID)) != 0 {
		t.Error("it fired below the moved threshold")
	}
	until(t, "it fires at the moved threshold", func() bool { trade(t, s, "ACME", "50"); return len(e.firings(ana.ID)) == 1 })
	if f := e.firings(ana.ID)[0]; f.Threshold.String() != "50" {
		t.Errorf("told %+v", f)
	}
	for interval, at := range map[string]int{"1d": 0, "1h": 0} {
		var out struct{ Candles []prices.Candle }
		ask(t, server, "GET", "/api/prices/ACME/candles?interval="+interval+"&from="+day(7), "", &out)
		if len(out.Candles) == 0 {
			t.Fatalf("%s: none", interval)
		}
		if c := out.Candles[at]; c.Open.String() != "39" || c.High.String() != "42" || c.Low.String() != "38" || c.Close.String() != "40" {
			t.Errorf("%s before the split: %s %s %s %s", interval, c.Open, c.High, c.Low, c.Close)
		}
		if interval == "1d" && out.Candles[1].Close.String() != "45" {
			t.Errorf("after the split: %s", out.Candles[1].Close)
		}
	}
}

// The points of the day that are not written yet, and the same ones once they are.
func TestASplitMovesTheOpenIntradayPoints(t *testing.T) {
	db := feedRows(t)
	s := newService(t, "sim?symbols=SOL-USD", db)
	server := serve(t, s)
	var i prices.Instrument
	const acme = `{"currency":"USD","kind":"crypto"%s}`
	ask(t, server, "PUT", "/api/instruments/ACME", fmt.Sprintf(acme, ""), &i)
	today := time.Now().UTC().Truncate(24 * time.Hour)
	defer s.Book.Listen(s.Tape())()
	for k, cost := range []string{"80", "84", "78"} {
		if s.Book.Apply([]prices.Tick{{Symbol: "ACME", Price: decimalOf(cost), At: today.Add(time.Duration(k-60) * time.Second), Source: "sim"}}) != 1 {
			t.Fatal("a tick was refused")
		}
	}
	points := func(n int, what string) {
		t.Helper()
		for _, interval := range []string{"1m", "5m", "1h", "1d"} {
			var out struct{ Candles []prices.Candle }
			ask(t, server, "GET", "/api/prices/ACME/candles?interval="+interval+"&from="+today.AddDate(0, 0, -1).Format(time.DateOnly), "", &out)
			if len(out.Candles) != 1 {
				t.Fatalf("%s %s: %+v", what, interval, out)
			}
			c := out.Candles[0]
			if got, want := fmt.Sprint(c.Open, c.High, c.Low, c.Close), fmt.Sprint(80/n, 84/n, 78/n, 78/n); got != want {
				t.Errorf("%s %s: %s, not %s", what, interval, got, want)
			}
		}
	}
	points(1, "before the split")
	ask(t, server, "PUT", "/api/instruments/ACME", fmt.Sprintf(acme, `,"splits":[{"ex_date":"`+today.Format(time.DateOnly)+`","ratio":"2:1"}]`), &i)
	points(2, "after it, not written yet")
	inBackground(t, s)
	until(t, "they are written", func() bool { return s.Unwritten("ACME") == 0 })
	until(t, "and stored", func() bool {
		stored := false
		b := &pgx.Batch{}
		b.Queue(`SELECT count(*) = 4 FROM app.candles WHERE symbol = 'ACME'`).QueryRow(func(row pgx.Row) error { return row.Scan(&stored) })
		return db.Do(t.Context(), b) == nil && stored
	})
	points(2, "after it, from the database")
}
