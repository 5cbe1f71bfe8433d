package portfolio

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"rosetree/auth"
)

// TestALongHistory measures 20,000 transactions in 60 symbols over 8 years on a real database: the first
// screen of a portfolio that is not in memory, and an edit in its middle until the push. It takes a minute.
func TestALongHistory(t *testing.T) {
	if os.Getenv("PORTFOLIO_LONG") == "" {
		t.Skip("set PORTFOLIO_LONG=1")
	}
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
	for _, l := range w.server.all() {
		l.end(errLeft)
	}
	start := time.Now()
	get("/holdings")
	holdings := time.Since(start)
	get("/history?range=1Y")
	t.Logf("first screen: %v, of it holdings %v", time.Since(start), holdings)
	start = time.Now()
	get("/holdings")
	get("/history?range=1Y")
	t.Logf("again, from memory: %v", time.Since(start))
	v, _ := w.watch(w.server, ana, id, 0)
	rows := w.must(ana, "transaction.list", `{"portfolio":"`+id+`","limit":1000,"type":"buy","symbol":"SYM7"}`)["transactions"].([]any)
	middle := rows[len(rows)/2].(map[string]any)["id"].(string)
	for range 3 {
		v.last = Change{}
		start = time.Now()
		w.must(ana, "transaction.update", `{"portfolio":"`+id+`","transaction":"`+middle+`","quantity":"4"}`)
		answered := time.Since(start)
		v.until(t, "the push", func() bool { return v.last.Version > 0 })
		t.Logf("an edit in the middle: answered in %v, pushed in %v", answered, time.Since(start))
	}
}
