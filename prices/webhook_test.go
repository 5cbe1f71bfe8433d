package prices_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"rosetree/prices"
)

// receiver is what a user's webhook points to: it answers what is given, one after the other, and then 204.
type receiver struct {
	*httptest.Server
	mu      sync.Mutex
	answers []int
	bodies  []string
	headers []http.Header
}

func newReceiver(t testing.TB, answers ...int) *receiver {
	r := &receiver{answers: answers}
	r.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.bodies, r.headers = append(r.bodies, string(body)), append(r.headers, q.Header)
		if len(r.answers) > 0 {
			w.Header().Set("Location", "https://127.0.0.1/elsewhere")
			w.WriteHeader(r.answers[0])
			r.answers = r.answers[1:]
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) got() (bodies []string, headers []http.Header) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bodies, r.headers
}

// webhookState is how the only firing's delivery stands.
func webhookState(t testing.TB, db prices.DB) (state string) {
	t.Helper()
	b := &pgx.Batch{}
	b.Queue(`SELECT concat_ws('|', webhook_tries, webhook_next IS NULL, webhook_done IS NOT NULL, webhook_error) FROM app.alert_firings`).QueryRow(func(row pgx.Row) error { return row.Scan(&state) })
	if err := db.Do(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	return state
}

func dueNow(t testing.TB, db prices.DB) {
	t.Helper()
	b := &pgx.Batch{}
	b.Queue(`UPDATE app.alert_firings SET webhook_next = now() WHERE webhook_next IS NOT NULL`)
	if err := db.Do(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

func TestAWebhookIsSentSignedAndAgainUntilItIsTaken(t *testing.T) {
	p := newPeople(t)
	r := newReceiver(t, http.StatusInternalServerError, http.StatusTemporaryRedirect)
	s, _ := p.alone(t, func(s *prices.Service) { s.ReachWebhooksHere(r.Certificate()) })
	ana := p.join(t)
	trade(t, s, "ACME", "90")
	b := &pgx.Batch{} // by hand, because nobody may name this machine
	a := do[prices.Alert](t, s, ana, "alert.add", map[string]any{"symbol": "ACME", "kind": "above", "threshold": "100", "note": "sell", "webhook": "https://example.org/hook"})
	if len(a.Secret) < 40 || a.Webhook == nil {
		t.Fatalf("%+v", a)
	}
	if again := do[alertList](t, s, ana, "alert.list", nil).Alerts[0]; again.Secret != "" {
		t.Error("the secret is shown again")
	}
	b.Queue(`UPDATE app.alerts SET webhook = $1`, r.URL+"/hook")
	if err := ana.Rows.Do(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	until(t, "the first try", func() bool { trade(t, s, "ACME", "101"); bodies, _ := r.got(); return len(bodies) == 1 })
	until(t, "it is noted", func() bool { return webhookState(t, p.feed) == "1|f|f|answered 500" })
	dueNow(t, p.feed)
	until(t, "the second: a redirect is not followed", func() bool { return webhookState(t, p.feed) == "2|f|f|answered 307" })
	dueNow(t, p.feed)
	until(t, "the third is taken", func() bool { return webhookState(t, p.feed) == "3|t|t|" })
	bodies, headers := r.got()
	if len(bodies) != 3 {
		t.Fatalf("%d posts", len(bodies))
	}
	at, v1, _ := strings.Cut(strings.TrimPrefix(headers[2].Get("Rosetree-Signature"), "t="), ",v1=")
	if want := prices.Signature(a.Secret, at, []byte(bodies[2])); v1 != want {
		t.Errorf("signed %q, want %q", v1, want)
	}
	if id := headers[0].Get("Rosetree-Alert"); id == "" || id != headers[2].Get("Rosetree-Alert") || !strings.Contains(bodies[2], `"ACME is at 101: at or above 100 (sell)"`) {
		t.Errorf("%s %s", id, bodies[2])
	}
}

// A name that leads to this machine passes the form, and is refused when the connection is made.
func TestAWebhookReachesNoAddressOfThisMachineOrItsNetwork(t *testing.T) {
	p := newPeople(t)
	r := newReceiver(t)
	s, _ := p.alone(t, func(s *prices.Service) { s.TrustOnly(r.Certificate()) })
	ana := p.join(t)
	trade(t, s, "ACME", "90")
	_, port, _ := strings.Cut(strings.TrimPrefix(r.URL, "https://"), ":")
	do[prices.Alert](t, s, ana, "alert.add", map[string]any{"symbol": "ACME", "kind": "above", "threshold": "100", "webhook": "https://localhost:" + port + "/"})
	until(t, "it is refused at the dial", func() bool {
		trade(t, s, "ACME", "101")
		var n int
		b := &pgx.Batch{}
		b.Queue(`SELECT count(*) FROM app.alert_firings WHERE webhook_error <> ''`).QueryRow(func(row pgx.Row) error { return row.Scan(&n) })
		return p.feed.Do(t.Context(), b) == nil && n == 1
	})
	if state := webhookState(t, p.feed); state != "1|f|f|the address is not a public one" {
		t.Error(state)
	}
	if bodies, _ := r.got(); len(bodies) > 0 {
		t.Errorf("it was reached: %s", bodies)
	}
	for _, text := range []string{"127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "168.63.129.16",
		"::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "::ffff:10.0.0.1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "ff02::1", "2001:db8::1", "::127.0.0.1"} {
		if prices.PublicAddress(netip.MustParseAddr(text)) == nil {
			t.Errorf("%s is let through", text)
		}
	}
	for _, text := range []string{"93.184.216.34", "1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1"} {
		if err := prices.PublicAddress(netip.MustParseAddr(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestAWebhookThatItsAlertNoLongerNamesIsNotSent(t *testing.T) {
	p := newPeople(t)
	r := newReceiver(t, http.StatusInternalServerError)
	s, _ := p.alone(t, func(s *prices.Service) { s.ReachWebhooksHere(r.Certificate()) })
	ana := p.join(t)
	trade(t, s, "ACME", "90")
	a := do[prices.Alert](t, s, ana, "alert.add", map[string]any{"symbol": "ACME", "kind": "above", "threshold": "100", "webhook": "https://example.org/"})
	b := &pgx.Batch{}
	b.Queue(`UPDATE app.alerts SET webhook = $1`, r.URL+"/hook")
	if err := ana.Rows.Do(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	until(t, "the first try", func() bool { trade(t, s, "ACME", "101"); bodies, _ := r.got(); return len(bodies) == 1 })
	until(t, "it is noted", func() bool { return webhookState(t, p.feed) == "1|f|f|answered 500" })
	do[prices.Alert](t, s, ana, "alert.update", map[string]any{"id": a.ID, "webhook": ""})
	dueNow(t, p.feed)
	until(t, "it is left", func() bool { return webhookState(t, p.feed) == "2|f|f|the alert no longer names this address" })
	if bodies, _ := r.got(); len(bodies) != 1 {
		t.Errorf("%d posts", len(bodies))
	}
}
