package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"rosetree/hub"
)

// portfolio makes one.
func (p *person) portfolio() string {
	p.t.Helper()
	var out struct{ ID string }
	p.call("POST", "/api/portfolios", map[string]any{"name": "Savings", "base_currency": "USD"}, 201, &out)
	return out.ID
}

func (p *person) buy(portfolio, symbol, quantity string) {
	p.t.Helper()
	p.call("POST", "/api/portfolios/"+portfolio+"/transactions", map[string]any{
		"type": "buy", "symbol": symbol, "quantity": quantity, "price": "100", "currency": "USD", "executed_at": "2026-01-05T15:00:00Z"}, 201, nil)
}

func TestPricesAndPortfolioAreLiveOnEveryDeviceOfTheirUser(t *testing.T) {
	h := newHouse(t)
	ana := h.register("ana@example.com")
	id := ana.portfolio()
	ana.buy(id, "AAPL", "3")

	phone := ana.socket()
	phone.typed("welcome")
	phone.send(`{"id":1,"type":"subscribe","channel":"prices","symbols":["AAPL","NOPE"]}`)
	ack := phone.typed("subscribed")
	if len(ack.Rejected) != 1 || ack.Rejected[0].Code != "unknown_symbol" || ack.Rejected[0].Symbol != "NOPE" {
		t.Errorf("rejected %+v", ack.Rejected)
	}
	if first := phone.typed("prices"); !first.Snapshot || first.Updates[0].S != "AAPL" {
		t.Errorf("first prices message %+v", first)
	}
	phone.until("a live price", func(m message) bool { return m.Type == "prices" && !m.Snapshot })
	phone.send(`{"id":2,"type":"subscribe","channel":"portfolio","portfolio":%q}`, id)
	snapshot := phone.until("the portfolio", func(m message) bool { return m.Type == "portfolio" && m.Snapshot })
	if len(snapshot.Holdings) != 1 || snapshot.Holdings[0].Quantity != "3" {
		t.Errorf("snapshot %+v", snapshot.Holdings)
	}
	phone.typed("valuation")

	laptop := ana.socket()
	laptop.typed("welcome")
	laptop.send(`{"id":9,"type":"call","method":"transaction.add","idempotency_key":"k1","params":{"portfolio":%q,"type":"buy","symbol":"AAPL","quantity":"2","price":"110","currency":"USD","executed_at":"2026-02-05T15:00:00Z"}}`, id)
	if m := laptop.until("the result", func(m message) bool { return m.ID == 9.0 }); m.Error != nil {
		t.Fatalf("transaction.add: %+v", m.Error)
	}
	changed := phone.until("the change", func(m message) bool { return m.Type == "portfolio" && !m.Snapshot })
	if changed.Version <= snapshot.Version || changed.Holdings[0].Quantity != "5" {
		t.Errorf("change %+v after version %d", changed, snapshot.Version)
	}
}

func TestRevocationClosesTheSocketWhicheverWayItIsDone(t *testing.T) {
	h := newHouse(t)
	ways := []struct {
		name string
		end  func(victim *person)
	}{
		{"DEL by hand", func(victim *person) {
			for _, key := range h.redis.Keys(t.Context(), "rt:s:*").Val() {
				if h.redis.HGet(t.Context(), key, "uid").Val() == victim.id {
					h.redis.Del(t.Context(), key)
				}
			}
		}},
		{"the owner on another device", func(victim *person) {
			other := h.login(victim.email)
			other.call("DELETE", "/api/auth/sessions/"+victim.session, nil, 204, nil)
		}},
		{"rosetree sessions revoke", func(victim *person) {
			h.command("sessions", "revoke", victim.session, "--reason", "a test")
		}},
	}
	for i, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			victim := h.register(fmt.Sprintf("victim%d@example.com", i))
			ws := victim.socket()
			ws.typed("welcome")
			way.end(victim)
			if bye := ws.typed("bye"); bye.Reason != "session_revoked" {
				t.Errorf("bye %+v", bye)
			}
			if code := ws.closed(); code != 4500 {
				t.Errorf("closed with %d", code)
			}
			status, _, body := h.send("GET", "/api/portfolios", victim.token, nil)
			if status != 401 || !strings.Contains(string(body), "session_revoked") {
				t.Errorf("afterwards: %d %s", status, body)
			}
		})
	}
}

func TestWhatBelongsToAnotherUserIsNotFound(t *testing.T) {
	h := newHouse(t)
	ana, bob := h.register("ana@example.com"), h.register("bob@example.com")
	id := ana.portfolio()
	ana.buy(id, "AAPL", "3")
	const missing = "01890000-0000-7000-8000-000000000000"
	for _, path := range []string{"", "/holdings", "/transactions", "/accounts", "/performance", "/history", "/export?format=csv"} {
		_, _, foreign := bob.send("GET", "/api/portfolios/"+id+path, bob.token, nil)
		status, _, absent := bob.send("GET", "/api/portfolios/"+missing+path, bob.token, nil)
		if status != 404 || withoutRequest(foreign) != strings.ReplaceAll(withoutRequest(absent), missing, id) {
			t.Errorf("%s: %d; foreign %s\nabsent %s", path, status, foreign, absent)
		}
	}
	ws := bob.socket()
	ws.typed("welcome")
	ws.send(`{"id":1,"type":"subscribe","channel":"portfolio","portfolio":%q}`, id)
	if m := ws.typed("error"); m.Error.Code != "not_found" {
		t.Errorf("subscribe: %+v", m.Error)
	}
	bob.call("DELETE", "/api/portfolios/"+id, nil, 404, nil)
	ana.call("GET", "/api/portfolios/"+id, nil, 200, nil)
}

// withoutRequest is a problem without what differs between any two requests.
func withoutRequest(body []byte) string {
	var m map[string]any
	_ = json.Unmarshal(body, &m)
	delete(m, "request_id")
	text, _ := json.Marshal(m)
	return string(text)
}

func TestBadInputGetsTheDocumentedProblem(t *testing.T) {
	h := newHouse(t)
	ana := h.register("ana@example.com")
	id := ana.portfolio()
	transactions := "/api/portfolios/" + id + "/transactions"
	for _, tc := range []struct {
		name, method, path, token string
		body                      any
		status                    int
		code                      string
	}{
		{"wrong password", "POST", "/api/auth/login", "", map[string]any{"email": "ana@example.com", "password": "not-this-one"}, 401, "unauthenticated"},
		{"unknown user", "POST", "/api/auth/login", "", map[string]any{"email": "nobody@example.com", "password": "not-this-one"}, 401, "unauthenticated"},
		{"unknown field", "POST", transactions, ana.token, map[string]any{"tpye": "buy"}, 400, "bad_request"},
		{"body of 10 MB", "POST", transactions, ana.token, `{"note":"` + strings.Repeat("x", 10<<20) + `"}`, 413, "too_large"},
		{"log-in of 10 MB", "POST", "/api/auth/login", "", `{"email":"` + strings.Repeat("x", 10<<20) + `"}`, 413, "too_large"},
		{"truncated JSON", "POST", transactions, ana.token, `{"type":"buy"`, 400, "bad_request"},
		{"unknown symbol", "GET", "/api/prices/NOPE/candles?interval=1d", ana.token, nil, 404, "unknown_symbol"},
		{"foreign portfolio", "GET", "/api/portfolios/01890000-0000-7000-8000-000000000000", ana.token, nil, 404, "not_found"},
		{"no portfolio id", "GET", "/api/portfolios/x", ana.token, nil, 404, "not_found"},
		{"HTTP on /ws", "GET", "/ws", ana.token, nil, 400, "bad_request"},
		{"no such path", "GET", "/api/nothing", ana.token, nil, 404, "not_found"},
		{"garbage token", "GET", "/api/portfolios", "rt1.x.y", nil, 401, "unauthenticated"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			status, header, body := h.send(tc.method, tc.path, tc.token, tc.body)
			var p struct{ Code, Detail string }
			if err := json.Unmarshal(body, &p); err != nil {
				t.Fatalf("%d %s", status, body)
			}
			if status != tc.status || p.Code != tc.code || p.Detail == "" || header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%d %s, want %d %s", status, body, tc.status, tc.code)
			}
		})
	}
	t.Run("unknown user and wrong password answer alike", func(t *testing.T) {
		_, _, a := h.send("POST", "/api/auth/login", "", map[string]any{"email": "ana@example.com", "password": "not-this-one"})
		_, _, b := h.send("POST", "/api/auth/login", "", map[string]any{"email": "nobody@example.com", "password": "not-this-one"})
		if withoutRequest(a) != withoutRequest(b) {
			t.Errorf("%s\n%s", a, b)
		}
	})
}

func TestTheUpgradeRefusesAForeignOriginAndAnExpiredCookie(t *testing.T) {
	h := newHouse(t)
	h.register("ana@example.com")
	var cookie string
	header := h.do("POST", "/api/auth/login", "", map[string]any{"email": "ana@example.com", "password": "orchid-tandem-42"}, 200, nil)
	for _, c := range header.Values("Set-Cookie") {
		if strings.HasPrefix(c, "rosetree=") {
			cookie, _, _ = strings.Cut(c, ";")
		}
	}
	if cookie == "" {
		t.Fatalf("no cookie in %v", header)
	}
	upgrade := func(cookie, origin string) (int, string) {
		r, _ := http.NewRequest("GET", h.url+"/ws", nil)
		for name, value := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
			"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Cookie": cookie, "Origin": origin} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		res, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if res.StatusCode == http.StatusSwitchingProtocols {
			return res.StatusCode, ""
		}
		var p struct{ Code string }
		_ = json.NewDecoder(res.Body).Decode(&p)
		return res.StatusCode, p.Code
	}
	if status, code := upgrade(cookie, h.url); status != 101 {
		t.Fatalf("own origin: %d %s", status, code)
	}
	for _, origin := range []string{"", "null", "https://evil.example", h.url + ".evil.example", strings.Replace(h.url, "http:", "https:", 1)} {
		if status, code := upgrade(cookie, origin); status != 403 || code != "forbidden" {
			t.Errorf("origin %q: %d %s", origin, status, code)
		}
	}
	for _, key := range h.redis.Keys(t.Context(), "rt:s:*").Val() {
		h.redis.PExpire(t.Context(), key, 1)
	}
	for h.redis.Exists(t.Context(), h.redis.Keys(t.Context(), "rt:s:*").Val()...).Val() > 0 {
	}
	if status, code := upgrade(cookie, h.url); status != 401 || !strings.HasPrefix(code, "session_") {
		t.Errorf("expired cookie: %d %s", status, code)
	}
}

func TestHealthMetricsAndGracefulEnd(t *testing.T) {
	h := newHouse(t)
	for _, path := range []string{"/api/health", "/api/health/live", "/api/health/ready", "/api/health/auth-v2", "/api/health/auth-legacy"} {
		var out struct{ Status string }
		if h.do("GET", path, "", nil, 200, &out); out.Status != "ok" {
			t.Errorf("%s: %q", path, out.Status)
		}
	}
	ana := h.register("ana@example.com")
	ws := ana.socket()
	ws.typed("welcome")
	_, _, metrics := h.send("GET", "/metrics", "", nil)
	for _, want := range []string{"rosetree_hub_", "rosetree_auth_", "go_goroutines"} {
		if !strings.Contains(string(metrics), want) {
			t.Errorf("no %s in the metrics", want)
		}
	}
	if strings.Contains(string(metrics), ana.token) {
		t.Error("a token in the metrics")
	}
}

func TestANoticeOfAnAdminReachesEveryone(t *testing.T) {
	h := newHouse(t)
	root, ana := h.admin("root@example.com"), h.register("ana@example.com")
	ws := ana.socket()
	ws.typed("welcome")
	ws.send(`{"id":1,"type":"subscribe","channel":"notices"}`)
	ws.typed("subscribed")
	ana.call("POST", "/api/admin/notices", map[string]any{"text": "hello"}, 403, nil)
	root.call("POST", "/api/admin/notices", map[string]any{"text": "hello", "until": "2020-01-01T00:00:00Z"}, 422, nil)
	var made struct{ ID string }
	root.call("POST", "/api/admin/notices", map[string]any{"text": "We move on Friday.", "level": "warning"}, 201, &made)
	if n := ws.typed("notice"); n.Text != "We move on Friday." || n.Until != nil {
		t.Errorf("%+v", n)
	}
	var board hub.NoticeBoard
	h.do("GET", "/api/notices", "", nil, 200, &board)
	if len(board.Now) != 1 || board.Now[0].ID != made.ID || len(board.Past) != 0 {
		t.Errorf("the status page has %+v", board)
	}
	root.call("DELETE", "/api/admin/notices/"+made.ID, nil, 204, nil)
	if n := ws.typed("notice"); n.Until == nil {
		t.Errorf("taken away: %+v", n)
	}
	h.do("GET", "/api/notices", "", nil, 200, &board)
	if len(board.Now) != 0 || len(board.Past) != 1 || board.Past[0].Until == nil {
		t.Errorf("what was shown stays in the history: %+v", board)
	}
	root.call("DELETE", "/api/admin/notices/"+made.ID, nil, 404, nil)
	var planned struct{ ID string }
	root.call("POST", "/api/admin/notices", map[string]any{"text": "Maintenance.", "from": time.Now().Add(time.Hour)}, 201, &planned)
	root.call("DELETE", "/api/admin/notices/"+planned.ID, nil, 204, nil)
	begins := time.Now().Add(2 * time.Second)
	root.call("POST", "/api/admin/notices", map[string]any{"text": "It begins by itself.", "from": begins}, 201, nil)
	if n := ws.typed("notice"); n.Text != "It begins by itself." || time.Now().Before(begins) {
		t.Errorf("%+v, %v before its time", n, time.Until(begins))
	}
	var audit struct{ Entries []struct{ Action string } }
	root.call("GET", "/api/admin/audit?limit=5", nil, 200, &audit)
	if audit.Entries[1].Action != "notice.delete" || audit.Entries[4].Action != "notice.add" {
		t.Errorf("audit %+v", audit)
	}
}

func TestAnAdminRevokesAndTheReceiptCountsTheSocket(t *testing.T) {
	h := newHouse(t)
	root, ana := h.admin("root@example.com"), h.register("ana@example.com")
	ws := ana.socket()
	ws.typed("welcome")
	root.call("DELETE", "/api/admin/sessions/"+ana.session, map[string]any{}, 422, nil) // no reason
	var receipt struct {
		ID      int64
		Durable bool
		Redis   string
		Sockets int
	}
	root.call("DELETE", "/api/admin/sessions/"+ana.session, map[string]any{"reason": "lost phone"}, 200, &receipt)
	if !receipt.Durable || receipt.Redis != "ok" || receipt.ID == 0 || receipt.Sockets != 1 {
		t.Errorf("receipt %+v", receipt)
	}
	if code := ws.closed(); code != 4500 {
		t.Errorf("closed with %d", code)
	}
	var o struct{ Sockets, Sessions, Users int }
	root.call("GET", "/api/admin/overview", nil, 200, &o)
	if o.Sessions != 2 || o.Users != 1 { // the admin registered, and logged in
		t.Errorf("overview %+v", o)
	}
}
