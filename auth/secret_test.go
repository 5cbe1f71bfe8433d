package auth

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestASecretIsNeverPrinted(t *testing.T) {
	var key SecretKey
	if err := key.UnmarshalText([]byte("hunter2hunter2hunter2hunter2hunter2hunter2hu")); err != nil {
		t.Fatal(err)
	}
	c := Config{LegacyJWTSecret: "hunter2"}
	for _, secret := range []any{key, &key, c.LegacyJWTSecret, c} {
		var log strings.Builder
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", secret)
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", secret)
		text, err := json.Marshal(secret)
		if err != nil {
			t.Fatal(err)
		}
		shown := fmt.Sprintf("%v %+v %#v %s", secret, secret, secret, secret) + log.String() + string(text)
		if strings.Contains(shown, "hunter2") || !strings.Contains(shown, "[secret]") {
			t.Errorf("%T is shown as %s", secret, shown)
		}
	}
}
