package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPricesAreRecordedAndPlayedAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ticks.jsonl")
	if code := run(t.Context(), []string{"prices", "record", "sim?rate=20&symbols=BTC-USD", file, "--for", "2s"}); code != 0 {
		t.Fatalf("record: %d", code)
	}
	if code := run(t.Context(), []string{"prices", "record", "sim", file, "--for", "600ms"}); code != 1 {
		t.Errorf("a recording is not written over: %d", code)
	}
	var out strings.Builder
	root, _ := newRoot()
	root.SetArgs([]string{"prices", "replay", file + "?speed=10", "--for", "2s"})
	root.SetOut(&out)
	if err := root.ExecuteContext(t.Context()); err != nil || strings.Count(out.String(), `"s":"BTC-USD"`) < 3 {
		t.Errorf("replay: %v\n%s", err, out.String())
	}
	if code := run(t.Context(), []string{"prices", "record", "coinbse", file + "2"}); code != 1 {
		t.Errorf("a feed that there is not: %d", code)
	}
	if _, err := os.Stat(file + "2"); err == nil {
		t.Error("what recorded nothing has left a file")
	}
}

// A program with the feed role streams ticks over its socket: up to WS_CALLS messages are under way, and each answer makes
// room for the next.
func TestAFeedStreamsTicksOverItsSocket(t *testing.T) {
	h := newHouse(t)
	root, ana := h.admin("root@example.org"), h.register("ana@example.org")
	h.register("feed@example.org")
	h.command("user", "promote", "feed@example.org", "--role", "feed")
	root.call("PUT", "/api/instruments/ACME", map[string]any{"currency": "USD", "kind": "crypto"}, 200, nil)
	watcher := ana.socket()
	watcher.send(`{"id":1,"type":"subscribe","channel":"prices","symbols":["ACME"]}`)
	feed := h.login("feed@example.org").socket()
	at := time.Now().Add(-time.Minute).UnixMilli()
	const ticks, underWay = 40, 8
	for i := range ticks + underWay {
		if i >= underWay {
			if m := feed.until("an answer", func(m message) bool { return m.ID != nil }); m.Type != "result" {
				t.Fatalf("message %v: %+v", m.ID, m.Error)
			}
		}
		if i < ticks {
			feed.send(`{"id":%d,"type":"call","method":"price.post","params":{"updates":[{"s":"ACME","p":"%d.5","t":%d},{"s":"BTC-USD","p":"0"}]}}`, 100+i, 100+i, at+int64(i))
		}
	}
	watcher.until("the newest of them", func(m message) bool {
		return slices.ContainsFunc(m.Updates, func(u struct{ S, P string }) bool { return u.S == "ACME" && u.P == "139.5" })
	})
	feed.send(`{"id":7,"type":"call","method":"price.post","params":{"updates":[{"s":"ACME","p":"140.5","t":%d},{"s":"ACME","p":"NaN"},{"s":"ACME","p":"90","t":%d}]}}`, at+ticks, at)
	answer := feed.until("what became of each", func(m message) bool { return m.ID == 7.0 })
	if got := string(answer.Result); !strings.Contains(got, `"accepted":1`) || !strings.Contains(got, `"not_number"`) || !strings.Contains(got, `"not_newer"`) {
		t.Errorf("answered %s", got)
	}
	watcher.send(`{"id":2,"type":"call","method":"price.post","params":{"updates":[{"s":"ACME","p":"1"}]}}`)
	if m := watcher.typed("error"); m.Error.Code != "forbidden" {
		t.Errorf("a user who posts a price is told %+v", m.Error)
	}
	feed.send(`{"id":8,"type":"call","method":"price.last","params":{"symbols":"ACME"}}`)
	if m := feed.until("the price", func(m message) bool { return m.ID == 8.0 }); !strings.Contains(string(m.Result), `"p":"140.5"`) {
		t.Errorf("%s %+v", m.Result, m.Error)
	}
}

func TestThePastIsFilledInByACommandBesideARunningServer(t *testing.T) {
	h := newHouse(t)
	root := h.admin("root@example.org")
	root.call("PUT", "/api/instruments/ACME", map[string]any{"currency": "USD", "kind": "crypto"}, 200, nil)
	day := func(back int) string { return time.Now().UTC().AddDate(0, 0, -back).Format(time.DateOnly) }
	file := filepath.Join(t.TempDir(), "acme.csv")
	if err := os.WriteFile(file, []byte("date,open,high,low,close\n"+day(3)+",1,2,1,1.5\n"+day(2)+",1.5,3,1,2.25\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.command("prices", "backfill", file, "--symbol", "acme", "--json")
	var out struct {
		Prices []struct {
			P        string
			Previous string `json:"previous_close"`
		}
	}
	for end := time.Now().Add(10 * time.Second); len(out.Prices) == 0 || out.Prices[0].P != "2.25"; time.Sleep(10 * time.Millisecond) {
		if root.call("GET", "/api/prices?symbols=ACME", nil, 200, &out); time.Now().After(end) {
			t.Fatalf("the running server knows %+v", out)
		}
	}
	if out.Prices[0].Previous != "1.5" {
		t.Errorf("%+v", out)
	}
	for want, wrong := range map[int][]string{1: {"prices", "backfill", file + ".csv"}, 2: {"prices", "backfill"}} {
		if code := run(t.Context(), wrong); code != want {
			t.Errorf("%v: exit code %d, not %d", wrong, code, want)
		}
	}
	if _, err := (operated{t: t}).try("", "prices", "backfill", "coinbase", "--symbol", "BTC-USD"); err == nil || !strings.Contains(err.Error(), "--symbol") {
		t.Errorf("an exchange and --symbol: %v", err)
	}
}
