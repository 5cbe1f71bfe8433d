package portfolio

import (
	"context"
	"fmt"
	"testing"
	"time"

	"rosetree/auth"
)

// candle writes the close of five minutes.
func (w *world) candle(symbol string, start time.Time, price string) {
	w.t.Helper()
	for _, span := range []string{"1m", "5m"} {
		w.exec(`INSERT INTO app.candles (symbol, span, start, open, high, low, close) VALUES ($1, $2, $3, $4::text::numeric, $4::text::numeric, $4::text::numeric, $4::text::numeric)`, symbol, span, start, price)
	}
}

// dayOf is the intraday curve as somebody sees it who looks at a time of today.
func (w *world) dayOf(p auth.Principal, id string, at time.Time, points int, q rangeQuery) *pastOf {
	w.t.Helper()
	past, err := w.server.pastOf(context.Background(), p, ID(id), q)
	if err != nil {
		w.t.Fatal(err)
	}
	past.view.at = at
	if err := w.server.intraday(context.Background(), past, points); err != nil {
		w.t.Fatal(err)
	}
	return past
}

func TestTheDaysCurveGoesByCandlesAndEndsNow(t *testing.T) {
	w := newWorld(t)
	ana := w.user("ana@test")
	w.define("ACME", "USD")
	w.define("SAP", "EUR")
	w.define("EUR-USD", "USD")
	w.define("INDEX", "USD")
	w.closed("ACME", "9", "10", "99") // today's close is not known during the day
	w.closed("SAP", "20", "20", "77")
	w.closed("EUR-USD", "1", "1.1", "5")
	w.closed("INDEX", "100", "100", "400")
	midnight := time.Now().UTC().Truncate(oneDay)
	at := func(minutes int) time.Time { return midnight.Add(time.Duration(minutes) * time.Minute) }
	w.candle("ACME", at(5), "11")
	w.candle("ACME", at(20), "12")
	w.candle("SAP", at(10), "21")
	w.candle("EUR-USD", at(15), "1.2")
	w.candle("INDEX", at(10), "110")
	w.tick("ACME", "13")
	w.tick("SAP", "22")
	w.tick("EUR-USD", "1.3")
	id := w.portfolio(ana, "")
	w.add(ana, id, "buy 10 ACME @ 9", `,"executed_at":"`+back(1)+`T12:00:00Z"`)
	w.add(ana, id, "buy 1 SAP @ 20", `,"executed_at":"`+back(1)+`T12:00:00Z"`)
	w.add(ana, id, "buy 5 ACME @ 12", `,"executed_at":"`+at(22).Format(time.RFC3339)+`"`)
	past := w.dayOf(ana, id, at(31), 400, rangeQuery{Range: "1D", Benchmark: "INDEX"})
	var got []string
	for i := range past.value {
		got = append(got, past.end(i).Format("15:04")+" "+string(money(past.value[i], "USD")))
	}
	// 10 ACME and 1 SAP: at the closes, then as candles come; 15 ACME from 00:22; the last is the totals' now.
	want := "[00:00 122.00 00:05 122.00 00:10 132.00 00:15 133.10 00:20 135.20 00:25 205.20 00:30 205.20 00:35 223.60]"
	if fmt.Sprint(got) != want {
		t.Errorf("\n%v, want\n%v", got, want)
	}
	growth, _ := past.growth()
	if g := fmt.Sprintf("%.6f %.6f %.6f", growth[0], growth[4], growth[7]); g != fmt.Sprintf("%.6f %.6f %.6f", 1.0, 135.2/122, 223.6/(122+60)) {
		t.Errorf("growth %s", g)
	}
	bench := past.benchmarks()
	if bench[2] != 100 || bench[3] != 110 || bench[7] != 110 {
		t.Errorf("benchmark %v", bench)
	}
	if n := len(w.dayOf(ana, id, at(31), 1441, rangeQuery{Range: "1D"}).value); n != 33 {
		t.Errorf("%d points by the minute, want 33", n)
	}
	// One holding, in its own scope.
	one := w.dayOf(ana, id, at(31), 400, rangeQuery{Range: "1D", Symbol: "SAP"})
	if a, b := money(one.value[3], "USD"), money(one.value[4], "USD"); a != "23.10" || b != "25.20" {
		t.Errorf("SAP alone %v %v", a, b)
	}
}

func TestOneDayOfHistoryEndsWithTheTotals(t *testing.T) {
	w := newWorld(t)
	ana := w.user("ana@test")
	w.define("ACME", "USD")
	w.closed("ACME", "10", "10")
	w.tick("ACME", "12.34")
	id := w.portfolio(ana, "")
	w.add(ana, id, "buy 10 ACME @ 9", `,"executed_at":"`+back(3)+`"`)
	w.must(ana, "transaction.add", `{"portfolio":"`+id+`","type":"dividend","symbol":"ACME","amount":"5","executed_at":"`+time.Now().UTC().Truncate(oneDay).Format(time.RFC3339)+`"}`)
	out := w.must(ana, "portfolio.history", `{"portfolio":"`+id+`","range":"1d"}`)
	perf := w.must(ana, "portfolio.performance", `{"portfolio":"`+id+`","range":"1D"}`)
	totals := w.must(ana, "portfolio.holdings", `{"portfolio":"`+id+`"}`)["totals"].(map[string]any)
	values, twr := points(out, "value"), points(out, "twr")
	last := len(values) - 1
	if values[0] != perf["start_value"] || values[last] != totals["value"] || twr[last] != perf["twr"] || twr[last] != "0.28400000" {
		t.Errorf("%v … %v, twr %v; performance %v", values[0], values[last], twr[last], perf)
	}
	if wantPoints := int(time.Since(time.Now().UTC().Truncate(oneDay))/(5*time.Minute)) + 2; len(values) < min(wantPoints-1, 288) {
		t.Errorf("%d points, want %d", len(values), wantPoints)
	}
	flow := 0
	for _, f := range points(out, "net_flow") {
		if f == "-5.00" {
			flow++
		} else if f != "0.00" {
			t.Errorf("flow %s", f)
		}
	}
	if flow != 1 {
		t.Errorf("%d flows", flow)
	}
}
