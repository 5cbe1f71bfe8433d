package portfolio

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"rosetree/auth"
)

func TestAnExportComesBackToTheDigit(t *testing.T) {
	w := newWorld(t)
	ana := w.user("ana@test")
	w.define("ACME", "USD")
	w.define("SAP", "EUR")
	w.tick("ACME", "10")
	id := w.portfolio(ana, `,"cost_method":"fifo"`)
	margin := w.must(ana, "account.add", `{"portfolio":"`+id+`","name":"Margin","oversell":"short","tracks_cash":true,"currency":"EUR"}`)["id"].(string)
	w.add(ana, id, "buy 3.00000000000000000007 ACME @ 1.10", `,"fee":"0.10","note":"=1+1"`)
	w.add(ana, id, "buy 2 SAP @ 100", `,"fx_rate":"1.25"`)
	w.add(ana, id, "sell 1 ACME @ 12", `,"account":"`+margin+`"`)
	w.must(ana, "transaction.add", `{"portfolio":"`+id+`","type":"deposit","amount":"100","account":"`+margin+`"}`)
	want := w.must(ana, "portfolio.holdings", `{"portfolio":"`+id+`","lots":true}`)
	for _, format := range []string{"json", "csv"} {
		file := w.export(ana, id, format)
		copied := w.portfolio(ana, `,"cost_method":"fifo"`)
		if format == "csv" { // accounts are in the JSON alone
			w.must(ana, "account.add", `{"portfolio":"`+copied+`","name":"Margin","oversell":"short","tracks_cash":true,"currency":"EUR"}`)
		}
		report, problem := w.send(ana, copied, "", file)
		if problem != nil || report.Added != 4 {
			t.Fatal(report, problem)
		}
		got := w.must(ana, "portfolio.holdings", `{"portfolio":"`+copied+`","lots":true}`)
		a, _ := json.Marshal([]any{want["totals"], numbers(want), w.notes(ana, id)})
		b, _ := json.Marshal([]any{got["totals"], numbers(got), w.notes(ana, copied)})
		if string(a) != string(b) {
			t.Errorf("%s: came back as\n%s\nwas\n%s", format, b, a)
		}
		if again, problem := w.send(ana, id, "", file); problem != nil || again.Added != 0 || again.Duplicates != 4 {
			t.Errorf("%s: back where it came from: %+v %v", format, again, problem)
		}
	}
}

// numbers are the holdings without what differs by its nature: the accounts' ids.
func numbers(view map[string]any) (list []any) {
	for _, h := range view["holdings"].([]any) {
		m := h.(map[string]any)
		delete(m, "lots")
		list = append(list, m)
	}
	return list
}

func (w *world) notes(p auth.Principal, portfolio string) (list []any) {
	for _, t := range w.must(p, "transaction.list", `{"portfolio":"`+portfolio+`"}`)["transactions"].([]any) {
		list = append(list, t.(map[string]any)["note"])
	}
	return list
}

// A recorded rate is into the currency of the portfolio where it was recorded. In another one it would be wrong money.
func TestARateDoesNotCountInAnotherCurrencyThanItsOwn(t *testing.T) {
	w := newWorld(t)
	ana := w.user("ana@test")
	w.define("SAP", "EUR")
	w.define("VOD", "GBP")
	id := w.portfolio(ana, "")
	w.add(ana, id, "buy 1 SAP @ 100", `,"fx_rate":"1.25"`)
	w.add(ana, id, "buy 1 VOD @ 100", `,"fx_rate":"1.5"`)
	costs := func(portfolio string) string {
		costs := map[string]any{}
		for _, h := range w.must(ana, "portfolio.holdings", `{"portfolio":"`+portfolio+`"}`)["holdings"].([]any) {
			costs[fmt.Sprint(h.(map[string]any)["symbol"])] = h.(map[string]any)["cost_base"]
		}
		return fmt.Sprint(costs)
	}
	if got := costs(id); got != "map[SAP:125.00 VOD:150.00]" {
		t.Fatal(got)
	}
	for _, format := range []string{"json", "csv"} {
		file := w.export(ana, id, format)
		for base, want := range map[string]string{"USD": "map[SAP:125.00 VOD:150.00]", "EUR": "map[SAP:100.00 VOD:<nil>]"} {
			copied := w.portfolio(ana, `,"base_currency":"`+base+`"`)
			if report, problem := w.send(ana, copied, "", file); problem != nil || report.Added != 2 {
				t.Fatal(report, problem)
			}
			if got := costs(copied); got != want {
				t.Errorf("%s in %s: %s, want %s", format, base, got, want)
			}
		}
	}
	report, problem := w.send(ana, w.portfolio(ana, `,"base_currency":"EUR"`), "", "CurrencyPrimary,Symbol,TradeDate,Quantity,TradePrice,Buy/Sell,FXRateToBase,AssetClass\nEUR,SAP,20230403,1,100,BUY,0.86,STK\n")
	if problem != nil || report.Added != 1 || report.Rows[0].Transaction.FxRate != nil || !strings.Contains(report.Rows[0].Message, "exchange rate") {
		t.Errorf("a rate of the portfolio's own currency: %+v %v", report, problem)
	}
}

func TestARowOfAnAccountThatIsNotThereSaysWhereItGoes(t *testing.T) {
	w := newWorld(t)
	ana := w.user("ana@test")
	report, problem := w.send(ana, w.portfolio(ana, ""), "", "executed_at,account,type,symbol,quantity,price,amount,currency\n2024-01-02T00:00:00Z,Depot 2,deposit,,,,5,USD\n")
	if problem != nil || report.Added != 1 || report.Rows[0].Message != "the portfolio has no account Depot 2: it goes to Main" {
		t.Errorf("%+v %v", report, problem)
	}
}

func TestAnExportRefusesWhatItDoesNotKnow(t *testing.T) {
	w := newWorld(t)
	ana := w.user("ana@test")
	mux := http.NewServeMux()
	w.server.Routes(mux, func(*http.Request) (auth.Principal, error) { return ana, nil })
	url := newServer(t, mux) + "/api/portfolios/" + w.portfolio(ana, "") + "/export?"
	for query, status := range map[string]int{"": 200, "format=csv": 200, "format=xml": 422, "fromat=csv": 400, "format=csv&format=json": 400} {
		r, err := http.Get(url + query)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != status {
			t.Errorf("%q: %d, want %d", query, r.StatusCode, status)
		}
	}
}
