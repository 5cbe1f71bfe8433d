package prices_test

import (
	"fmt"
	"strings"
	"testing"

	"rosetree/prices"
)

type watchlists struct{ Watchlists []prices.Watchlist }

func TestWatchlistsKeepTheirOrderAndAreTheirOwnersAlone(t *testing.T) {
	p := newPeople(t)
	s, e := p.alone(t)
	ana, bob := p.join(t), p.join(t)
	ids := map[string]string{}
	for _, name := range []string{"A", "B", "C"} {
		ids[name] = do[prices.Watchlist](t, s, ana, "watchlist.add", map[string]any{"name": name, "symbols": []string{"acme", "BTC-USD", "ACME"}}).ID
	}
	names := func(o prices.Owner) string {
		var text strings.Builder
		for i, w := range do[watchlists](t, s, o, "watchlist.list", nil).Watchlists {
			if w.Position != i {
				t.Errorf("%s stands at %d and says %d", w.Name, i, w.Position)
			}
			text.WriteString(w.Name)
		}
		return text.String()
	}
	if names(ana) != "ABC" || names(bob) != "" {
		t.Fatalf("%q %q", names(ana), names(bob))
	}
	moved := do[prices.Watchlist](t, s, ana, "watchlist.update", map[string]any{"id": ids["C"], "position": 0, "symbols": []string{"ETH-USD", "ACME"}})
	if moved.Position != 0 || len(moved.Symbols) != 2 || moved.Symbols[0] != "ETH-USD" || moved.Name != "C" || names(ana) != "CAB" {
		t.Errorf("%+v %s", moved, names(ana))
	}
	do[prices.Watchlist](t, s, ana, "watchlist.update", map[string]any{"id": ids["C"], "position": 99, "name": " Z "})
	if names(ana) != "ABZ" {
		t.Error(names(ana))
	}
	until(t, "the user's connections are told the last state", func() bool {
		heard := e.of(ana.ID)
		if len(heard) == 0 {
			return false
		}
		last, ok := heard[len(heard)-1].(prices.WatchlistsMessage)
		return ok && len(last.Watchlists) == 3 && last.Watchlists[2].Name == "Z"
	})
	for _, call := range []string{"watchlist.update", "watchlist.delete"} {
		if _, err := try[any](t, s, bob, call, map[string]any{"id": ids["A"]}); err == nil {
			t.Errorf("another user may %s", call)
		}
	}
	do[any](t, s, ana, "watchlist.delete", map[string]any{"id": ids["A"]})
	if names(ana) != "BZ" || len(e.of(bob.ID)) != 0 {
		t.Errorf("%s, and another user hears %v", names(ana), e.of(bob.ID))
	}
	for field, input := range map[string]map[string]any{"name": {"name": " "}, "symbols": {"name": "x", "symbols": []string{"a b"}}} {
		if _, err := try[any](t, s, ana, "watchlist.add", input); fieldOf(err) != field {
			t.Errorf("%v: %v", input, err)
		}
	}
}

func TestOwnInstrumentsAndPricesAreTheirOwnersAlone(t *testing.T) {
	p := newPeople(t)
	s, _ := p.alone(t)
	ana, bob := p.join(t), p.join(t)
	do[prices.OwnInstrument](t, s, ana, "instrument.own.set", map[string]any{"symbol": "flat", "name": "The flat", "currency": "EUR", "isin": "XX1"})
	do[any](t, s, bob, "instrument.own.set", map[string]any{"symbol": "FLAT", "name": "Another", "currency": "USD"}) // one symbol, two owners
	do[any](t, s, ana, "price.own.set", map[string]any{"symbol": "FLAT", "prices": []any{map[string]any{"date": "2026-01-02", "close": "250000"}, map[string]any{"date": "2026-03-02", "close": "260000.50"}}})
	type list struct{ Instruments []prices.OwnInstrument }
	if got := do[list](t, s, ana, "instrument.own.list", map[string]any{"q": "xx1"}).Instruments; len(got) != 1 || got[0].Price.String() != "260000.5" && got[0].Price.String() != "260000.50" || *got[0].PriceDate != "2026-03-02" {
		t.Errorf("%+v", got)
	}
	if got := do[list](t, s, bob, "instrument.own.list", nil).Instruments; len(got) != 1 || got[0].Name != "Another" || got[0].Price != nil {
		t.Errorf("%+v", got)
	}
	found := func(o prices.Owner, q string) (text string) {
		for _, i := range do[struct{ Instruments []prices.FoundInstrument }](t, s, o, "instrument.search", map[string]any{"q": q}).Instruments {
			text += fmt.Sprintf("%s %s %s own %t;", i.Symbol, i.Name, i.Currency, i.Own)
		}
		return text
	}
	for _, c := range []struct {
		who     prices.Owner
		q, want string
	}{
		{ana, "flat", "FLAT The flat EUR own true;"}, {ana, "xx1", "FLAT The flat EUR own true;"}, {bob, "flat", "FLAT Another USD own true;"},
		{bob, "the flat", ""}, {bob, "XX1", ""}, {p.join(t), "flat", ""}, {bob, "acme", "ACME Acme USD own false;"},
	} {
		if got := found(c.who, c.q); got != c.want {
			t.Errorf("%q finds %q, not %q", c.q, got, c.want)
		}
	}
	do[any](t, s, ana, "price.own.delete", map[string]any{"symbol": "FLAT", "date": "2026-03-02"})
	if got := do[list](t, s, ana, "instrument.own.list", nil).Instruments; got[0].Price.String() != "250000" {
		t.Errorf("%+v", got)
	}
	for _, c := range []struct {
		name, field string
		input       map[string]any
	}{
		{"instrument.own.set", "symbol", map[string]any{"symbol": "ACME", "currency": "EUR"}}, // everybody's
		{"instrument.own.set", "currency", map[string]any{"symbol": "X", "currency": "GBX"}},
		{"instrument.own.set", "kind", map[string]any{"symbol": "X", "currency": "GBP", "kind": "house"}},
		{"price.own.set", "prices.close", map[string]any{"symbol": "FLAT", "prices": []any{map[string]any{"date": "2026-01-02", "close": "0"}}}},
		{"price.own.set", "prices.close", map[string]any{"symbol": "FLAT", "prices": []any{map[string]any{"date": "2026-01-02", "close": strings.Repeat("9", 60)}}}},
		{"price.own.set", "prices.date", map[string]any{"symbol": "FLAT", "prices": []any{map[string]any{"date": "2226-01-02", "close": "1"}}}},
		{"price.own.set", "", map[string]any{"symbol": "NOPE", "prices": []any{map[string]any{"date": "2026-01-02", "close": "1"}}}},
	} {
		if _, err := try[any](t, s, ana, c.name, c.input); err == nil || fieldOf(err) != c.field {
			t.Errorf("%s %v: %v", c.name, c.input, err)
		}
	}
	do[any](t, s, ana, "instrument.own.delete", map[string]any{"symbol": "FLAT"})
	if got := do[list](t, s, bob, "instrument.own.list", nil).Instruments; len(got) != 1 {
		t.Error("another user's instrument went too")
	}
}
