package portfolio

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rosetree/auth"
	"rosetree/internal/api"
)

// send posts a file, as the browser does.
func (w *world) send(p auth.Principal, portfolio, query, text string) (ImportReport, *api.Problem) {
	w.t.Helper()
	mux := http.NewServeMux()
	w.server.Routes(mux, func(*http.Request) (auth.Principal, error) { return p, nil })
	server := newServer(w.t, mux)
	r, err := http.Post(server+"/api/portfolios/"+portfolio+"/import?"+query, "text/plain", strings.NewReader(text))
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Body.Close()
	body, _ := io.ReadAll(r.Body)
	var report ImportReport
	if r.StatusCode != 200 {
		var problem struct{ Code, Field, Detail string }
		json.Unmarshal(body, &problem)
		return report, &api.Problem{Status: r.StatusCode, Code: problem.Code, Field: problem.Field, Message: problem.Detail}
	}
	if err := json.Unmarshal(body, &report); err != nil {
		w.t.Fatal(err, string(body))
	}
	return report, nil
}

func (w *world) export(p auth.Principal, portfolio, format string) string {
	w.t.Helper()
	mux := http.NewServeMux()
	w.server.Routes(mux, func(*http.Request) (auth.Principal, error) { return p, nil })
	r, err := http.Get(newServer(w.t, mux) + "/api/portfolios/" + portfolio + "/export?format=" + format)
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Body.Close()
	body, _ := io.ReadAll(r.Body)
	if r.StatusCode != 200 {
		w.t.Fatalf("%d %s", r.StatusCode, body)
	}
	return string(body)
}

func (w *world) rows(p auth.Principal, portfolio string) int {
	w.t.Helper()
	return len(w.must(p, "transaction.list", `{"portfolio":"`+portfolio+`","limit":1000}`)["transactions"].([]any))
}

const statement = `Date,Code,DataSource,Currency,Price,Quantity,Action,Fee,Note
16-09-2021,MSFT,YAHOO,USD,298.580,5,buy,19.00,My first order
16-09-2021,MSFT,YAHOO,USD,298.580,5,buy,19.00,My first order
17/11/2021,MSFT,YAHOO,USD,0.62,5,dividend,0.00,
18/11/2021,ODD.ONE,MANUAL,EUR,10,3,buy,0.00,
`

func TestImportingTwiceIsImportingOnce(t *testing.T) { // I8
	w := newWorld(t)
	ana := w.user("ana@test")
	w.define("MSFT", "USD")
	id := w.portfolio(ana, "")
	dry, problem := w.send(ana, id, "dry_run=true", statement)
	if problem != nil || dry.Added != 4 || dry.Import != "" || dry.Format != "ghostfolio-csv" || w.rows(ana, id) != 0 {
		t.Fatal(dry, problem)
	}
	report, problem := w.send(ana, id, "", statement)
	if problem != nil || report.Added != 4 || fmt.Sprint(report.Instruments) != "[ODD.ONE]" || w.rows(ana, id) != 4 {
		t.Fatal(report, problem)
	}
	again, problem := w.send(ana, id, "", statement)
	if problem != nil || again.Added != 0 || again.Duplicates != 4 || again.Rows[0].Verdict != "duplicate" || w.rows(ana, id) != 4 {
		t.Fatal(again, problem)
	}
	w.must(ana, "import.undo", `{"portfolio":"`+id+`","import":"`+report.Import+`"}`)
	if n := w.rows(ana, id); n != 0 {
		t.Errorf("%d rows after the undo", n)
	}
	_, err := w.call(ana, "import.undo", `{"portfolio":"`+id+`","import":"`+report.Import+`"}`)
	refused(t, err, "not_found", "")
	if back, _ := w.send(ana, id, "", statement); back.Added != 4 {
		t.Errorf("what was undone cannot be imported again: %+v", back)
	}
}

func TestOneBadRowChangesNothing(t *testing.T) {
	w := newWorld(t)
	ana := w.user("ana@test")
	id := w.portfolio(ana, "")
	bad := statement + "yesterday,MSFT,YAHOO,USD,1,1,buy,0,\n"
	_, problem := w.send(ana, id, "", bad)
	if problem == nil || problem.Code != "invalid_rows" || !strings.Contains(problem.Message, "row 6") || w.rows(ana, id) != 0 {
		t.Error(problem)
	}
	report, problem := w.send(ana, id, "skip_invalid=true", bad)
	if problem != nil || report.Added != 4 || report.Invalid != 1 || report.Rows[4].Verdict != "invalid" {
		t.Error(report, problem)
	}
	for query, code := range map[string]string{"format=nonsense": "invalid", "dry_run=maybe": "invalid", "tyop=1": "bad_request", "dry_run=true&dry_run=false": "bad_request", "account=" + id: "not_found", "template=none": "not_found"} {
		if _, problem := w.send(ana, id, query, statement); problem == nil || problem.Code != code {
			t.Errorf("%s: %v", query, problem)
		}
	}
	ben := w.user("ben@test")
	if _, problem := w.send(ben, id, "", statement); problem == nil || problem.Code != "not_found" {
		t.Errorf("another's portfolio: %v", problem)
	}
}

func TestAnOversoldImportIsTakenAndListed(t *testing.T) {
	w := newWorld(t)
	ana := w.user("ana@test")
	w.define("MSFT", "USD")
	w.tick("MSFT", "300")
	id := w.portfolio(ana, "")
	report, problem := w.send(ana, id, "", "Date,Code,Currency,Price,Quantity,Action,Fee\n2021-09-16,MSFT,USD,298,5,buy,0\n2021-09-17,MSFT,USD,299,7,sell,0\n")
	if problem != nil || fmt.Sprint(report.Oversold) != "[2 MSFT from 2021-09-17]" {
		t.Fatal(report, problem)
	}
	totals := w.must(ana, "portfolio.holdings", `{"portfolio":"`+id+`"}`)["totals"].(map[string]any)
	if totals["realised"] != nil || fmt.Sprint(totals["missing"]) != "[basis:MSFT]" {
		t.Error(totals)
	}
}

func TestATemplateIsRemembered(t *testing.T) {
	w := newWorld(t)
	ana := w.user("ana@test")
	id := w.portfolio(ana, "")
	file := "Buchung;Art;Papier;Anzahl;Summe\n03/04/2024;Kauf;SAP;3;-300,00\n"
	if _, problem := w.send(ana, id, "", file); problem == nil || problem.Field != "format" {
		t.Error(problem)
	}
	_, err := w.call(ana, "import.template.save", `{"name":"bank","mapping":{"columns":{"type":"Art"}}}`)
	refused(t, err, "invalid", "mapping")
	w.must(ana, "import.template.save", `{"name":"bank","mapping":{"columns":{"executed_at":"Buchung","type":"Art","symbol":"Papier","quantity":"Anzahl","amount":"Summe"},"types":{"kauf":"buy"},"currency":"EUR","day_first":true}}`)
	report, problem := w.send(ana, id, "", file) // by itself, because the columns fit
	if problem != nil || report.Format != "mapped-bank" || report.Added != 1 {
		t.Error(report, problem)
	}
}

// A hundred thousand rows take seconds: IMPORT_ROWS=100000 asks for them.
func TestManyRows(t *testing.T) {
	n := 6_000 // more than one chunk
	if text := os.Getenv("IMPORT_ROWS"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	w := newWorld(t)
	ana := w.user("ana@test")
	w.define("MSFT", "USD")
	id := w.portfolio(ana, "")
	var b strings.Builder
	b.WriteString("Date,Code,Currency,Price,Quantity,Action,Fee\n")
	day := time.Date(2015, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range n {
		fmt.Fprintf(&b, "%s,SYM%d,USD,%d.25,2,buy,0.5\n", day.AddDate(0, 0, i/30).Format(time.DateOnly), i%60, 10+i%90)
	}
	start := time.Now()
	report, problem := w.send(ana, id, "", b.String())
	if problem != nil || report.Added != n {
		t.Fatal(report.Added, problem)
	}
	t.Logf("%d rows in %v", n, time.Since(start))
}

func TestALongImportTellsHowFarItIsOnEveryServer(t *testing.T) {
	w := newWorld(t)
	ana, ben := w.user("ana@test"), w.user("ben@test")
	other := New(Config{}, w.db, w.book, w.past, w.redis.Client(t), quiet, prometheus.NewRegistry())
	heard := make(chan importNews, 1000)
	other.OnImport = func(user auth.UserID, p ImportProgress) { heard <- importNews{user, p} }
	w.run(other)
	w.listening(t, importsChannel, 2)
	w.define("SYM", "USD")
	id := w.portfolio(ana, "")
	end := func(phase string, dry bool) (all []ImportProgress) {
		t.Helper()
		for deadline := time.After(20 * time.Second); ; {
			select {
			case n := <-heard:
				if n.User != ana.User || n.Portfolio != ID(id) || n.DryRun != dry || n.Type != "import" {
					t.Errorf("heard %+v", n)
				}
				if all = append(all, n.ImportProgress); n.Phase == phaseDone || n.Phase == phaseFailed {
					if n.Phase != phase {
						t.Errorf("ended %s, want %s", n.Phase, phase)
					}
					return all
				}
			case <-deadline:
				t.Fatalf("heard only %v", all)
			}
		}
	}
	file := func(n int, last string) string {
		var b strings.Builder
		b.WriteString("Date,Code,Currency,Price,Quantity,Action,Fee\n")
		for i := range n {
			fmt.Fprintf(&b, "2020-01-01,SYM,USD,%d.25,2,buy,0.5\n", 10+i)
		}
		return b.String() + last
	}
	for _, dry := range []bool{true, false} {
		report, problem := w.send(ana, id, fmt.Sprint("dry_run=", dry), file(6000, ""))
		if problem != nil || report.Added != 6000 {
			t.Fatal(report.Added, problem)
		}
		all := end(phaseDone, dry)
		var said []string
		for _, p := range all {
			said = append(said, fmt.Sprintf("%s %d/%d", p.Phase, p.Done, p.Total))
		}
		if got := fmt.Sprint(said); got != "[checking 0/6000 checking 2000/6000 checking 4000/6000 writing 0/6000 writing 5000/6000 writing 6000/6000 done 6000/6000]" {
			t.Error(got)
		}
		if !dry && all[0].Run != report.Import {
			t.Errorf("run %s, import %s", all[0].Run, report.Import)
		}
	}
	if _, problem := w.send(ana, id, "", file(2500, "never,SYM,USD,1,1,buy,0\n")); problem == nil {
		t.Error("a bad row was taken")
	}
	end(phaseFailed, false)
	if late, err := other.ImportsUnderWay(t.Context(), ana); len(late) != 0 || err != nil {
		t.Errorf("still under way: %v, %v", late, err)
	}
	if _, problem := w.send(ana, id, "", file(10, "")); problem != nil { // not long: nothing is told
		t.Error(problem)
	}
	w.server.steps <- importNews{ben.User, ImportProgress{Type: "import", Run: "r", Phase: phaseWriting}}
	if n := <-heard; n.User != ben.User {
		t.Errorf("a short import is told: %+v", n)
	}
	if late, _ := other.ImportsUnderWay(t.Context(), ben); len(late) != 1 {
		t.Errorf("who comes later hears %v", late)
	}
	if late, _ := other.ImportsUnderWay(t.Context(), ana); len(late) != 0 {
		t.Errorf("ana hears of ben's: %v", late)
	}
}
