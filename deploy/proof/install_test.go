package proof

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"rosetree/internal/devstack"
)

// What docs/install.md says to type by hand, typed: it ends in a server that takes a registration.
func TestTheInstallationOfTheDocs(t *testing.T) {
	text, err := os.ReadFile("../../docs/install.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "## By hand\n\n```sh\n")
	block, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("docs/install.md has no block of commands")
	}
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	stack, err := devstack.Start(t.Context(), devstack.Options{Dir: filepath.Join(dir, "stack")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stack.Close() })
	runtime := strings.Replace(stack.DatabaseURL, passwordOf(t, stack.DatabaseURL), "A-NEW-PASSWORD", 1)
	for said, meant := range map[string]string{
		"make build": "true", "postgres://OWNER:…@db/rosetree": stack.OwnerURL, "postgres://rosetree_api:A-NEW-PASSWORD@db/rosetree": runtime,
		"redis://default:…@redis:6379": stack.RedisURL, "bin/rosetree serve": "exec bin/rosetree serve",
	} {
		if strings.Count(block, said) != 1 {
			t.Fatalf("docs/install.md says %q %d times", said, strings.Count(block, said))
		}
		block = strings.Replace(block, said, meant, 1)
	}
	block = "set -e\n" + strings.ReplaceAll(block, "bin/rosetree", binary(t))
	s := serveBy(t, exec.Command("sh", "-c", block))
	v := newVisitor(t, newRecord(), s.url, "first@example.com", goodPassword)
	if status, err := v.ask(t.Context(), "POST", "/api/auth/register", "", map[string]string{"email": v.email, "password": v.password}, nil); err != nil {
		t.Errorf("%d %v", status, err)
	}
	if path := v.login(t.Context()); path != "session" {
		t.Errorf("a log-in gives %q: %v", path, v.rec.failures)
	}
}
