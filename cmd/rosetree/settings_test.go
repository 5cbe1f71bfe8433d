package main

import (
	"strings"
	"testing"
	"time"
)

type sample struct {
	Inner struct {
		Percentage int    `env:"NEW_AUTH_PERCENTAGE" envDefault:"0"`
		Key        uint16 `env:"SOME_SECRET" secret:"true"`
	}
	Database string        `env:"DATABASE_URL,required" doc:"where PostgreSQL is"`
	Idle     time.Duration `env:"SESSION_IDLE_TTL" envDefault:"24h"`
	On       bool          `env:"NEW_AUTH_ENABLED" envDefault:"false"`
}

func TestEveryWrongSettingIsNamedAtOnceAndNoSecretIsShown(t *testing.T) {
	_, err := loadSettings[sample]([]string{
		"NEW_AUTH_PERCENTAGE=ten", "SOME_SECRET=hunter2", "SESSION_IDLE_TTL=1 day", "ROSETREE_COLOUR=blue", "NEW_AUTH_ENABLD=true", "PATH=/bin",
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`NEW_AUTH_PERCENTAGE holds "ten", which is not a whole number`,
		`SOME_SECRET holds [secret], which is not a whole number`,
		`SESSION_IDLE_TTL holds "1 day", which is not a duration such as 30s or 24h`,
		`DATABASE_URL is not set: where PostgreSQL is`,
		`ROSETREE_COLOUR is not a setting`,
		`NEW_AUTH_ENABLD is not a setting; did you mean NEW_AUTH_ENABLED?`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("missing %q in:\n%v", want, err)
		}
	}
	if n := len(strings.Split(err.Error(), "\n")); n != 6 {
		t.Errorf("%d lines for 6 faults:\n%v", n, err)
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the secret is shown: %v", err)
	}
}

func TestSettingsTakeTheirDefaults(t *testing.T) {
	c, err := loadSettings[sample]([]string{"DATABASE_URL=postgres://x", "NEW_AUTH_ENABLED=true", "NEW_AUTH_ENABLEX=1"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Idle != 24*time.Hour || !c.On || c.Database != "postgres://x" {
		t.Errorf("%+v", c)
	}
}

func TestWhereTheServerListensIsCheckedBeforeItStarts(t *testing.T) {
	_, err := loadSettings[HTTPConfig]([]string{"LISTEN_ADDR=8080", "METRICS_ADDR=localhost", "TLS_KEY_FILE=key.pem"})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{`LISTEN_ADDR holds "8080", expected host:port`, `METRICS_ADDR holds "localhost", expected host:port`, "TLS_CERT_FILE and TLS_KEY_FILE belong together"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("missing %q in:\n%v", want, err)
		}
	}
	if _, err := loadSettings[HTTPConfig]([]string{"LISTEN_ADDR=:8080", "METRICS_ADDR="}); err != nil {
		t.Error(err)
	}
}
