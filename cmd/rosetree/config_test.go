package main

import (
	"os"
	"strings"
	"testing"
)

func TestTheSettingsPageIsWhatTheProgramReads(t *testing.T) {
	page, err := os.ReadFile("../../docs/configure.md")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	all := presentSettings(nil)
	if err := writeReference(&b, all); err != nil {
		t.Fatal(err)
	}
	if b.String() != string(page) {
		t.Error("docs/configure.md is old: go run ./cmd/rosetree config --markdown > docs/configure.md")
	}
	for _, s := range all {
		if s.Doc == "" {
			t.Errorf("%s has no meaning: give its field a doc tag", s.Name)
		}
	}
}

func TestConfigNeverShowsASecret(t *testing.T) {
	for _, s := range presentSettings([]string{"DATABASE_URL=postgres://u:hunter2@h/d", "REDIS_URL=redis://:hunter2@h", "SECRET_KEY=hunter2", "LEGACY_JWT_SECRET=hunter2"}) {
		if strings.Contains(s.Value, "hunter2") {
			t.Errorf("%s shows %s", s.Name, s.Value)
		}
	}
}
