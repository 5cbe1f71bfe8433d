package auth

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// proveAgo makes a session's proof of the password as old as d.
func (s *server) proveAgo(id SessionID, d time.Duration) {
	s.t.Helper()
	if err := s.redis.Client(s.t).HSet(s.t.Context(), sessionKey(id), "auth", time.Now().Add(-d).UnixMilli()).Err(); err != nil {
		s.t.Fatal(err)
	}
}

func TestStepUp_WhoEndsOtherSessionsOfHisOwnProvesThePasswordAgain(t *testing.T) {
	s := newServer(t, sessionsOn)
	s.seedUser("ada@example.test", RoleUser)
	one, g1 := s.login("ada@example.test", "bearer")
	two, g2 := s.login("ada@example.test", "bearer")
	three, _ := s.login("ada@example.test", "bearer")
	s.proveAgo(g1.Session.ID, stepUpFresh+time.Second)
	path := "/api/auth/sessions/" + string(g2.Session.ID)
	one.want(403, "step_up_required", "DELETE", path, nil)
	one.want(403, "step_up_required", "DELETE", "/api/auth/sessions?others=true", nil)
	one.want(200, "", "PATCH", path, map[string]string{"name": "phone"})
	two.want(200, "", "GET", "/api/auth/sessions", nil)

	one.want(422, "invalid", "POST", "/api/auth/step-up", map[string]string{"password": "wrong password"})
	one.want(403, "step_up_required", "DELETE", path, nil)
	one.bearer = into[grantView](t, one.want(200, "", "POST", "/api/auth/step-up", map[string]string{"password": goodPassword})).Tokens.Access
	one.want(204, "", "DELETE", path, nil)
	two.want(401, "session_revoked", "GET", "/api/auth/sessions", nil)
	one.want(204, "", "DELETE", "/api/auth/sessions?others=true", nil)
	three.want(401, "session_revoked", "GET", "/api/auth/sessions", nil)

	s.proveAgo(g1.Session.ID, stepUpFresh+time.Second)
	one.want(204, "", "DELETE", "/api/auth/sessions/"+string(g1.Session.ID), nil) // to leave needs nothing
}

// A socket's principal is as old as its last read; the proof came by HTTP since.
func TestStepUp_ASocketsCallSeesAProofThatCameByHTTP(t *testing.T) {
	s := newServer(t, sessionsOn)
	s.seedUser("ada@example.test", RoleUser)
	c, g := s.login("ada@example.test", "bearer")
	p, err := s.auth.Authenticate(c.request())
	if err != nil {
		t.Fatal(err)
	}
	p.AuthAt = time.Now().Add(-time.Hour)
	if err := s.auth.requireStepUp(t.Context(), p); err != nil {
		t.Errorf("proven since: %v", err)
	}
	s.proveAgo(g.Session.ID, time.Hour)
	if err := s.auth.requireStepUp(t.Context(), p); err != error(errStepUp) {
		t.Errorf("not proven since: %v", err)
	}
}

// request is one of c's as a handler sees it.
func (c *client) request() *http.Request {
	r := httptest.NewRequest("POST", "/api/auth/login", nil)
	if c.bearer != "" {
		r.Header.Set("Authorization", "Bearer "+c.bearer)
	}
	return r
}

func TestRole_ADemotionThatCannotBeRecordedLeavesTooFewRightsAndNeverTooMany(t *testing.T) {
	s := newServer(t, sessionsOn)
	root := s.seedUser("root@example.test", RoleAdmin)
	c, g := s.login("root@example.test", "bearer")
	again := s.refuse("audit")
	if err := s.auth.SetRole(t.Context(), root.ID, RoleUser, tester); err == nil {
		t.Error("recorded without the audit")
	}
	again()
	c.want(403, "forbidden", "GET", "/api/admin/sessions", nil)
	if err := s.auth.SetRole(t.Context(), root.ID, RoleAdmin, tester); err != nil {
		t.Fatal(err)
	}
	c.want(200, "", "GET", "/api/admin/sessions", nil)
	s.redis.Freeze(t)
	defer s.redis.Thaw(t)
	if err := s.auth.SetRole(t.Context(), root.ID, RoleUser, tester); err != nil {
		t.Fatal(err)
	}
	if _, ended := s.auth.ends.denied.check(Principal{User: root.ID, Session: g.Session.ID, IssuedAt: g.Session.CreatedAt}); !ended {
		t.Error("a session keeps a right that was taken away while Redis is out")
	}
}
