package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// What is a user's own reaches their sockets, survives a reconnect, and nobody else hears it.
func TestAlertsWatchlistsAndOwnPricesReachTheirOwnersSocketsAndNobodyElses(t *testing.T) {
	h := newHouse(t)
	root, ana, bob := h.admin("root@example.org"), h.register("ana@example.org"), h.register("bob@example.org")
	root.call("PUT", "/api/instruments/ACME", map[string]any{"currency": "USD", "kind": "crypto"}, 200, nil)
	theirs := bob.socket()
	theirs.send(`{"id":1,"type":"subscribe","channel":"alerts"}`)
	theirs.send(`{"id":2,"type":"subscribe","channel":"watchlists"}`)
	first, second := ana.socket(), ana.socket()
	for _, s := range []*socket{first, second} {
		s.send(`{"id":1,"type":"subscribe","channel":"alerts"}`)
		s.send(`{"id":2,"type":"subscribe","channel":"watchlists"}`)
		s.typed("watchlists")
	}
	first.send(`{"id":3,"type":"call","method":"alert.add","params":{"symbol":"ACME","kind":"above","threshold":"100","note":"sell"}}`)
	second.typed("alerts_changed")
	root.call("POST", "/api/prices", map[string]any{"updates": []any{map[string]any{"s": "ACME", "p": "101"}}}, 200, nil)
	firing := first.typed("alert")
	if again := second.typed("alert"); again.ID != firing.ID {
		t.Errorf("one firing is %v here and %v there", firing.ID, again.ID)
	}
	late := ana.socket()
	late.send(`{"id":1,"type":"subscribe","channel":"alerts"}`)
	if kept := late.typed("alert"); kept.ID != firing.ID {
		t.Errorf("after a reconnect: %v", kept.ID)
	}
	ana.call("POST", "/api/alerts/seen", map[string]any{"ids": []any{firing.ID}}, 200, nil)
	second.typed("alerts_seen")

	var list struct{ ID string }
	ana.call("POST", "/api/watchlists", map[string]any{"name": "Tech", "symbols": []string{"acme", "BTC-USD", "ACME"}}, 201, &list)
	second.typed("watchlists")
	bob.call("PATCH", "/api/watchlists/"+list.ID, map[string]any{"name": "mine"}, 404, nil)

	// A manual instrument is valued, and a new price for it is pushed.
	ana.call("PUT", "/api/own/instruments/FLAT", map[string]any{"name": "The flat", "currency": "EUR"}, 200, nil)
	ana.call("PUT", "/api/own/instruments/FLAT/prices", map[string]any{"prices": []any{map[string]any{"date": "2026-01-02", "close": "250000"}}}, 200, nil)
	var portfolio struct{ ID string }
	ana.call("POST", "/api/portfolios", map[string]any{"name": "Home", "base_currency": "EUR"}, 201, &portfolio)
	ana.call("POST", "/api/portfolios/"+portfolio.ID+"/transactions", map[string]any{"type": "buy", "symbol": "FLAT", "quantity": "1", "price": "200000", "executed_at": "2026-01-01T12:00:00Z"}, 201, nil)
	first.send(`{"id":9,"type":"subscribe","channel":"portfolio","portfolio":%q}`, portfolio.ID)
	worth := func(value string) func(message) bool {
		return func(m message) bool {
			return m.Type == "portfolio" && len(m.Holdings) == 1 && m.Holdings[0].Symbol == "FLAT" && m.Holdings[0].Value == value
		}
	}
	first.until("the flat at its price", worth("250000.00"))
	ana.call("PUT", "/api/own/instruments/FLAT/prices", map[string]any{"prices": []any{map[string]any{"date": "2026-02-02", "close": "260000"}}}, 200, nil)
	first.until("the flat at its new price", worth("260000.00"))
	ana.call("DELETE", "/api/own/instruments/FLAT", nil, 409, nil)
	bob.call("PUT", "/api/own/instruments/FLAT/prices", map[string]any{"prices": []any{map[string]any{"date": "2026-02-02", "close": "1"}}}, 404, nil)
	bob.call("GET", "/api/own/instruments/FLAT/prices", nil, 404, nil)

	theirs.send(`{"id":5,"type":"ping"}`)
	theirs.until("nothing of another user", func(m message) bool {
		if text, _ := json.Marshal(m); m.Type == "alert" || m.Type == "alerts_seen" || m.Type == "alerts_changed" {
			t.Errorf("bob hears %s", text)
		}
		return m.Type == "pong"
	})
}

// What happens to a user's sessions is told to their own pages: begun, given another name, with another number of sockets, ended.
func TestOwnSessionsAreFollowedOnTheSocketsOfTheirOwnerAlone(t *testing.T) {
	h := newHouse(t)
	root, ana, bob := h.admin("root@example.org"), h.register("ana@example.org"), h.register("bob@example.org")
	mine, theirs := ana.socket(), bob.socket()
	for _, s := range []*socket{mine, theirs} {
		s.send(`{"id":1,"type":"subscribe","channel":"devices"}`)
		s.typed("subscribed")
	}
	told := func(event string, sockets int) any {
		return mine.until(event, func(m message) bool {
			return m.Type == "device" && m.Event == event && m.Sockets == sockets && m.ID != any(ana.session) // that mine is open is told, too
		}).ID
	}
	other := h.login("ana@example.org")
	id := told("started", 0)
	open := other.socket()
	if told("sockets", 1) != id {
		t.Error("the socket is another session's")
	}
	ana.call("PATCH", fmt.Sprintf("/api/auth/sessions/%v", id), map[string]any{"name": "The old laptop"}, 200, nil)
	told("renamed", 0)
	root.call("DELETE", fmt.Sprintf("/api/admin/sessions/%v", id), map[string]any{"reason": "a test"}, 200, nil)
	if told("ended", 0) != id {
		t.Error("another session ended")
	}
	open.closed()
	told("sockets", 0)
	theirs.send(`{"id":5,"type":"ping"}`)
	theirs.until("nothing of another user", func(m message) bool {
		if m.Type == "device" && m.ID != any(bob.session) {
			t.Errorf("bob hears %+v", m)
		}
		return m.Type == "pong"
	})
}

func TestALongImportIsFollowedOnTheSocketOfWhoBeganItAlone(t *testing.T) {
	h := newHouse(t)
	ana, bob := h.register("ana@example.org"), h.register("bob@example.org")
	var portfolio struct{ ID string }
	ana.call("POST", "/api/portfolios", map[string]any{"name": "P"}, 201, &portfolio)
	mine, theirs := ana.socket(), bob.socket()
	for _, s := range []*socket{mine, theirs} {
		s.send(`{"id":1,"type":"subscribe","channel":"imports"}`)
		s.typed("subscribed")
	}
	file := "Date,Code,Currency,Price,Quantity,Action,Fee\n" + strings.Repeat("2020-01-02,ODD,USD,10,1,buy,0\n", 2_000)
	ana.call("POST", "/api/portfolios/"+portfolio.ID+"/import?dry_run=true", file, 200, nil)
	phases := map[string]bool{}
	mine.until("the end of the import", func(m message) bool {
		phases[m.Phase] = phases[m.Phase] || m.Type == "import" && m.Portfolio == portfolio.ID
		return m.Phase == "done"
	})
	if !phases["checking"] || !phases["writing"] || !phases["done"] {
		t.Errorf("heard %v", phases)
	}
	theirs.send(`{"id":5,"type":"ping"}`)
	theirs.until("nothing of another user", func(m message) bool {
		if m.Type == "import" {
			t.Errorf("bob hears %+v", m)
		}
		return m.Type == "pong"
	})
}
