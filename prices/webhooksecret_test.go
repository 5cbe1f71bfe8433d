package prices_test

import (
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"rosetree/auth"
	"rosetree/prices"
)

const lostSecret = "its secret cannot be opened any more: give the address again, which makes a new one"

// hooked is an alert whose webhook leads to this machine.
type hooked struct {
	people
	*receiver
	ana   prices.Owner
	alert prices.Alert
}

func newHooked(t *testing.T) *hooked {
	h := &hooked{people: newPeople(t), receiver: newReceiver(t)}
	h.ana = h.join(t)
	return h
}

// server runs a server that has these secrets in SECRET_KEY, until the test ends.
func (h *hooked) server(t *testing.T, secrets ...string) *prices.Service {
	t.Helper()
	var k auth.SecretKey
	if err := k.UnmarshalText([]byte(strings.Join(secrets, ","))); err != nil {
		t.Fatal(err)
	}
	s, _ := h.alone(t, func(s *prices.Service) { s.ReachWebhooksHere(h.Certificate()); s.SealWith(k.Sealer()) })
	trade(t, s, "ACME", "90")
	return s
}

// set makes the alert. The address is written by hand, because nobody may name this machine.
func (h *hooked) set(t *testing.T, s *prices.Service) {
	t.Helper()
	h.alert = do[prices.Alert](t, s, h.ana, "alert.add", map[string]any{"symbol": "ACME", "kind": "above", "threshold": "100", "webhook": "https://example.org/hook"})
	h.sql(t, `UPDATE app.alerts SET webhook = $1`, h.URL+"/hook")
}

func (h *hooked) sql(t *testing.T, sql string, args ...any) {
	t.Helper()
	b := &pgx.Batch{}
	b.Queue(sql, args...)
	if err := h.ana.Rows.Do(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

// row is the alert's secret as the database shows it, and its revision.
func (h *hooked) row(t *testing.T) (open string, sealed []byte, revision int) {
	t.Helper()
	b := &pgx.Batch{}
	b.Queue(`SELECT coalesce(webhook_secret, ''), webhook_sealed, revision FROM app.alerts WHERE id = $1::text::uuid`, h.alert.ID).QueryRow(func(row pgx.Row) error {
		return row.Scan(&open, &sealed, &revision)
	})
	if err := h.ana.Rows.Do(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	return open, sealed, revision
}

// fires has the alert come true once more.
func (h *hooked) fires(t *testing.T, s *prices.Service, enough func() bool) {
	t.Helper()
	do[prices.Alert](t, s, h.ana, "alert.update", map[string]any{"id": strings.ToUpper(h.alert.ID), "armed": true})
	until(t, "the alert's webhook", func() bool { trade(t, s, "ACME", "101"); return enough() })
}

// signs has it come true and reads what the webhook is sent.
func (h *hooked) signs(t *testing.T, s *prices.Service, secret string) {
	t.Helper()
	before, _ := h.got()
	h.fires(t, s, func() bool { bodies, _ := h.got(); return len(bodies) > len(before) })
	bodies, headers := h.got()
	body, said := bodies[len(bodies)-1], headers[len(bodies)-1].Get("Rosetree-Signature")
	at, v1, _ := strings.Cut(strings.TrimPrefix(said, "t="), ",v1=")
	if want := prices.Signature(secret, at, []byte(body)); v1 != want {
		t.Errorf("signed %q, want %q", v1, want)
	}
}

// says is what its user reads in the list of alerts.
func (h *hooked) says(t *testing.T, s *prices.Service, want string) {
	t.Helper()
	if got := do[alertList](t, s, h.ana, "alert.list", nil).Alerts[0].WebhookError; got != want {
		t.Errorf("the list says %q, want %q", got, want)
	}
}

const (
	oldSecret  = "6f6c64206f6c64206f6c64206f6c64206f6c64206f6c64206f6c64206f6c6420"
	nextSecret = "6e6578746e6578746e6578746e6578746e6578746e6578746e6578746e657874"
)

// While servers are replaced one by one, those of the release before write a secret in the clear. It counts, and is sealed.
func TestASecretThatAnOlderServerWroteSignsAndIsSealedWithoutMakingAnotherAlertOfIt(t *testing.T) {
	h := newHooked(t)
	s := h.server(t, oldSecret)
	h.set(t, s)
	if open, sealed, _ := h.row(t); open != "" || len(sealed) == 0 || strings.Contains(string(sealed), h.alert.Secret) {
		t.Fatalf("a new secret stands in the clear: %q %x", open, sealed)
	}
	const newer = "A-SECRET-THAT-THE-RELEASE-BEFORE-HAS-WRITTEN"
	h.sql(t, `UPDATE app.alerts SET webhook_secret = $1`, newer) // as that one does: it knows nothing of what is sealed
	h.signs(t, s, newer)
	open, before, revision := h.row(t)
	if open != newer {
		t.Fatalf("%q", open)
	}
	go func() { _ = s.KeepSealed(t.Context(), 10*time.Millisecond) }()
	until(t, "it is sealed", func() bool { open, _, _ := h.row(t); return open == "" })
	if _, sealed, now := h.row(t); string(sealed) == string(before) || now != revision {
		t.Errorf("sealed %x after %x, revision %d after %d", sealed, before, now, revision)
	}
	h.signs(t, s, newer)
	h.says(t, s, "")
}

func TestGoingBackToTheReleaseBeforeFindsEverySecretInTheClear(t *testing.T) {
	h := newHooked(t)
	s := h.server(t, oldSecret)
	h.set(t, s)
	_, _, revision := h.row(t)
	for range 2 { // a second time changes nothing
		if _, err := s.OpenWebhooks(t.Context()); err != nil {
			t.Fatal(err)
		}
		if open, sealed, now := h.row(t); open != h.alert.Secret || sealed != nil || now != revision {
			t.Errorf("%q %x, revision %d after %d", open, sealed, now, revision)
		}
	}
	if sum, err := s.SealWebhooks(t.Context()); err != nil || sum != (prices.WebhookSecrets{Changed: 1}) {
		t.Errorf("%+v %v", sum, err)
	}
	if sum, err := s.SealWebhooks(t.Context()); err != nil || sum != (prices.WebhookSecrets{}) {
		t.Errorf("sealed a second time: %+v %v", sum, err)
	}
	h.signs(t, s, h.alert.Secret)
}

func TestASecretSignsAfterSecretKeyWasRotatedAndIsAskedForAnewWhenItsKeyIsGone(t *testing.T) {
	h := newHooked(t)
	t.Run("before", func(t *testing.T) { h.set(t, h.server(t, oldSecret)) })
	t.Run("both named", func(t *testing.T) {
		s := h.server(t, nextSecret, oldSecret)
		h.signs(t, s, h.alert.Secret)
	})
	t.Run("the old one taken away too early", func(t *testing.T) {
		s := h.server(t, nextSecret)
		h.says(t, s, lostSecret)
		before, _ := h.got()
		h.fires(t, s, func() bool { return lastWebhookError(t, h.feed) == lostSecret })
		if bodies, _ := h.got(); len(bodies) > len(before) {
			t.Error("it was sent without its signature")
		}
		if sum, err := s.SealWebhooks(t.Context()); err != nil || sum != (prices.WebhookSecrets{Lost: 1}) {
			t.Errorf("%+v %v", sum, err)
		}
	})
	t.Run("and put back", func(t *testing.T) {
		s := h.server(t, nextSecret, oldSecret)
		h.says(t, s, "")
		if sum, err := s.SealWebhooks(t.Context()); err != nil || sum != (prices.WebhookSecrets{Changed: 1}) {
			t.Fatalf("%+v %v", sum, err)
		}
	})
	t.Run("after", func(t *testing.T) { s := h.server(t, nextSecret); h.signs(t, s, h.alert.Secret) })
	t.Run("given again", func(t *testing.T) {
		s := h.server(t, oldSecret)
		h.says(t, s, lostSecret)
		again := do[prices.Alert](t, s, h.ana, "alert.update", map[string]any{"id": strings.ToUpper(h.alert.ID), "webhook": "https://example.org/hook"})
		if again.WebhookError != "" || len(again.Secret) < 40 || again.Secret == h.alert.Secret {
			t.Fatalf("%+v", again)
		}
		h.sql(t, `UPDATE app.alerts SET webhook = $1`, h.URL+"/hook")
		h.signs(t, s, again.Secret)
	})
}

// Whoever writes to the database can put a sealed secret into another row, and gains nothing.
func TestASealedSecretIsWorthNothingInAnotherRow(t *testing.T) {
	h := newHooked(t)
	s := h.server(t, oldSecret)
	h.set(t, s)
	other := do[prices.Alert](t, s, h.ana, "alert.add", map[string]any{"symbol": "ACME", "kind": "below", "threshold": "1", "webhook": "https://example.org/other"})
	h.sql(t, `UPDATE app.alerts SET webhook_sealed = (SELECT webhook_sealed FROM app.alerts WHERE id = $1::text::uuid) WHERE id = $2::text::uuid`, h.alert.ID, other.ID)
	for _, a := range do[alertList](t, s, h.ana, "alert.list", nil).Alerts {
		if moved := a.ID == other.ID; moved != (a.WebhookError == lostSecret) {
			t.Errorf("moved %v: %q", moved, a.WebhookError)
		}
	}
}

func lastWebhookError(t *testing.T, db prices.DB) (said string) {
	t.Helper()
	b := &pgx.Batch{}
	b.Queue(`SELECT coalesce((SELECT webhook_error FROM app.alert_firings WHERE webhook_tries > 0 ORDER BY id DESC LIMIT 1), '')`).QueryRow(func(row pgx.Row) error { return row.Scan(&said) })
	if err := db.Do(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	return said
}
