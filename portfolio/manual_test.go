package portfolio

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"rosetree/auth"
	"rosetree/internal/api"
	"rosetree/prices"
)

// own runs an operation on a user's own instruments and prices.
func (w *world) own(p auth.Principal, name, params string) {
	w.t.Helper()
	all := w.past.UserOperations()
	i := slices.IndexFunc(all, func(o api.Operation[prices.Owner]) bool { return o.Name == name })
	if _, err := all[i].Call(context.Background(), prices.Owner{ID: string(p.User), Rows: w.db.As(p)}, json.RawMessage(params)); err != nil {
		w.t.Fatal(err)
	}
}

// TestAnImportedInstrumentThatNobodyKnowsIsValuedByItsOwnersPrices follows one from the import on.
func TestAnImportedInstrumentThatNobodyKnowsIsValuedByItsOwnersPrices(t *testing.T) {
	w := newWorld(t)
	ana, ben := w.user("ana@test"), w.user("ben@test")
	id, bens := w.portfolio(ana, ""), w.portfolio(ben, "")
	file := "Date,Code,Currency,Price,Quantity,Action,Fee\n" + back(3) + ",FLAT,USD,10,3,buy,0.00\n"
	for p, portfolio := range map[string]string{string(ana.User): id, string(ben.User): bens} {
		if report, problem := w.send(auth.Principal{User: auth.UserID(p)}, portfolio, "", file); problem != nil || fmt.Sprint(report.Instruments) != "[FLAT]" {
			t.Fatal(report, problem)
		}
	}
	v, _ := w.watch(w.server, ana, id, 0)
	if h := v.snap.Holdings[0]; h.Kind != prices.KindManual || h.Price != "" || h.Value != "" || v.snap.Totals.Value != "" || fmt.Sprint(v.snap.Totals.Missing) != "[FLAT]" {
		t.Errorf("without a price: %+v %+v", h, v.snap.Totals)
	}
	w.own(ana, "price.own.set", `{"symbol":"FLAT","prices":[{"date":"`+back(2)+`","close":"11"},{"date":"`+back(1)+`","close":"12.5"}]}`)
	v.until(t, "the price", func() bool { return v.last.Totals.Value == "37.50" && v.last.Totals.Unrealised == "7.50" })
	w.own(ana, "price.own.set", `{"symbol":"FLAT","prices":[{"date":"`+back(0)+`","close":"13"}]}`)
	v.until(t, "the next price", func() bool {
		return v.last.Totals.Value == "39.00" && len(v.last.Holdings) == 1 && v.last.Holdings[0].Price == "13.00" || v.last.Totals.Value == "39.00" && v.last.Holdings[0].Price == "13"
	})
	out := w.must(ana, "portfolio.history", `{"portfolio":"`+id+`","range":"ALL"}`)
	if got := fmt.Sprint(points(out, "value")); got != "[0.00 <nil> 33.00 37.50 39.00]" {
		t.Errorf("values %s", got)
	}
	day := points(w.must(ana, "portfolio.history", `{"portfolio":"`+id+`","range":"1D"}`), "value")
	if day[0] != "37.50" || day[len(day)-1] != "39.00" {
		t.Errorf("today %v", day)
	}
	if got := w.must(ben, "portfolio.holdings", `{"portfolio":"`+bens+`"}`)["totals"].(map[string]any)["value"]; got != nil {
		t.Errorf("ben's flat is worth %v by ana's price", got)
	}
}

func TestAnExportBringsManualInstrumentsWithTheirPrices(t *testing.T) {
	w := newWorld(t)
	ana, ben := w.user("ana@test"), w.user("ben@test")
	w.define("EUR-USD", "USD")
	w.closed("EUR-USD", "1.25", "1.25", "1.25")
	w.tick("EUR-USD", "1.25")
	id := w.portfolio(ana, "")
	w.own(ana, "instrument.own.set", `{"symbol":"FUT","name":"A future","kind":"fund","currency":"EUR","multiplier":"50","isin":"DE0001"}`)
	w.own(ana, "price.own.set", `{"symbol":"FUT","prices":[{"date":"`+back(2)+`","close":"1.125"},{"date":"`+back(1)+`","close":"2.5"}]}`)
	w.add(ana, id, "buy 3 FUT @ 1", `,"currency":"USD","executed_at":"`+back(2)+`"`)
	want := w.must(ana, "portfolio.holdings", `{"portfolio":"`+id+`"}`)
	copied := w.portfolio(ben, "")
	file := w.export(ana, id, "json")
	if report, problem := w.send(ben, copied, "", file); problem != nil || fmt.Sprint(report.Instruments) != "[FUT]" {
		t.Fatal(report, problem)
	}
	got := w.must(ben, "portfolio.holdings", `{"portfolio":"`+copied+`"}`)
	a, _ := json.Marshal([]any{want["totals"], numbers(want)})
	b, _ := json.Marshal([]any{got["totals"], numbers(got)})
	if string(a) != string(b) || !strings.Contains(string(a), `"value":"468.75"`) { // 3 · 50 · 2.5 EUR at 1.25
		t.Errorf("came back as\n%s\nwas\n%s", b, a)
	}
	for what, wrong := range map[string][2]string{"a multiplier": {`"multiplier":"50"`, `"multiplier":"-1"`}, "a kind": {`"kind":"fund"`, `"kind":"boat"`}, "a price": {`"close":"2.5"`, `"close":"1e9"`}} {
		broken := strings.Replace(file, wrong[0], wrong[1], 1)
		if _, problem := w.send(ben, copied, "format=rosetree-json", broken); broken == file || problem == nil || problem.Code != "invalid" {
			t.Errorf("%s that is none: %v", what, problem)
		}
	}
}

// TestI8ImportingAgainAddsWhatIsNewAlone imports random files, in which some fills are equal, twice, and then a longer
// one of the same account in another order of its days' rows.
func TestI8ImportingAgainAddsWhatIsNewAlone(t *testing.T) {
	w := newWorld(t)
	w.define("S0", "USD")
	seeded(t, 2, func(t *testing.T, rng *rand.Rand) {
		ana := w.user(newID() + "@test")
		once, twice := w.portfolio(ana, ""), w.portfolio(ana, "")
		var lines []string
		for range 400 {
			lines = append(lines, fmt.Sprintf("20%02d-%02d-%02d,S%d,%s,%d.%d,%d,%s,0.5", 18+rng.IntN(5), 1+rng.IntN(12), 1+rng.IntN(3), rng.IntN(2), worldCurrencies[rng.IntN(3)],
				10+rng.IntN(2), rng.IntN(2), 1+rng.IntN(2), []string{"buy", "buy", "sell", "dividend"}[rng.IntN(4)]))
		}
		file := func(lines []string) string {
			return "Date,Code,Currency,Price,Quantity,Action,Fee\n" + strings.Join(lines, "\n") + "\n"
		}
		first, problem := w.send(ana, twice, "", file(lines[:250]))
		if problem != nil || first.Added != 250 {
			t.Fatal(first.Added, problem)
		}
		for range 2 {
			if again, problem := w.send(ana, twice, "", file(lines[:250])); problem != nil || again.Added != 0 || again.Duplicates != 250 {
				t.Fatal(again.Added, again.Duplicates, problem)
			}
		}
		rng.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
		more, problem := w.send(ana, twice, "", file(lines))
		if problem != nil || more.Added != 150 || more.Duplicates != 250 {
			t.Fatal(more.Added, more.Duplicates, problem)
		}
		if all, problem := w.send(ana, once, "", file(lines)); problem != nil || all.Added != 400 {
			t.Fatal(all.Added, problem)
		}
		a, b := w.count(once), w.count(twice)
		if a != b {
			t.Errorf("once %s, twice %s", a, b)
		}
	})
}

// count sums up a portfolio's rows.
func (w *world) count(portfolio string) (text string) {
	w.t.Helper()
	if err := w.owner.QueryRow(context.Background(), `SELECT string_agg(k, ' ' ORDER BY k) FROM (SELECT concat_ws('/', count(*), type, symbol, quantity, price, currency, executed_at) k
		FROM app.transactions WHERE portfolio_id = $1 AND deleted_at IS NULL GROUP BY type, symbol, quantity, price, currency, executed_at) t`, portfolio).Scan(&text); err != nil {
		w.t.Fatal(err)
	}
	return text
}
