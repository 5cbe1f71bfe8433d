package proof

import (
	"bufio"
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rosetree/internal/devstack"
)

// The recipe of docs/clients sees prices and its portfolio, and stops by itself when its session is revoked.
func TestTheGoRecipeOfTheDocsWatchesUntilItsSessionEnds(t *testing.T) {
	env := devstack.Test(t)
	db, rds := env.Database(t, migrate), env.Redis(t)
	s := serve(t, "DATABASE_URL="+db.URL, "REDIS_URL="+rds.URL, "NEW_AUTH_ENABLED=true", "NEW_AUTH_PERCENTAGE=100", "PRICE_FEEDS=sim?rate=20", "WS_DRAIN=200ms")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	v := newVisitor(t, newRecord(), s.url, "reader@example.com", goodPassword)
	if status, err := v.ask(ctx, "POST", "/api/auth/register", "", map[string]string{"email": v.email, "password": v.password}, nil); err != nil {
		t.Fatal(status, err)
	}
	v.adopt(ctx)
	v.write(ctx)
	bin := filepath.Join(t.TempDir(), "recipe")
	if out, err := exec.Command("go", "build", "-o", bin, "rosetree/docs/clients").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	recipe := exec.CommandContext(ctx, bin, s.url, v.email, v.password)
	out, err := recipe.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	recipe.Stderr = &said
	if err := recipe.Start(); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		kind, _, _ := strings.Cut(lines.Text(), " ")
		seen[kind] = true
		if seen["price"] && seen["portfolio"] && !seen["revoked"] {
			seen["revoked"] = true
			if status, err := v.ask(ctx, "POST", "/api/auth/step-up", "", map[string]string{"password": v.password}, nil); err != nil {
				t.Fatal(status, err)
			}
			if status, err := v.ask(ctx, "DELETE", "/api/auth/sessions?others=true", "", nil, nil); err != nil {
				t.Fatal(status, err)
			}
		}
	}
	err = recipe.Wait()
	if !seen["revoked"] || err == nil || !strings.Contains(said.String(), "session_revoked") {
		t.Errorf("saw %v and ended with %v %s", seen, err, said.String())
	}
}
