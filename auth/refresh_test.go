package auth

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// legacyOnly is the server of phase 1: everybody on the legacy path.
var legacyOnly = Config{LegacyAuthEnabled: true, LegacyJWTSecret: legacySecret}

// aged is raw as it would be had it been made so long ago.
func aged(t *testing.T, raw string, by time.Duration) string {
	t.Helper()
	c := jwt.MapClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(raw, c); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"iat", "nbf", "exp"} {
		c[name] = int64(c[name].(float64)) - int64(by/time.Second)
	}
	delete(c, "iat_ms")
	return forge(t, map[string]any{"alg": "HS256", "typ": "JWT"}, c, legacySecret)
}

type refreshed struct{ Tokens tokensView }

func TestRefresh_AnOldClientWhoseTokenEndedGoesOnAndWhatIsRevokedDoesNot(t *testing.T) {
	s := newServer(t, legacyOnly)
	s.seedUser("ada@example.test", RoleUser)
	c, g := s.login("ada@example.test", "bearer")
	if g.Auth != ViaLegacy || g.Tokens.Refresh == "" {
		t.Fatalf("%+v", g)
	}
	c.bearer = aged(t, g.Tokens.Access, 2*legacyToken)
	c.want(401, "unauthenticated", "GET", "/api/auth/sessions", nil)
	c.want(401, "unauthenticated", "POST", "/api/auth/refresh", nil)
	body := map[string]string{"refresh": g.Tokens.Refresh}
	for range 2 { // an answer that was lost on the way is asked for again
		c.bearer = into[refreshed](t, c.want(200, "", "POST", "/api/auth/refresh", body)).Tokens.Access
		c.want(200, "", "GET", "/api/auth/sessions", nil)
	}
	s.program(g.Tokens.Refresh).want(401, "unauthenticated", "GET", "/api/auth/sessions", nil) // it is no access token
	for name, wrong := range map[string]string{
		"another secret": g.Tokens.Refresh[:len(g.Tokens.Refresh)-4] + "AAAA", "another id": refreshText(token{SessionID(newID()), randomText(32)}),
		"the access token": g.Tokens.Access, "cut": g.Tokens.Refresh[:20], "a session's": mintToken("abcdefghijkl").String(),
	} {
		if r := s.program("").do("POST", "/api/auth/refresh", map[string]string{"refresh": wrong}); r.problem() != "unauthenticated" {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
	c.want(204, "", "POST", "/api/auth/logout", nil)
	s.program("").want(401, "session_revoked", "POST", "/api/auth/refresh", body)

	c, g = s.login("ada@example.test", "bearer")
	other, g2 := s.login("ada@example.test", "bearer")
	c.want(204, "", "POST", "/api/auth/password", map[string]any{"current": goodPassword, "new": newPassword})
	other.want(401, "session_revoked", "POST", "/api/auth/refresh", map[string]string{"refresh": g2.Tokens.Refresh})
	c.want(200, "", "POST", "/api/auth/refresh", map[string]string{"refresh": g.Tokens.Refresh})
	s.turn(Override{LegacyEnabled: new(false)})
	s.program("").want(401, "unauthenticated", "POST", "/api/auth/refresh", map[string]string{"refresh": g.Tokens.Refresh})
}

func TestRefresh_EndsWithTheSessionsAbsoluteLifeAndNoTokenOutlivesIt(t *testing.T) {
	s := newServer(t, legacyOnly)
	s.seedUser("ada@example.test", RoleUser)
	_, g := s.login("ada@example.test", "bearer")
	body := map[string]string{"refresh": g.Tokens.Refresh}
	age := func(left time.Duration) {
		t.Helper()
		if _, err := s.owner().Exec(t.Context(), `UPDATE app.sessions SET expires_at = now() + $2 WHERE id = $1`, g.Session.ID, left); err != nil {
			t.Fatal(err)
		}
	}
	age(10 * time.Minute)
	r := into[refreshed](t, s.program("").want(200, "", "POST", "/api/auth/refresh", body))
	if left := time.Until(r.Tokens.ExpiresAt); left > 10*time.Minute {
		t.Errorf("the token lives %v more, its session ten minutes", left)
	}
	age(-time.Second)
	s.program("").want(401, "session_expired", "POST", "/api/auth/refresh", body)
}

// The browser's access cookie ends after an hour; its refresh cookie brings the next one, and the session once the cohort is on.
func TestRefresh_ABrowserIsNeverSignedOutByTheHourAndBecomesASessionOnce(t *testing.T) {
	s := newServer(t, legacyOnly)
	s.seedUser("ada@example.test", RoleUser)
	b, _ := s.login("ada@example.test", "cookie")
	forget := func() { // as the browser does when the cookie's time has come
		at, _ := url.Parse(s.URL)
		b.http.Jar.SetCookies(at, []*http.Cookie{{Name: "rosetree", Path: "/", MaxAge: -1}})
	}
	forget()
	st := into[statusView](t, b.want(200, "", "GET", "/api/auth/status", nil))
	if st.Authenticated || !st.Refreshable {
		t.Fatalf("%+v", st)
	}
	evil := &client{s: s, http: b.http, header: http.Header{"Origin": {"https://evil.example"}, "Sec-Fetch-Site": {"cross-site"}}}
	evil.want(403, "forbidden", "POST", "/api/auth/refresh", nil)
	b.want(200, "", "POST", "/api/auth/refresh", nil)
	st = into[statusView](t, b.want(200, "", "GET", "/api/auth/status", nil))
	if !st.Authenticated || st.Auth != ViaLegacy {
		t.Fatalf("%+v", st)
	}
	s.turn(Override{NewAuth: new(true), Percentage: new(100.0)})
	forget()
	for range 2 { // two tabs
		b.want(200, "", "POST", "/api/auth/refresh", nil)
	}
	st = into[statusView](t, b.want(200, "", "GET", "/api/auth/status", nil))
	if st.Auth != ViaSession || st.Session.Device.Name != "test" {
		t.Fatalf("%+v", st)
	}
	forget()
	if st = into[statusView](t, b.want(200, "", "GET", "/api/auth/status", nil)); st.Refreshable {
		t.Error("the refresh cookie stays beside a session")
	}
}

func TestStepUp_ALegacySessionOfOursCanProveItsPasswordToo(t *testing.T) {
	s := newServer(t, legacyOnly)
	s.seedUser("ada@example.test", RoleUser)
	c, g := s.login("ada@example.test", "bearer")
	other, g2 := s.login("ada@example.test", "bearer")
	old := jwt.MapClaims{}
	_, _, _ = jwt.NewParser().ParseUnverified(g.Tokens.Access, old)
	old["amr"] = []map[string]any{{"method": "password", "timestamp": time.Now().Add(-stepUpFresh - time.Minute).Unix()}}
	c.bearer = forge(t, map[string]any{"alg": "HS256", "typ": "JWT"}, old, legacySecret)
	path := "/api/auth/sessions/" + string(g2.Session.ID)
	c.want(403, "step_up_required", "DELETE", path, nil)
	up := into[grantView](t, c.want(200, "", "POST", "/api/auth/step-up", map[string]string{"password": goodPassword}))
	c.want(401, "unauthenticated", "POST", "/api/auth/refresh", map[string]string{"refresh": g.Tokens.Refresh}) // replaced
	c.bearer = up.Tokens.Access
	c.want(204, "", "DELETE", path, nil)
	other.want(401, "session_revoked", "GET", "/api/auth/sessions", nil)
	c.want(200, "", "POST", "/api/auth/refresh", map[string]string{"refresh": up.Tokens.Refresh})
}
