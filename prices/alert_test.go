package prices_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/shopspring/decimal"

	"rosetree/auth"
	"rosetree/internal/api"
	"rosetree/internal/devstack"
	"rosetree/prices"
)

// people is a migrated database with users in it.
type people struct {
	db   *auth.DB
	feed prices.DB
}

func newPeople(t testing.TB) people {
	t.Helper()
	d := devstack.Test(t).Database(t, migrate)
	db, err := auth.OpenDB(t.Context(), auth.DBConfig{URL: auth.Secret(d.URL)}, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return people{db, db.Service(auth.ServiceFeed)}
}

// join makes a user.
func (p people) join(t testing.TB) prices.Owner {
	t.Helper()
	id := uuid.Must(uuid.NewV7()).String()
	b := &pgx.Batch{}
	b.Queue(`INSERT INTO app.users (id, email) VALUES ($1::text::uuid, $1::text || '@example.org')`, id)
	if err := p.db.Service(auth.ServiceAuth).Do(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	return prices.Owner{ID: id, Rows: p.rows(id)}
}

func (p people) rows(user string) prices.DB {
	return p.db.As(auth.Principal{User: auth.UserID(user)})
}

// do calls a user's operation by its name.
func do[O any](t testing.TB, s *prices.Service, o prices.Owner, name string, input map[string]any) O {
	t.Helper()
	out, err := try[O](t, s, o, name, input)
	if err != nil {
		t.Fatalf("%s %v: %v", name, input, err)
	}
	return out
}

func try[O any](t testing.TB, s *prices.Service, o prices.Owner, name string, input map[string]any) (out O, err error) {
	t.Helper()
	params, _ := json.Marshal(input)
	for _, op := range s.UserOperations() {
		if op.Name == name {
			answer, err := op.Call(context.Background(), o, params)
			if err != nil {
				return out, err
			}
			text, _ := json.Marshal(answer)
			if err := json.Unmarshal(text, &out); err != nil {
				t.Fatal(err)
			}
			return out, nil
		}
	}
	t.Fatalf("no operation %s", name)
	return out, nil
}

// ear is a user's connection, which follows everything.
type ear struct {
	mu    sync.Mutex
	heard map[string][]any // by user
}

func (e *ear) of(user string) []any {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.heard[user])
}

func (e *ear) firings(user string) (all []prices.AlertMessage) {
	for _, m := range e.of(user) {
		if a, ok := m.(prices.AlertMessage); ok {
			all = append(all, a)
		}
	}
	return all
}

func (p people) listen(s *prices.Service) *ear {
	e := &ear{heard: map[string][]any{}}
	s.FollowUsers(prices.Audience{
		Follows: func(string, string) bool { return true },
		Tell: func(_, user string, message any) {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.heard[user] = append(e.heard[user], message)
		},
		Rows: p.rows,
	})
	return e
}

// alone runs a server without Redis whose prices the test gives.
func (p people) alone(t testing.TB, before ...func(*prices.Service)) (*prices.Service, *ear) {
	t.Helper()
	s := newService(t, "sim?symbols=SOL-USD", p.feed)
	s.Book.Define(prices.Instrument{Symbol: "ACME", Name: "Acme", Kind: prices.KindCrypto, Currency: "USD"})
	e := p.listen(s)
	for _, change := range before {
		change(s)
	}
	inBackground(t, s)
	return s, e
}

type alertList struct{ Alerts []prices.Alert }
type firingList struct{ Firings []prices.Firing }

func trade(t testing.TB, s *prices.Service, symbol prices.Symbol, cost string) {
	t.Helper()
	var posted struct{ Accepted int }
	server := serve(t, s)
	until(t, "a posted price is newer than the last one", func() bool {
		return ask(t, server, "POST", "/api/prices", fmt.Sprintf(`{"updates":[{"s":%q,"p":%q}]}`, symbol, cost), &posted) == 200 && posted.Accepted == 1
	})
}

func armed(t testing.TB, s *prices.Service, o prices.Owner, id string) bool {
	t.Helper()
	for _, a := range do[alertList](t, s, o, "alert.list", nil).Alerts {
		if a.ID == id {
			return a.Armed
		}
	}
	t.Fatalf("no alert %s", id)
	return false
}

func TestAnAlertFiresOnceIsKeptAndToldAndArmsAgainWhenItsOwnerSaysSo(t *testing.T) {
	p := newPeople(t)
	s, e := p.alone(t)
	ana, bob := p.join(t), p.join(t)
	trade(t, s, "ACME", "90")
	a := do[prices.Alert](t, s, ana, "alert.add", map[string]any{"symbol": "acme", "kind": "above", "threshold": "100", "note": "sell"})
	until(t, "it is watched", func() bool { return s.WatchedLevel("ACME", a.ID) == "100" })
	for _, cost := range []string{"99.99", "100", "95", "101"} {
		trade(t, s, "ACME", cost)
	}
	until(t, "it is told", func() bool { return len(e.firings(ana.ID)) == 1 })
	if f := e.firings(ana.ID)[0]; f.Price.String() != "100" || f.Note != "sell" || f.Alert != a.ID || f.Symbol != "ACME" || f.Source != "ingest" {
		t.Errorf("told %+v", f)
	}
	if armed(t, s, ana, a.ID) {
		t.Error("it is still armed")
	}
	unseen, err := s.UnseenAlerts(t.Context(), ana)
	if err != nil || len(unseen) != 1 {
		t.Fatalf("a connection that comes later is told %v, %v", unseen, err)
	}
	if list := do[firingList](t, s, bob, "alert.firing.list", nil); len(list.Firings) != 0 || len(e.of(bob.ID)) != 0 {
		t.Errorf("another user sees %+v and hears %v", list, e.of(bob.ID))
	}
	id := e.firings(ana.ID)[0].ID
	if n := do[struct{ Seen int }](t, s, bob, "alert.seen", map[string]any{"ids": []string{id}}); n.Seen != 0 {
		t.Error("another user has seen it")
	}
	if n := do[struct{ Seen int }](t, s, ana, "alert.seen", map[string]any{"ids": []string{id}}); n.Seen != 1 {
		t.Error("it was not unseen")
	}
	if unseen, _ = s.UnseenAlerts(t.Context(), ana); len(unseen) != 0 {
		t.Errorf("what was seen is told again: %v", unseen)
	}
	trade(t, s, "ACME", "90")
	do[prices.Alert](t, s, ana, "alert.update", map[string]any{"id": a.ID, "armed": true})
	trade(t, s, "ACME", "91")
	until(t, "the change is in memory", func() bool { trade(t, s, "ACME", "102"); return len(e.firings(ana.ID)) == 2 })
	for _, c := range []struct {
		name  string
		input map[string]any
	}{
		{"alert.update", map[string]any{"id": a.ID, "note": "mine"}}, {"alert.delete", map[string]any{"id": a.ID}}, {"alert.delete", map[string]any{"id": "nonsense"}},
	} {
		if _, err := try[any](t, s, bob, c.name, c.input); err == nil || err.Error() == "" {
			t.Errorf("another user may %s", c.name)
		}
	}
}

func TestAnAlertThatIsNotForOnceArmsAgainWhenThePriceHasComeBackFarEnough(t *testing.T) {
	p := newPeople(t)
	s, e := p.alone(t)
	ana := p.join(t)
	trade(t, s, "ACME", "100")
	a := do[prices.Alert](t, s, ana, "alert.add", map[string]any{"symbol": "ACME", "kind": "below", "threshold": "90", "once": false})
	trade(t, s, "ACME", "91")
	until(t, "it fires", func() bool { trade(t, s, "ACME", "89"); return len(e.firings(ana.ID)) == 1 })
	until(t, "it waits for the price to come back", func() bool { return s.WatchedLevel("ACME", a.ID) == "90.45" })
	trade(t, s, "ACME", "90.2") // not far enough: half a per cent is 90.45
	trade(t, s, "ACME", "89.5")
	if armed(t, s, ana, a.ID) {
		t.Error("a flicker armed it")
	}
	until(t, "it arms again", func() bool { trade(t, s, "ACME", "90.45"); return armed(t, s, ana, a.ID) })
	until(t, "and fires again", func() bool { trade(t, s, "ACME", "90"); return len(e.firings(ana.ID)) == 2 })
}

func TestADayChangeAlertRefersToTheCloseBeforeAndOneThatHoldsFiresAtOnce(t *testing.T) {
	p := newPeople(t)
	s, e := p.alone(t)
	ana := p.join(t)
	yesterday := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -1)
	s.Book.Closed(prices.Close{Symbol: "ACME", Date: yesterday, Close: decimalOf("100"), Source: "file"})
	rise := do[prices.Alert](t, s, ana, "alert.add", map[string]any{"symbol": "ACME", "kind": "day_pct", "threshold": "2.5"})
	fall := do[prices.Alert](t, s, ana, "alert.add", map[string]any{"symbol": "ACME", "kind": "day_pct", "threshold": "-2.5"})
	trade(t, s, "ACME", "102.49")
	trade(t, s, "ACME", "97.51")
	until(t, "the rise fires", func() bool { trade(t, s, "ACME", "102.5"); return len(e.firings(ana.ID)) == 1 })
	until(t, "the fall fires", func() bool { trade(t, s, "ACME", "97.5"); return len(e.firings(ana.ID)) == 2 })
	if f := e.firings(ana.ID); f[0].Alert != rise.ID || f[1].Alert != fall.ID {
		t.Errorf("%+v", f)
	}
	do[prices.Alert](t, s, ana, "alert.add", map[string]any{"symbol": "ACME", "kind": "above", "threshold": "50"})
	until(t, "what holds already fires without a tick", func() bool { return len(e.firings(ana.ID)) == 3 })
}

func TestBadAlertsAreRefused(t *testing.T) {
	p := newPeople(t)
	s, _ := p.alone(t)
	ana := p.join(t)
	for _, c := range []struct {
		field string
		input map[string]any
	}{
		{"symbol", map[string]any{"symbol": "NOPE", "kind": "above", "threshold": "1"}},
		{"kind", map[string]any{"symbol": "ACME", "kind": "beside", "threshold": "1"}},
		{"threshold", map[string]any{"symbol": "ACME", "kind": "above", "threshold": "0"}},
		{"threshold", map[string]any{"symbol": "ACME", "kind": "above", "threshold": "NaN"}},
		{"threshold", map[string]any{"symbol": "ACME", "kind": "above", "threshold": "1e9"}},
		{"threshold", map[string]any{"symbol": "ACME", "kind": "day_pct", "threshold": "0"}},
		{"threshold", map[string]any{"symbol": "ACME", "kind": "day_pct", "threshold": "-100"}},
		{"webhook", map[string]any{"symbol": "ACME", "kind": "above", "threshold": "1", "webhook": "http://example.org/"}},
		{"webhook", map[string]any{"symbol": "ACME", "kind": "above", "threshold": "1", "webhook": "https://169.254.169.254/latest"}},
		{"webhook", map[string]any{"symbol": "ACME", "kind": "above", "threshold": "1", "webhook": "https://[::ffff:127.0.0.1]/"}},
		{"webhook", map[string]any{"symbol": "ACME", "kind": "above", "threshold": "1", "webhook": "https://user:pw@example.org/"}},
	} {
		_, err := try[prices.Alert](t, s, ana, "alert.add", c.input)
		if field := fieldOf(err); field != c.field {
			t.Errorf("%v: %v at %q", c.input, err, field)
		}
	}
}

// Three servers see every tick. Of those that reach the threshold one makes it fire.
func TestOnThreeServersAnAlertFiresExactlyOnceAndAllTellIt(t *testing.T) {
	p, r := newPeople(t), devstack.Test(t).Redis(t)
	var nodes []*node
	var ears []*ear
	for range 3 {
		var e *ear
		nodes = append(nodes, startNode(t, r, p.feed, "sim?symbols=SOL-USD", func(s *prices.Service) { e = p.listen(s) }))
		ears = append(ears, e)
	}
	server := serve(t, nodes[0].Service)
	var i prices.Instrument
	ask(t, server, "PUT", "/api/instruments/ACME", `{"currency":"USD","kind":"crypto"}`, &i)
	for _, n := range nodes {
		until(t, "all know ACME", func() bool { _, ok := n.Book.Instrument("ACME"); return ok })
	}
	ana := p.join(t)
	for range 20 {
		do[prices.Alert](t, nodes[0].Service, ana, "alert.add", map[string]any{"symbol": "ACME", "kind": "above", "threshold": "100", "once": true})
	}
	until(t, "all fire", func() bool {
		trade(t, nodes[1].Service, "ACME", "101")
		return len(do[firingList](t, nodes[2].Service, ana, "alert.firing.list", nil).Firings) >= 20
	})
	for k, e := range ears {
		until(t, "every server tells", func() bool { return len(e.firings(ana.ID)) >= 20 })
		ids := map[string]bool{}
		for _, f := range e.firings(ana.ID) {
			if ids[f.ID] {
				t.Errorf("server %d told %s twice", k, f.ID)
			}
			ids[f.ID] = true
		}
	}
	trade(t, nodes[1].Service, "ACME", "102")
	if n := len(do[firingList](t, nodes[2].Service, ana, "alert.firing.list", nil).Firings); n != 20 {
		t.Errorf("20 alerts fired %d times", n)
	}
}

func decimalOf(text string) decimal.Decimal { return decimal.RequireFromString(text) }

func fieldOf(err error) string {
	if err == nil {
		return "nowhere: it was taken"
	}
	return api.ProblemOf(err).Field
}
