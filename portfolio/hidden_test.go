package portfolio

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"rosetree/auth"
	"rosetree/internal/api"
)

// tellsNoAmount are the fields in which a number tells nothing of amounts: prices that everybody may see, proportions,
// returns, times and versions.
var tellsNoAmount = []string{"price", "price_at", "day_change_pct", "weight", "twr", "xirr", "modified_dietz", "volatility", "max_drawdown", "contribution",
	"benchmark", "version", "t", "from", "to", "as_of", "created_at", "id", "account", "user", "shared_by"}

var looksLikeANumber = regexp.MustCompile(`^-?\d+(\.\d+)?$`)

// amounts lists the fields of v that hold a number and may not.
func amounts(v any, name string) (list []string) {
	switch v := v.(type) {
	case map[string]any:
		for k, child := range v {
			list = append(list, amounts(child, k)...)
		}
	case []any:
		for _, child := range v {
			list = append(list, amounts(child, name)...)
		}
	case string:
		if looksLikeANumber.MatchString(v) && !slices.Contains(tellsNoAmount, name) {
			list = append(list, name+"="+v)
		}
	case float64:
		if !slices.Contains(tellsNoAmount, name) {
			list = append(list, fmt.Sprint(name, "=", v))
		}
	}
	return list
}

func jsonOf(t testing.TB, v any) (out any) {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestHiddenAmountsAreNowhere asks as a guest for everything that can be read, by every operation there is: a new one
// that shows amounts fails here.
func TestHiddenAmountsAreNowhere(t *testing.T) {
	w := newWorld(t)
	ana, ben := w.user("ana@test"), w.user("ben@test")
	w.define("ACME", "EUR")
	w.define("EUR-USD", "USD")
	w.closed("EUR-USD", "1.1", "1.2", "1.25")
	w.closed("ACME", "10", "11", "11")
	w.tick("EUR-USD", "1.25")
	w.tick("ACME", "12")
	id := w.portfolio(ana, "")
	main := w.must(ana, "account.list", `{"portfolio":"`+id+`"}`)["accounts"].([]any)[0].(map[string]any)["id"].(string)
	w.must(ana, "account.update", `{"portfolio":"`+id+`","account":"`+main+`","tracks_cash":true}`)
	w.must(ana, "transaction.add", `{"portfolio":"`+id+`","type":"deposit","amount":"5432.10","executed_at":"`+back(2)+`"}`)
	entered := w.add(ana, id, "buy 7.77 ACME @ 10", `,"fee":"1.11","executed_at":"`+back(2)+`"`)
	w.add(ana, id, "sell 1.23 ACME @ 11", `,"executed_at":"`+back(1)+`"`)
	w.must(ana, "transaction.add", `{"portfolio":"`+id+`","type":"dividend","symbol":"ACME","amount":"4.44","executed_at":"`+back(1)+`"}`)
	w.must(ana, "grant.add", `{"portfolio":"`+id+`","email":"ben@test"}`)
	answered := 0
	for _, o := range w.server.Operations() {
		if o.Method != "GET" {
			continue
		}
		variants := []string{`{"portfolio":"` + id + `"}`}
		switch o.Name {
		case "portfolio.list", "import.template.list":
			variants = []string{`{}`}
		case "portfolio.history", "portfolio.performance", "portfolio.contribution", "portfolio.income":
			variants = []string{}
			for _, more := range []string{`"range":"1D"`, `"range":"ALL"`, `"from":"` + back(1) + `"`, `"range":"ALL","symbol":"ACME"`, `"range":"ALL","account":"` + main + `"`, `"range":"ALL","benchmark":"EUR-USD"`} {
				variants = append(variants, `{"portfolio":"`+id+`",`+more+`}`)
			}
		case "portfolio.holdings":
			for _, more := range []string{`"as_of":"` + back(1) + `"`, `"cost_method":"fifo"`, `"costs":"excluded"`, `"lots":true`, `"closed":true`, `"account":"` + main + `"`} {
				variants = append(variants, `{"portfolio":"`+id+`",`+more+`}`)
			}
		case "portfolio.allocation":
			for _, by := range []string{"class", "currency", "account", "symbol"} {
				variants = append(variants, `{"portfolio":"`+id+`","by":"`+by+`"}`)
			}
		}
		for _, params := range variants {
			out, err := o.Call(context.Background(), ben, json.RawMessage(params))
			if err != nil {
				if code := api.ProblemOf(err).Code; code != "forbidden" && code != "not_found" {
					t.Errorf("%s %s: %v", o.Name, params, err)
				}
				continue
			}
			answered++
			if list := amounts(jsonOf(t, out), ""); len(list) > 0 {
				t.Errorf("%s %s tells %v", o.Name, params, list)
			}
			own, err := o.Call(context.Background(), ana, json.RawMessage(params))
			if o.Name == "portfolio.holdings" && (err != nil || len(amounts(jsonOf(t, own), "")) < 10) {
				t.Errorf("the owner sees only %v, %v", own, err)
			}
		}
	}
	if answered < 15 {
		t.Errorf("only %d answers were looked at", answered)
	}
	mux := http.NewServeMux()
	w.server.Routes(mux, func(*http.Request) (auth.Principal, error) { return ben, nil })
	for _, format := range []string{"json", "csv"} {
		r, err := http.Get(newServer(t, mux) + "/api/portfolios/" + id + "/export?format=" + format)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(r.Body)
		if r.Body.Close(); r.StatusCode != 404 || strings.Contains(string(body), "7.77") {
			t.Errorf("export: %d %s", r.StatusCode, body)
		}
	}
	v, _ := w.watch(w.server, ben, id, 0)
	w.tick("ACME", "13")
	v.until(t, "a valuation", func() bool { return len(v.value.Holdings) == 1 })
	w.must(ana, "transaction.update", `{"portfolio":"`+id+`","transaction":"`+entered["id"].(string)+`","quantity":"8.88"}`)
	v.until(t, "a change", func() bool { return v.last.Version > v.snap.Version && len(v.last.Holdings) == 1 })
	v.mu.Lock()
	defer v.mu.Unlock()
	for what, told := range map[string]any{"snapshot": v.snap, "valuation": v.value, "change": v.last} {
		if list := amounts(jsonOf(t, told), ""); len(list) > 0 {
			t.Errorf("a %s tells %v", what, list)
		}
	}
	w.seesNothing(ben, id)
}

// seesNothing asks the database itself, in the guest's own context.
func (w *world) seesNothing(p auth.Principal, portfolio string) {
	w.t.Helper()
	for _, table := range []string{"portfolios WHERE id", "transactions WHERE portfolio_id", "accounts WHERE portfolio_id", "transaction_versions WHERE portfolio_id", "portfolio_grants WHERE portfolio_id", "imports WHERE portfolio_id"} {
		n := -1
		if err := w.db.As(p).Tx(context.Background(), func(tx pgx.Tx) error {
			return tx.QueryRow(context.Background(), `SELECT count(*) FROM app.`+table+` = $1`, portfolio).Scan(&n)
		}); err != nil || n != 0 {
			w.t.Errorf("%s: a guest's own context sees %d rows, %v", table, n, err)
		}
	}
}
