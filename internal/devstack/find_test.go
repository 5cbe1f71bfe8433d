package devstack

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAMissingServerIsNamedWithTheLineToType(t *testing.T) {
	t.Setenv("PATH", "")
	_, redisErr := findRedis(nil)
	_, postgresErr := findPostgres(0, nil)
	for server, err := range map[string]error{"Redis": redisErr, "PostgreSQL": postgresErr} {
		missing, ok := errors.AsType[*MissingError](err)
		if !ok || missing.Server != server || !strings.Contains(err.Error(), "Install it with:") || !strings.Contains(missing.Type, "install") {
			t.Errorf("%s: %v", server, err)
		}
	}
}

// pretend makes a folder that looks like a PostgreSQL of that version.
func pretend(t *testing.T, version string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"postgres", "initdb"} {
		script := "#!/bin/sh\necho '" + name + " (PostgreSQL) " + version + "'\n"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestTheNewestPostgresIsTakenOrTheOneThatMadeTheData(t *testing.T) {
	t.Setenv("PATH", "")
	old, fifteen, new := pretend(t, "13.4"), pretend(t, "15.18 (Debian 15.18-0+deb12u1)"), pretend(t, "17beta1")
	seventeen := pretend(t, "17.2")
	all := []string{old, fifteen, new, seventeen}
	if got, err := findPostgres(0, all); got != seventeen {
		t.Errorf("the newest is %s, %v", got, err)
	}
	if got, err := findPostgres(15, all); got != fifteen {
		t.Errorf("version 15 is %s, %v", got, err)
	}
	if _, err := findPostgres(16, all); err == nil || !strings.Contains(err.Error(), "PostgreSQL 16") || !strings.Contains(err.Error(), "--fresh") {
		t.Errorf("data of version 16: %v", err)
	}
	if _, err := findPostgres(0, []string{old}); err == nil || !strings.Contains(err.Error(), "13 is too old") {
		t.Errorf("version 13 alone: %v", err)
	}
}
