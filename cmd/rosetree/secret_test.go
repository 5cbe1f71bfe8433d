package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"rosetree/internal/api"
)

// Whoever logs a config to find a mistake, in whatever way, must not put a secret into the log.
func TestNoWayOfPrintingTheSettingsShowsASecret(t *testing.T) {
	const hidden = "hunter2"
	environ := []string{
		"DATABASE_URL=postgres://rosetree_api:" + hidden + "@db/rosetree", "MIGRATE_DATABASE_URL=postgres://owner:" + hidden + "@db/rosetree",
		"REDIS_URL=redis://:" + hidden + "@redis", "SECRET_KEY=" + strings.Repeat(hidden, 6) + "hu", "LEGACY_JWT_SECRET=" + strings.Repeat(hidden, 5),
		"ALERT_WEBHOOK_URL=https://hooks.example/" + hidden, "ALPACA_SECRET_KEY=" + hidden, "FINNHUB_API_KEY=" + hidden,
	}
	serve, err := loadSettings[Config](environ)
	if err != nil {
		t.Fatal(err)
	}
	migrate, err := loadSettings[migrateSettings](environ)
	if err != nil {
		t.Fatal(err)
	}
	operate, err := loadSettings[operatorSettings](environ)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []any{serve, &serve, migrate, operate} {
		var shown strings.Builder
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&shown, verb, c)
		}
		text, err := json.Marshal(c)
		if err != nil {
			t.Errorf("%T as JSON: %v", c, err)
		}
		shown.Write(text)
		for _, h := range []slog.Handler{slog.NewJSONHandler(&shown, nil), slog.NewTextHandler(&shown, nil)} {
			slog.New(h).Info("x", "config", c)
		}
		if strings.Contains(shown.String(), hidden) || strings.Contains(shown.String(), fmt.Sprintf("%x", hidden)) || !strings.Contains(shown.String(), api.ShownSecret) {
			t.Errorf("%T is shown as %s", c, shown.String())
		}
	}
}

// A setting that is tagged as a secret has a type that hides itself, wherever it is printed.
func TestEverySecretSettingHasATypeThatHidesIt(t *testing.T) {
	for _, c := range []reflect.Type{reflect.TypeFor[Config](), reflect.TypeFor[migrateSettings](), reflect.TypeFor[operatorSettings]()} {
		for _, s := range listSettings(c) {
			if hides := s.kind.Implements(reflect.TypeFor[fmt.Formatter]()) && s.kind.Implements(reflect.TypeFor[slog.LogValuer]()); hides != s.secret {
				t.Errorf("%s of %v: tagged as a secret %v, its type %v hides it %v", s.Name, c, s.secret, s.kind, hides)
			}
		}
	}
}
