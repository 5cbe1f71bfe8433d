package auth

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

func TestRestore_BringsBackWhatLivedAndNothingThatWasRevoked(t *testing.T) {
	s := newServer(t, sessionsOn)
	s.seedUser("ada@example.test", RoleUser)
	s.seedUser("eve@example.test", RoleUser)
	live, _ := s.login("ada@example.test", "bearer")
	out, _ := s.login("ada@example.test", "bearer")
	out.want(204, "", "POST", "/api/auth/logout", nil)
	eve, _ := s.login("eve@example.test", "bearer")
	eve2, _ := s.login("eve@example.test", "bearer")
	eve.want(204, "", "DELETE", "/api/auth/sessions?others=true", nil)
	s.redis.Client(t).FlushAll(t.Context())
	live.want(401, "session_revoked", "GET", "/api/auth/sessions", nil)
	p, err := s.auth.RestoreSessions(t.Context(), 0, func(Progress) {})
	if err != nil || p.Made != 2 {
		t.Fatalf("%+v %v", p, err)
	}
	live.want(200, "", "GET", "/api/auth/sessions", nil)
	eve.want(200, "", "GET", "/api/auth/sessions", nil)
	out.want(401, "session_revoked", "GET", "/api/auth/sessions", nil)
	eve2.want(401, "session_revoked", "GET", "/api/auth/sessions", nil)
	if p, err := s.auth.RestoreSessions(t.Context(), 0, func(Progress) {}); err != nil || p.Made != 0 {
		t.Errorf("again: %+v %v", p, err)
	}
}

func TestBootstrap_TheFirstAdministratorOnce(t *testing.T) {
	cfg := sessionsOn
	cfg.Registration = "closed"
	s := newServer(t, cfg)
	body := func(email, token string) map[string]any {
		return map[string]any{"email": email, "password": goodPassword, "bootstrap": token}
	}
	c := s.program("")
	c.want(403, "forbidden", "POST", "/api/auth/register", map[string]any{"email": "ada@example.test", "password": goodPassword})
	c.want(403, "forbidden", "POST", "/api/auth/register", body("ada@example.test", "rtb.wrong"))
	token := s.auth.BootstrapToken()
	var made atomic.Int32
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			if r := s.program("").do("POST", "/api/auth/register", body(fmt.Sprintf("root%d@example.test", i), token)); r.status == 201 {
				made.Add(1)
			} else if r.problem() != "forbidden" {
				t.Errorf("%d %s", r.status, r.body)
			}
		})
	}
	wg.Wait()
	if made.Load() != 1 {
		t.Errorf("%d first administrators", made.Load())
	}
	if all, _ := s.auth.Users(t.Context()); len(all) != 1 || all[0].Role != RoleAdmin {
		t.Errorf("%+v", all)
	}
	c.want(403, "forbidden", "POST", "/api/auth/register", body("late@example.test", token))
}

func TestAudit_AChangedLineIsFound(t *testing.T) {
	s := newServer(t, sessionsOn)
	s.seedUser("ada@example.test", RoleUser)
	s.login("ada@example.test", "bearer")
	s.login("ada@example.test", "bearer")
	conn := s.owner()
	for _, statement := range []string{`UPDATE app.audit SET actor = 'somebody' WHERE id = 2`, `DELETE FROM app.audit WHERE id = 2`} {
		if _, err := conn.Exec(t.Context(), statement); err == nil {
			t.Errorf("%s is allowed", statement)
		}
	}
	if _, err := conn.Exec(t.Context(), `ALTER TABLE app.audit DISABLE TRIGGER append_only; UPDATE app.audit SET actor = 'somebody' WHERE id = 2`); err != nil {
		t.Fatal(err)
	}
	if broken, lines, err := s.auth.VerifyAudit(t.Context()); err != nil || broken != 2 || lines != 3 {
		t.Errorf("broken at %d of %d, %v", broken, lines, err)
	}
}
