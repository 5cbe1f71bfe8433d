package portfolio

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"rosetree/auth"
)

// BenchmarkALongHistory is 20,000 transactions in 60 symbols over 8 years on a real database: the first screen (holdings,
// totals, one-year curve) over HTTP of a portfolio that is not in memory, the same from memory, and an edit in the middle
// of the ledger until its push. The targets are 300 ms for the first screen and 50 ms for the edit.
//
//	go test ./portfolio -run '^$' -bench ALongHistory -benchtime 10x
func BenchmarkALongHistory(t *testing.B) {
	w := newWorld(t)
	ana := w.user("ana@test")
	for i := range 60 {
		symbol := fmt.Sprintf("SYM%d", i)
		w.define(symbol, "USD")
		w.exec(`INSERT INTO app.closes (symbol, date, close) SELECT $1, d, 50 + extract(doy FROM d)::int % 40 FROM generate_series(current_date - 2920, current_date, '1 day') d`, symbol)
		w.tick(symbol, "60")
	}
	id := w.portfolio(ana, "")
	var b strings.Builder
	b.WriteString("Date,Code,Currency,Price,Quantity,Action,Fee\n")
	first := time.Now().UTC().AddDate(-8, 0, 1)
	for i := range 20_000 {
		action, quantity := "buy", 3
		if i/60%2 == 1 {
			action, quantity = "sell", 1
		}
		fmt.Fprintf(&b, "%s,SYM%d,USD,%d.25,%d,%s,0.5\n", first.Add(time.Duration(i)*(8*365*oneDay/20_000)).Format(time.DateTime), i%60, 50+i%40, quantity, action)
	}
	if report, problem := w.send(ana, id, "", b.String()); problem != nil || report.Added != 20_000 || len(report.Oversold) > 0 {
		t.Fatal(report.Added, report.Oversold, problem)
	}
	mux := http.NewServeMux()
	for _, o := range w.server.Operations() {
		mux.Handle(o.Method+" "+o.Path, o.Handler(func(*http.Request) (auth.Principal, error) { return ana, nil }))
	}
	server := newServer(t, mux) + "/api/portfolios/" + id
	get := func(path string) {
		r, err := http.Get(server + path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		if _, err := io.Copy(io.Discard, r.Body); err != nil || r.StatusCode != 200 {
			t.Fatal(path, r.StatusCode, err)
		}
	}
	v, watching := w.watch(w.server, ana, id, 0)
	rows := w.must(ana, "transaction.list", `{"portfolio":"`+id+`","limit":1000,"type":"buy","symbol":"SYM7"}`)["transactions"].([]any)
	middle := rows[len(rows)/2].(map[string]any)["id"].(string)
	var cold, again, answered, pushed []float64
	ms := func(since time.Time) float64 { return time.Since(since).Seconds() * 1000 }
	screen := func() float64 {
		start := time.Now()
		get("/holdings")
		get("/history?range=1Y")
		return ms(start)
	}
	for n := 0; t.Loop(); n++ {
		v.last = Change{}
		start := time.Now()
		w.must(ana, "transaction.update", fmt.Sprintf(`{"portfolio":%q,"transaction":%q,"quantity":"%d"}`, id, middle, 4+n%2))
		answered = append(answered, ms(start))
		v.until(t, "the push", func() bool { return v.last.Version > 0 })
		pushed = append(pushed, ms(start))
	}
	watching.Stop()
	for range 5 {
		for _, l := range w.server.all() {
			l.end(errLeft)
		}
		cold, again = append(cold, screen()), append(again, screen())
	}
	t.ReportMetric(0, "ns/op")
	for unit, of := range map[string][]float64{"first-screen-ms": cold, "from-memory-ms": again, "edit-answer-ms": answered, "edit-push-ms": pushed} {
		slices.Sort(of)
		t.ReportMetric(of[len(of)/2], unit)
	}
}
