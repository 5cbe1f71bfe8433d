package migrations_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"rosetree/internal/devstack"
	"rosetree/migrations"
)

var testKey = []byte("a key of the tests, 32 bytes long")

func migrate(ctx context.Context, ownerURL, runtimeURL string) error {
	return migrations.Up(ctx, ownerURL, migrations.Options{ContextKeys: [][]byte{testKey}, RuntimeURL: runtimeURL})
}

// psql runs a script as "psql URL < script" does, and returns what it printed and its exit code.
func psql(t testing.TB, url, script string) (string, int) {
	t.Helper()
	return run(t, script, devstack.PostgresProgram(t, "psql"), "-X", "-q", "-A", "-t", url)
}

func run(t testing.TB, stdin, name string, args ...string) (string, int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Env = append(os.Environ(), "PGOPTIONS=", "PGCONNECT_TIMEOUT=10")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatalf("%s: %v", name, err)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

func mustPsql(t testing.TB, url, script string) string {
	t.Helper()
	out, code := psql(t, url, script)
	if code != 0 {
		t.Fatalf("psql ended with %d: %s", code, out)
	}
	return strings.TrimSpace(out)
}

func file(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func schema(t testing.TB) string { return file(t, "001_enable_rls.sql") }

const selfTest = "\\set ON_ERROR_STOP 1\nSELECT app.test_rls_isolation();\n"

func mustPass(t testing.TB, url string) {
	t.Helper()
	if out := mustPsql(t, url, selfTest); !strings.HasPrefix(out, "ok: ") {
		t.Fatalf("the self-test says %q", out)
	}
}

func connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// as is url with another login.
func as(t testing.TB, url, user, password string) string {
	t.Helper()
	head, tail, ok := strings.Cut(url, "@")
	if !ok {
		t.Fatalf("no login in %q", url)
	}
	scheme, _, _ := strings.Cut(head, "://")
	return scheme + "://" + user + ":" + password + "@" + tail
}

func empty(t testing.TB) devstack.DB { return devstack.Test(t).Empty(t) }
func fresh(t testing.TB) devstack.DB { return devstack.Test(t).Database(t, migrate) }

func sorted(text string) string {
	lines := strings.Split(text, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func firstDifference(a, b string) string {
	as, bs := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(as), len(bs)) {
		if as[i] != bs[i] {
			return as[i] + "\n" + bs[i]
		}
	}
	return "one has more lines than the other"
}
