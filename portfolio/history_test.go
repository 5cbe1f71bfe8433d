package portfolio

import (
	"fmt"
	"math"
	"strconv"
	"testing"
	"time"
)

func back(days int) string { return time.Now().UTC().AddDate(0, 0, -days).Format(time.DateOnly) }

func points(out map[string]any, field string) (list []string) {
	for _, p := range out["points"].([]any) {
		list = append(list, fmt.Sprint(p.(map[string]any)[field]))
	}
	return list
}

func TestHistoryIsTheWorthOfEachDay(t *testing.T) {
	w := newWorld(t)
	ana := w.user("ana@test")
	w.define("ACME", "USD")
	w.define("INDEX", "USD")
	w.closed("ACME", "10", "11", "12", "12.5")
	w.closed("INDEX", "1000", "1010", "1020", "1100")
	w.tick("ACME", "13")
	id := w.portfolio(ana, "")
	w.add(ana, id, "buy 10 ACME @ 10", `,"executed_at":"`+back(3)+`T12:00:00Z"`)
	w.add(ana, id, "buy 10 ACME @ 12", `,"executed_at":"`+back(1)+`T12:00:00Z"`)
	out := w.must(ana, "portfolio.history", `{"portfolio":"`+id+`","range":"ALL","benchmark":"INDEX"}`)
	if got := fmt.Sprint(points(out, "value")); got != "[0.00 100.00 110.00 240.00 260.00]" {
		t.Errorf("values %s", got)
	}
	if got := fmt.Sprint(points(out, "net_flow")); got != "[0.00 100.00 0.00 120.00 0.00]" {
		t.Errorf("flows %s", got)
	}
	// 100/100, 110/100, 240/(110+120), 260/240
	want := 1.1*240/230*260/240 - 1
	if got, _ := strconv.ParseFloat(points(out, "twr")[4], 64); math.Abs(got-want) > 1e-7 {
		t.Errorf("twr %v, want %v", got, want)
	}
	perf := w.must(ana, "portfolio.performance", `{"portfolio":"`+id+`","range":"ALL"}`)
	if perf["start_value"] != "0.00" || perf["end_value"] != "260.00" || perf["net_flow"] != "220.00" || perf["gain"] != "40.00" || perf["modified_dietz"] != "0.25000000" {
		t.Error(perf)
	}
	if got, _ := strconv.ParseFloat(perf["max_drawdown"].(string), 64); got != 0 {
		t.Errorf("drawdown %v", got)
	}
	one := w.must(ana, "portfolio.performance", `{"portfolio":"`+id+`","range":"ALL","symbol":"ACME"}`)
	if one["twr"] != perf["twr"] {
		t.Errorf("the only holding's twr %v is not the portfolio's %v", one["twr"], perf["twr"])
	}
	part := w.must(ana, "portfolio.contribution", `{"portfolio":"`+id+`","range":"ALL"}`)["holdings"].([]any)[0].(map[string]any)
	if part["gain"] != "40.00" || part["contribution"] != perf["modified_dietz"] {
		t.Errorf("%v, modified dietz %v", part, perf["modified_dietz"])
	}
}

func TestAHistoryHasItsGaps(t *testing.T) {
	w := newWorld(t)
	ana := w.user("ana@test")
	w.define("NEW", "USD")
	w.tick("NEW", "13")
	id := w.portfolio(ana, "")
	w.add(ana, id, "buy 10 NEW @ 10", `,"executed_at":"`+back(2)+`"`)
	out := w.must(ana, "portfolio.history", `{"portfolio":"`+id+`","range":"ALL"}`)
	if got := fmt.Sprint(points(out, "value"), out["missing"]); got != "[0.00 <nil> <nil> 130.00] [NEW]" {
		t.Error(got)
	}
	perf := w.must(ana, "portfolio.performance", `{"portfolio":"`+id+`","range":"ALL"}`)
	if perf["twr"] != nil || perf["end_value"] != "130.00" {
		t.Error(perf)
	}
}

func TestTrackedCashIsPartOfTheWorth(t *testing.T) { // and I6: deposits are no return
	w := newWorld(t)
	ana := w.user("ana@test")
	w.define("ACME", "USD")
	w.closed("ACME", "10", "10", "10")
	w.tick("ACME", "11")
	id := w.portfolio(ana, "")
	main := w.must(ana, "account.list", `{"portfolio":"`+id+`"}`)["accounts"].([]any)[0].(map[string]any)["id"].(string)
	w.must(ana, "account.update", `{"portfolio":"`+id+`","account":"`+main+`","tracks_cash":true}`)
	for _, d := range []string{back(2), back(1)} {
		w.must(ana, "transaction.add", `{"portfolio":"`+id+`","type":"deposit","amount":"100","executed_at":"`+d+`"}`)
	}
	w.add(ana, id, "buy 10 ACME @ 10", `,"executed_at":"`+back(1)+`"`)
	out := w.must(ana, "portfolio.history", `{"portfolio":"`+id+`","range":"ALL"}`)
	if got := fmt.Sprint(points(out, "value"), points(out, "twr")); got != "[0.00 100.00 200.00 210.00] [0.00000000 0.00000000 0.00000000 0.05000000]" {
		t.Error(got)
	}
	totals := w.must(ana, "portfolio.holdings", `{"portfolio":"`+id+`"}`)["totals"].(map[string]any)
	if totals["cash"] != "100.00" || totals["value"] != "210.00" || totals["total_pnl"] != "10.00" {
		t.Error(totals)
	}
	slices := w.must(ana, "portfolio.allocation", `{"portfolio":"`+id+`","by":"class"}`)["slices"].([]any)
	if a, b := slices[0].(map[string]any), slices[1].(map[string]any); a["key"] != "crypto" || a["weight"] != "52.38" || b["key"] != "cash" || b["weight"] != "47.62" {
		t.Error(slices)
	}
}

func TestIncomeByMonth(t *testing.T) {
	w := newWorld(t)
	ana := w.user("ana@test")
	w.define("ACME", "USD")
	id := w.portfolio(ana, "")
	w.add(ana, id, "buy 10 ACME @ 10", `,"executed_at":"2024-01-02"`)
	w.must(ana, "transaction.add", `{"portfolio":"`+id+`","type":"dividend","symbol":"ACME","amount":"12.50","tax":"1.50","executed_at":"2024-03-15"}`)
	w.must(ana, "transaction.add", `{"portfolio":"`+id+`","type":"interest","amount":"3","executed_at":"2024-03-31"}`)
	w.must(ana, "transaction.add", `{"portfolio":"`+id+`","type":"dividend","symbol":"ACME","quantity":"10","price":"0.25","executed_at":"2024-06-15"}`)
	out := w.must(ana, "portfolio.income", `{"portfolio":"`+id+`"}`)
	months := out["months"].([]any)
	if a := months[0].(map[string]any); len(months) != 2 || a["month"] != "2024-03" || a["dividends"] != "12.50" || a["interest"] != "3.00" || a["taxes"] != "1.50" || out["total"] != "18.00" {
		t.Error(out)
	}
}

func TestHoldingsAsOfADay(t *testing.T) {
	w := newWorld(t)
	ana := w.user("ana@test")
	w.define("ACME", "USD")
	w.closed("ACME", "10", "11", "12", "12.5")
	w.tick("ACME", "13")
	id := w.portfolio(ana, "")
	w.add(ana, id, "buy 10 ACME @ 9", `,"executed_at":"`+back(3)+`T12:00:00Z"`)
	w.add(ana, id, "sell 5 ACME @ 12", `,"executed_at":"`+back(1)+`T12:00:00Z"`)
	out := w.must(ana, "portfolio.holdings", `{"portfolio":"`+id+`","as_of":"`+back(2)+`"}`)
	h := out["holdings"].([]any)[0].(map[string]any)
	if h["quantity"] != "10" || h["price"] != "11" || h["value"] != "110.00" || h["day_change"] != "10.00" || h["realised"] != "0.00" {
		t.Error(h)
	}
}

func TestDayChange(t *testing.T) {
	w := newWorld(t)
	ana := w.user("ana@test")
	w.define("ACME", "USD")
	yesterday := time.Now().UTC().Truncate(oneDay).AddDate(0, 0, -1)
	w.exec(`INSERT INTO app.closes (symbol, date, close) VALUES ('ACME', $1, 10)`, yesterday)
	w.book.Closed(closeOf("ACME", yesterday, "10"))
	w.tick("ACME", "11")
	id := w.portfolio(ana, "")
	w.add(ana, id, "buy 10 ACME @ 8", `,"executed_at":"2024-01-02"`)
	v, _ := w.watch(w.server, ana, id, 0)
	if h := v.snap.Holdings[0]; h.DayChange != "10.00" || h.DayChangePct != "10.00" || v.snap.Totals.DayChange != "10.00" {
		t.Errorf("%+v", h)
	}
	w.add(ana, id, "buy 10 ACME @ 10.5", "") // today's purchase counts from its own price
	v.until(t, "the change", func() bool { return v.last.Totals.DayChange == "15.00" })
	if v.last.Totals.DayChangePct != "7.32" { // of 100 + 105
		t.Errorf("%+v", v.last.Totals)
	}
	w.tick("ACME", "12")
	v.until(t, "the valuation", func() bool { return v.value.Totals.DayChange == "35.00" && v.value.Totals.DayChangePct == "17.07" })
	if len(v.value.Holdings) != 1 || v.value.Holdings[0].DayChange != "35.00" {
		t.Errorf("%+v", v.value.Holdings[0])
	}
}

func TestXIRRIsTheRateAtWhichThePaymentsComeOut(t *testing.T) {
	w := newWorld(t)
	ana := w.user("ana@test")
	w.define("ACME", "USD")
	w.tick("ACME", "12")
	id := w.portfolio(ana, "")
	w.add(ana, id, "buy 10 ACME @ 10", `,"executed_at":"`+back(365)+`"`)
	w.add(ana, id, "buy 15 ACME @ 11", `,"executed_at":"`+back(100)+`"`)
	w.add(ana, id, "sell 5 ACME @ 13", `,"executed_at":"`+back(50)+`"`)
	perf := w.must(ana, "portfolio.performance", `{"portfolio":"`+id+`","range":"ALL"}`)
	text, _ := perf["xirr"].(string)
	r, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(perf)
	}
	left := 0.0
	for days, paid := range map[int]float64{365: -100, 100: -165, 50: 65, 0: 240} {
		left += paid * math.Pow(1+r, float64(days)/365)
	}
	if math.Abs(left) > 1e-4 {
		t.Errorf("at %v, %v is left", r, left)
	}
}
