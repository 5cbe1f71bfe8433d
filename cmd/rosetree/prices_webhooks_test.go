package main

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"rosetree/auth"
)

func TestAnOperatorOpensAndSealsTheSecretsOfWebhooks(t *testing.T) {
	h := newHouse(t)
	var alert struct {
		Secret string `json:"webhook_secret"`
	}
	h.register("ana@example.org").call("POST", "/api/alerts", map[string]any{"symbol": "AAPL", "kind": "above", "threshold": "1000000", "webhook": "https://example.org/hook"}, 201, &alert)
	db, err := auth.OpenDB(t.Context(), auth.DBConfig{URL: auth.Secret(h.database)}, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	inTheClear := func(want string) {
		t.Helper()
		var got string
		b := &pgx.Batch{}
		b.Queue(`SELECT coalesce(webhook_secret, '') FROM app.alerts`).QueryRow(func(row pgx.Row) error { return row.Scan(&got) })
		if err := db.Service(auth.ServiceFeed).Do(t.Context(), b); err != nil || got != want {
			t.Errorf("in the clear stands %q, want %q: %v", got, want, err)
		}
	}
	inTheClear("")
	h.command("prices", "webhooks", "open", "--yes")
	inTheClear(alert.Secret)
	if code := run(t.Context(), []string{"prices", "webhooks", "open"}); code != 1 {
		t.Errorf("opened without --yes: exit code %d", code)
	}
	h.command("prices", "webhooks", "seal", "--json")
	inTheClear("")
}
