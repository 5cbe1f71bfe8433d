package auth

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"rosetree/internal/api"
	"rosetree/internal/devstack"
)

// A client that goes away while its password waits to be hashed, or while Redis is asked, was neither let in nor refused, and is no
// failure of this server.
func TestLogin_AClientThatGoesAwayIsNobodysFailure(t *testing.T) {
	p, release := taken(t)
	defer release()
	env := devstack.Test(t)
	s := joinServer(t, sessionsOn, env.Redis(t), env.Database(t, migrate), func(a *Auth) { a.hashes = p })
	s.seedUser("ada@example.test", RoleUser)
	mux := http.NewServeMux()
	s.auth.Routes(mux)
	var log strings.Builder
	routes := api.Requests(slog.New(slog.NewTextHandler(&log, nil)), mux)

	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	login := httptest.NewRequestWithContext(ctx, "POST", "/api/auth/login", strings.NewReader(`{"email":"ada@example.test","password":"`+goodPassword+`"}`))
	login.Header.Set("Content-Type", "application/json")
	answered := make(chan struct{})
	go func() { defer close(answered); routes.ServeHTTP(httptest.NewRecorder(), login) }()
	p.queued(t, 1)
	leave()
	<-answered

	token := mintToken(s.auth.keys.utag(nobody))
	status := httptest.NewRequestWithContext(ctx, "GET", "/api/auth/status", nil)
	status.Header.Set("Authorization", "Bearer "+token.String())
	routes.ServeHTTP(httptest.NewRecorder(), status)

	if strings.Count(log.String(), "status=499") != 2 || strings.Contains(log.String(), "level=ERROR") || strings.Contains(log.String(), "level=WARN") {
		t.Errorf("the log says:\n%s", log.String())
	}
	families, err := s.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "rosetree_auth_logins_total" && m.GetCounter().GetValue() != 0 {
				t.Errorf("the log-in is counted: %v", m)
			}
		}
	}
	if failures := s.auth.recent.health().Failures; failures != 0 {
		t.Errorf("%d failures of ours", failures)
	}
}
