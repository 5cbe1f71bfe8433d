package auth

import (
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

type syncWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *syncWriter) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(p)
}

func TestLogin_ABrowserGetsACookieAndAProgramATokenAndBothWork(t *testing.T) {
	s := newServer(t, sessionsOn)
	s.seedUser("ada@example.test", RoleUser)
	browser, g := s.login("ada@example.test", "cookie")
	if g.Auth != ViaSession || g.Tokens != nil || g.Session == nil || g.Session.Device.Name != "test" {
		t.Errorf("a browser's log-in: %+v", g)
	}
	program, g2 := s.login("ADA@example.test ", "bearer")
	if g2.Tokens == nil || !strings.HasPrefix(g2.Tokens.Access, "rt1.") || g2.Tokens.Fallback == "" || g2.Tokens.Legacy == "" {
		t.Errorf("a program's log-in: %+v", g2)
	}
	for _, c := range []*client{browser, program} {
		st := into[statusView](t, c.want(200, "", "GET", "/api/auth/status", nil))
		if !st.Authenticated || st.User.Email != "ada@example.test" || st.Auth != ViaSession || st.Rollout.Cohort != "session" {
			t.Errorf("status: %+v", st)
		}
		list := into[ownSessions](t, c.want(200, "", "GET", "/api/auth/sessions", nil))
		if len(list.Sessions) != 2 {
			t.Errorf("sessions: %+v", list)
		}
	}
	if nobody := into[statusView](t, s.program("").want(200, "", "GET", "/api/auth/status", nil)); nobody.Authenticated {
		t.Error("nobody is authenticated")
	}
}

func TestLogin_RefusalsAreTheDocumentedProblems(t *testing.T) {
	s := newServer(t, sessionsOn)
	s.seedUser("ada@example.test", RoleUser)
	c := s.program("")
	login := func(status int, code string, body any) {
		t.Helper()
		c.want(status, code, "POST", "/api/auth/login", body)
	}
	login(401, "unauthenticated", map[string]any{"email": "ada@example.test", "password": "wrong password"})
	login(401, "unauthenticated", map[string]any{"email": "nobody@example.test", "password": "wrong password"})
	login(400, "bad_request", map[string]any{"email": "ada@example.test", "passwort": goodPassword})
	login(400, "bad_request", `{"email":"ada@example.test"`)
	login(413, "too_large", map[string]any{"email": strings.Repeat("a", 5000), "password": "x"})
	login(422, "invalid", map[string]any{"email": "ada@example.test"})
	login(422, "invalid", map[string]any{"email": "ada@example.test", "password": goodPassword, "transport": "pigeon"})
	s.browser().want(422, "invalid", "POST", "/api/auth/login", map[string]any{"email": "ada@example.test", "password": goodPassword, "transport": "bearer"})
	c.want(401, "unauthenticated", "GET", "/api/auth/sessions", nil)
	s.program("rt1.nonsense").want(401, "unauthenticated", "GET", "/api/auth/sessions", nil)
	s.program(mintToken("abcdefghijkl").String()).want(401, "unauthenticated", "GET", "/api/auth/sessions", nil)
}

func TestRegister_MakesAnAccountAndLogsIn(t *testing.T) {
	s := newServer(t, sessionsOn)
	c := s.browser()
	body := map[string]any{"email": "new@example.test", "password": goodPassword, "display_name": "New"}
	g := into[grantView](t, c.want(201, "", "POST", "/api/auth/register", body))
	if g.User.Role != RoleUser || g.User.DisplayName != "New" || g.Auth != ViaSession {
		t.Errorf("%+v", g)
	}
	c.want(200, "", "GET", "/api/auth/sessions", nil)
	c.want(409, "conflict", "POST", "/api/auth/register", map[string]any{"email": "NEW@example.test", "password": goodPassword})
	for field, wrong := range map[string]map[string]any{
		"email": {"email": "no address", "password": goodPassword}, "password": {"email": "a@b.test", "password": "short"}, "common": {"email": "a@b.test", "password": "Password123"},
	} {
		if r := c.do("POST", "/api/auth/register", wrong); r.status != 422 {
			t.Errorf("%s: %d %s", field, r.status, r.body)
		}
	}
}

func TestLogout_TheSessionIsGoneEverywhere(t *testing.T) {
	s := newServer(t, sessionsOn)
	s.seedUser("ada@example.test", RoleUser)
	c, g := s.login("ada@example.test", "bearer")
	c.want(204, "", "POST", "/api/auth/logout", nil)
	c.want(401, "session_revoked", "GET", "/api/auth/sessions", nil)
	if n := s.redis.Client(t).Exists(t.Context(), sessionKey(g.Session.ID)).Val(); n != 0 {
		t.Error("the session is still in Redis")
	}
	s.program(g.Tokens.Legacy).want(401, "session_revoked", "GET", "/api/auth/sessions", nil)
	var reason string
	if err := s.owner().QueryRow(t.Context(), `SELECT end_reason FROM app.sessions WHERE id = $1`, g.Session.ID).Scan(&reason); err != nil || reason != "signed_out" {
		t.Errorf("record: %q %v", reason, err)
	}
	browser, _ := s.login("ada@example.test", "cookie")
	browser.want(204, "", "POST", "/api/auth/logout", nil)
	browser.want(401, "unauthenticated", "GET", "/api/auth/sessions", nil)
	browser.want(204, "", "POST", "/api/auth/logout", nil)
}

func TestSessions_ADeletedKeyIsARevocation(t *testing.T) {
	s := newServer(t, sessionsOn)
	s.seedUser("ada@example.test", RoleUser)
	c, g := s.login("ada@example.test", "bearer")
	s.redis.Client(t).Del(t.Context(), sessionKey(g.Session.ID))
	c.want(401, "session_revoked", "GET", "/api/auth/sessions", nil)
}

func TestSessions_ExpireByIdleAndByAge(t *testing.T) {
	cfg := sessionsOn
	cfg.SessionIdleTTL, cfg.SessionAbsoluteTTL = 2*time.Second, time.Hour
	s := newServer(t, cfg)
	s.seedUser("ada@example.test", RoleUser)
	var c *client
	for try := 1; ; try++ { // a starved machine may need longer than the session lives
		began := time.Now()
		c, _ = s.login("ada@example.test", "bearer")
		r := c.do("GET", "/api/auth/sessions", nil)
		if r.status == 200 {
			break
		}
		if inTime := time.Since(began) < cfg.SessionIdleTTL; inTime && r.status != 503 || try == 10 {
			t.Fatalf("try %d: %d %s", try, r.status, r.body)
		}
	}
	time.Sleep(cfg.SessionIdleTTL + 100*time.Millisecond)
	c.want(401, "session_expired", "GET", "/api/auth/sessions", nil)
}

func TestSessions_ListRenameRevoke(t *testing.T) {
	s := newServer(t, sessionsOn)
	s.seedUser("ada@example.test", RoleUser)
	s.seedUser("eve@example.test", RoleUser)
	one, g1 := s.login("ada@example.test", "bearer")
	two, g2 := s.login("ada@example.test", "bearer")
	three, _ := s.login("ada@example.test", "bearer")
	eve, _ := s.login("eve@example.test", "bearer")
	path := "/api/auth/sessions/" + string(g2.Session.ID)

	if v := into[sessionView](t, one.want(200, "", "PATCH", path, map[string]any{"device": map[string]string{"name": "phone"}})); v.Device.Name != "phone" || v.Current {
		t.Errorf("renamed: %+v", v)
	}
	list := into[ownSessions](t, one.want(200, "", "GET", "/api/auth/sessions", nil))
	names := map[SessionID]string{}
	for _, v := range list.Sessions {
		names[v.ID] = v.Device.Name
		if v.Current != (v.ID == g1.Session.ID) {
			t.Errorf("current: %+v", v)
		}
	}
	if len(names) != 3 || names[g2.Session.ID] != "phone" {
		t.Errorf("names: %v", names)
	}
	eve.want(404, "not_found", "PATCH", path, map[string]any{"name": "mine"})
	eve.want(404, "not_found", "DELETE", path, nil)
	one.want(404, "not_found", "DELETE", "/api/auth/sessions/nonsense", nil)
	one.want(204, "", "DELETE", path, nil)
	two.want(401, "session_revoked", "GET", "/api/auth/sessions", nil)
	one.want(422, "invalid", "DELETE", "/api/auth/sessions", nil)
	one.want(204, "", "DELETE", "/api/auth/sessions?others=true", nil)
	three.want(401, "session_revoked", "GET", "/api/auth/sessions", nil)
	list = into[ownSessions](t, one.want(200, "", "GET", "/api/auth/sessions", nil))
	if len(list.Sessions) != 1 || len(list.Ended) != 2 {
		t.Errorf("%+v", list)
	}
	eve.want(200, "", "GET", "/api/auth/sessions", nil)
}

func TestSessions_TheOldestGivesWay(t *testing.T) {
	cfg := sessionsOn
	cfg.SessionsPerUser = 3
	s := newServer(t, cfg)
	s.seedUser("ada@example.test", RoleUser)
	first, _ := s.login("ada@example.test", "bearer")
	var rest []*client
	for range 3 {
		c, _ := s.login("ada@example.test", "bearer")
		rest = append(rest, c)
	}
	first.want(401, "session_revoked", "GET", "/api/auth/sessions", nil)
	for _, c := range rest {
		c.want(200, "", "GET", "/api/auth/sessions", nil)
	}
}

func TestPassword_ChangeEndsTheOtherSessions(t *testing.T) {
	s := newServer(t, sessionsOn)
	s.seedUser("ada@example.test", RoleUser)
	one, _ := s.login("ada@example.test", "bearer")
	two, _ := s.login("ada@example.test", "bearer")
	one.want(422, "invalid", "POST", "/api/auth/password", map[string]any{"current": "wrong", "new": "another good password"})
	one.want(422, "invalid", "POST", "/api/auth/password", map[string]any{"current": goodPassword, "new": "password1"})
	one.want(204, "", "POST", "/api/auth/password", map[string]any{"current": goodPassword, "new": "another good password"})
	one.want(200, "", "GET", "/api/auth/sessions", nil)
	two.want(401, "session_revoked", "GET", "/api/auth/sessions", nil)
	s.program("").want(401, "unauthenticated", "POST", "/api/auth/login", map[string]any{"email": "ada@example.test", "password": goodPassword})
	s.program("").want(200, "", "POST", "/api/auth/login", map[string]any{"email": "ada@example.test", "password": "another good password"})
}

func TestAdmin_ListsAndRevokesWithAReasonAndAReceipt(t *testing.T) {
	s := newServer(t, sessionsOn)
	s.seedUser("root@example.test", RoleAdmin)
	ada := s.seedUser("ada@example.test", RoleUser)
	admin, _ := s.login("root@example.test", "bearer")
	user, g := s.login("ada@example.test", "bearer")
	user.want(403, "forbidden", "GET", "/api/admin/sessions", nil)
	page := into[SessionPage](t, admin.want(200, "", "GET", "/api/admin/sessions?q=ADA@", nil))
	if len(page.Sessions) != 1 || page.Sessions[0].ID != g.Session.ID || page.Sessions[0].User.Email != "ada@example.test" {
		t.Errorf("%+v", page)
	}
	if page = into[SessionPage](t, admin.want(200, "", "GET", "/api/admin/sessions?auth=legacy", nil)); len(page.Sessions) != 0 {
		t.Errorf("none of them is a legacy log-in: %+v", page)
	}
	admin.want(422, "invalid", "GET", "/api/admin/sessions?auth=neither", nil)
	page = into[SessionPage](t, admin.want(200, "", "GET", "/api/admin/sessions?limit=1&auth=session", nil))
	if page.Next == "" {
		t.Fatal("no cursor")
	}
	page = into[SessionPage](t, admin.want(200, "", "GET", "/api/admin/sessions?limit=1&cursor="+page.Next, nil))
	if len(page.Sessions) != 1 {
		t.Errorf("second page: %+v", page)
	}
	path := "/api/admin/sessions/" + string(g.Session.ID)
	admin.want(422, "invalid", "DELETE", path, nil)
	receipt := into[Receipt](t, admin.want(200, "", "DELETE", path, map[string]string{"reason": "stolen phone"}))
	if !receipt.Durable || receipt.Redis != "ok" || receipt.Sessions != 1 {
		t.Errorf("%+v", receipt)
	}
	user.want(401, "session_revoked", "GET", "/api/auth/sessions", nil)
	admin.want(404, "not_found", "DELETE", path, map[string]string{"reason": "again"})
	user, _ = s.login("ada@example.test", "bearer")
	admin.want(200, "", "DELETE", "/api/admin/users/"+string(ada.ID)+"/sessions", map[string]string{"reason": "all of them"})
	user.want(401, "session_revoked", "GET", "/api/auth/sessions", nil)
	user, _ = s.login("ada@example.test", "bearer")
	user.want(200, "", "GET", "/api/auth/sessions", nil)
	log := into[auditPage](t, admin.want(200, "", "GET", "/api/admin/audit?action=session.revoke", nil))
	if len(log.Entries) != 2 {
		t.Errorf("audit: %+v", log)
	}
	if broken, lines, err := s.auth.VerifyAudit(t.Context()); err != nil || broken != 0 || lines == 0 {
		t.Errorf("chain: broken at %d of %d, %v", broken, lines, err)
	}
}
