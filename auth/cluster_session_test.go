package auth

import (
	"fmt"
	"sync"
	"testing"

	"rosetree/internal/devstack"
)

func TestCluster_LogInLimitExchangeTicketsThrottlesAndRevocation(t *testing.T) {
	env := devstack.Test(t)
	c := env.StartCluster(t)
	cfg := sessionsOn
	cfg.SessionsPerUser, cfg.LegacyJWTSecret = 5, legacySecret
	rdb, err := OpenRedis(c.URL)
	if err != nil {
		t.Fatal(err)
	}
	s := joinServerBy(t, cfg, rdb, c.Nodes[0], env.Database(t, migrate))
	for i := range 6 { // on all masters
		s.seedUser(fmt.Sprintf("u%d@example.test", i), RoleUser)
		client, g := s.login(fmt.Sprintf("u%d@example.test", i), "bearer")
		if g.Auth != ViaSession {
			t.Fatalf("%+v", g)
		}
		if r := s.upgrade("", map[string]string{"Sec-WebSocket-Protocol": "rosetree.ticket." + s.ticket(client)}); r.status != 200 {
			t.Errorf("ticket: %d %s", r.status, r.body)
		}
		client.want(204, "", "DELETE", "/api/auth/sessions/"+string(g.Session.ID), nil)
		client.want(401, "session_revoked", "GET", "/api/auth/sessions", nil)
	}
	u := s.seedUser("many@example.test", RoleUser)
	var wg sync.WaitGroup
	for range 60 {
		wg.Go(func() {
			if _, err := s.auth.issue(t.Context(), proof{user: u}, origin{}, "login"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	live, err := s.auth.sessions.ofUser(t.Context(), s.auth.keys.utag(u.ID))
	if err != nil || len(live) != 5 {
		t.Errorf("%d sessions live, %v", len(live), err)
	}
	for range accountRate.burst {
		s.program("").do("POST", "/api/auth/login", map[string]any{"email": "u1@example.test", "password": "a wrong guess"})
	}
	s.program("").want(429, "rate_limited", "POST", "/api/auth/login", map[string]any{"email": "u1@example.test", "password": "a wrong guess"})
}
