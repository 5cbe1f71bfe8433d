package main

import (
	"bytes"
	"strings"
	"testing"

	"rosetree/internal/devstack"
)

func rosetree(t *testing.T, args ...string) (string, error) {
	t.Helper()
	root, _ := newRoot()
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(args)
	err := root.ExecuteContext(t.Context())
	return out.String(), err
}

func TestMigrateBringsAnEmptyDatabaseUpAndSaysSo(t *testing.T) {
	db := devstack.Test(t).Empty(t)
	t.Setenv("DATABASE_URL", db.URL)
	t.Setenv("MIGRATE_DATABASE_URL", db.OwnerURL)
	if out, err := rosetree(t, "migrate", "status"); err != nil || !strings.Contains(out, "pending") {
		t.Errorf("status before: %q, %v", out, err)
	}
	if out, err := rosetree(t, "migrate", "verify"); err == nil {
		t.Errorf("verify before: %q", out)
	}
	for _, args := range [][]string{{"migrate", "up"}, {"migrate"}} {
		if out, err := rosetree(t, args...); err != nil || !strings.Contains(out, "up to date") {
			t.Errorf("%v: %q, %v", args, out, err)
		}
	}
	if out, err := rosetree(t, "migrate", "status", "--json"); err != nil || !strings.Contains(out, `"applied":true,"changed":false`) {
		t.Errorf("status after: %q, %v", out, err)
	}
	if out, err := rosetree(t, "migrate", "verify"); err != nil || !strings.HasPrefix(out, "ok: ") {
		t.Errorf("verify after: %q, %v", out, err)
	}
}

func TestMigrateNamesTheSettingThatIsMissing(t *testing.T) {
	t.Setenv("DATABASE_URL", "")
	if _, err := rosetree(t, "migrate", "up"); err == nil || !strings.Contains(err.Error(), "DATABASE_URL") {
		t.Errorf("%v", err)
	}
	t.Setenv("DATABASE_URL", "postgres://rosetree_api@127.0.0.1:1/x")
	if _, err := rosetree(t, "migrate", "up"); err == nil || !strings.Contains(err.Error(), "SECRET_KEY") {
		t.Errorf("%v", err)
	}
}
