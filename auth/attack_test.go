package auth

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// upgrade asks for a socket with these headers.
func (s *server) upgrade(host string, headers map[string]string, cookies ...*http.Cookie) reply {
	s.t.Helper()
	req, err := http.NewRequest("GET", s.URL+"/ws", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if host != "" {
		req.Host = host
	}
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	for _, c := range cookies {
		req.AddCookie(c)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body := make([]byte, 4096)
	n, _ := resp.Body.Read(body)
	return reply{resp.StatusCode, resp.Header, body[:n]}
}

func (s *server) ticket(c *client) string {
	s.t.Helper()
	return into[TicketAnswer](s.t, c.want(200, "", "POST", "/api/auth/ticket", nil)).Ticket
}

func TestA1_OriginsOfTheUpgrade(t *testing.T) {
	cfg := sessionsOn
	cfg.AllowedOrigins = []string{"https://partner.example.com:8443"}
	s := newServer(t, cfg)
	s.seedUser("ada@example.test", RoleUser)
	c, g := s.login("ada@example.test", "bearer")
	const host = "app.example.com"
	origins := map[string]bool{ // allowed?
		"https://app.example.com": true, "https://APP.example.com": true, "https://app.example.com:443": true, "https://partner.example.com:8443": true,
		"null": false, "https://evil.example": false, "https://app.example.com.evil.example": false, "https://sub.app.example.com": false,
		"http://app.example.com": false, "https://app.example.com:444": false, "https://partner.example.com": false, "https://xn--pp-eka.example.com": false,
		"https://app.example.com@evil.example": false, "https://app.example.com/": false, "app.example.com": false, "file://": false,
	}
	for origin, allowed := range origins {
		want := map[bool]int{true: 200, false: 403}[allowed]
		cookie := &http.Cookie{Name: "__Host-rosetree", Value: g.Tokens.Access}
		if r := s.upgrade(host, map[string]string{"Origin": origin}, cookie); r.status != want {
			t.Errorf("cookie from %q: %d, want %d", origin, r.status, want)
		}
		if r := s.upgrade(host, map[string]string{"Origin": origin, "Authorization": "Bearer " + g.Tokens.Access}); r.status != want {
			t.Errorf("bearer from %q: %d, want %d", origin, r.status, want)
		}
		if r := s.upgrade(host, map[string]string{"Origin": origin, "Sec-WebSocket-Protocol": "rosetree.v1, rosetree.ticket." + s.ticket(c)}); r.status != want {
			t.Errorf("ticket from %q: %d, want %d", origin, r.status, want)
		}
	}
	cookie := &http.Cookie{Name: "__Host-rosetree", Value: g.Tokens.Access}
	if r := s.upgrade(host, nil, cookie); r.status != 403 || r.problem() != "forbidden" {
		t.Errorf("cookie without Origin: %d", r.status)
	}
	if r := s.upgrade(host, map[string]string{"Origin": "https://app.example.com", "Sec-Fetch-Site": "cross-site"}, cookie); r.status != 403 {
		t.Errorf("cookie that the browser calls cross-site: %d", r.status)
	}
	if r := s.upgrade(host, map[string]string{"Authorization": "Bearer " + g.Tokens.Access}); r.status != 200 {
		t.Errorf("bearer without Origin: %d", r.status)
	}
	if r := s.upgrade(host, map[string]string{"Origin": "https://app.example.com"}, &http.Cookie{Name: "rosetree", Value: g.Tokens.Access}); r.status != 401 {
		t.Errorf("the plain cookie outside loopback: %d", r.status)
	}
}

func TestA2_TwoCredentials(t *testing.T) {
	s := newServer(t, sessionsOn)
	s.seedUser("ada@example.test", RoleUser)
	_, one := s.login("ada@example.test", "bearer")
	c, two := s.login("ada@example.test", "bearer")
	cookie := &http.Cookie{Name: "rosetree", Value: one.Tokens.Access}
	bearer := map[string]string{"Authorization": "Bearer " + two.Tokens.Access, "Origin": s.URL}
	if r := s.upgrade("", bearer, cookie); r.status != 400 || r.problem() != "bad_request" {
		t.Errorf("cookie and bearer that differ: %d %s", r.status, r.body)
	}
	if r := s.upgrade("", map[string]string{"Origin": s.URL}, cookie, &http.Cookie{Name: "rosetree", Value: two.Tokens.Access}); r.status != 400 {
		t.Errorf("two cookies: %d", r.status)
	}
	withTicket := map[string]string{"Authorization": "Bearer " + two.Tokens.Access, "Sec-WebSocket-Protocol": "rosetree.ticket." + s.ticket(c)}
	if r := s.upgrade("", withTicket); r.status != 400 {
		t.Errorf("bearer and ticket: %d", r.status)
	}
	if r := s.upgrade("", map[string]string{"Origin": s.URL, "Sec-WebSocket-Protocol": "rosetree.ticket." + s.ticket(c)}, cookie); r.status != 400 {
		t.Errorf("ticket beside another session's cookie: %d", r.status)
	}
	req, _ := http.NewRequest("GET", s.URL+"/api/auth/sessions", nil)
	req.Header["Authorization"] = []string{"Bearer " + one.Tokens.Access, "Bearer " + two.Tokens.Access}
	if resp, err := http.DefaultClient.Do(req); err != nil || resp.StatusCode != 400 {
		t.Errorf("two headers: %v %v", resp.StatusCode, err)
	}
}

func TestA3_ForgedSessionIDsTouchNeitherRedisNorLogs(t *testing.T) {
	s := newServer(t, sessionsOn)
	rdb := s.redis.Client(t)
	good := mintToken("abcdefghijkl").String()
	before := rdb.Info(t.Context(), "commandstats").Val()
	for _, bad := range []string{
		"rt1.", good[:len(good)-1], good + "a", strings.Replace(good, ".", "*", 2), "rt1." + strings.Repeat("*", 28) + "." + good[33:],
		good[:10] + "\x00" + good[11:], good[:10] + "}" + good[11:], good[:10] + "?" + good[11:], "rt2" + good[3:], strings.Repeat("rt1.", 3000),
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header["Authorization"] = []string{"Bearer " + bad}
		if _, err := s.auth.Authenticate(r); err != error(errBadCredential) {
			t.Errorf("%.40q: %v", bad, err)
		}
	}
	if after := rdb.Info(t.Context(), "commandstats").Val(); calls(before, "evalsha") != calls(after, "evalsha") {
		t.Error("Redis was asked for a malformed id")
	}
}

func calls(info, command string) string {
	_, rest, _ := strings.Cut(info, "cmdstat_"+command+":calls=")
	n, _, _ := strings.Cut(rest, ",")
	return n
}

func FuzzToken(f *testing.F) {
	f.Add(mintToken("abcdefghijkl").String())
	f.Add("rt1.")
	f.Add("rt1.abcdefghijklmnopqrstuvwxyzAB.abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvw\n")
	f.Fuzz(func(t *testing.T, s string) {
		tok, err := parseToken(s)
		if err != nil {
			return
		}
		if tok.String() != s || !isSessionID(string(tok.id)) || strings.ContainsAny(sessionKey(tok.id), "*?[]\r\n\x00 ") {
			t.Errorf("accepted %q as %q", s, tok)
		}
	})
}

func TestA4_ASessionIsNeverAdoptedAndItsSecretChangesAtStepUp(t *testing.T) {
	s := newServer(t, sessionsOn)
	s.seedUser("ada@example.test", RoleUser)
	_, planted := s.login("ada@example.test", "bearer") // the attacker's own session, set as the victim's cookie
	req := strings.NewReader(fmt.Sprintf(`{"email":"ada@example.test","password":%q}`, goodPassword))
	r, _ := http.NewRequest("POST", s.URL+"/api/auth/login", req)
	r.Header.Set("Content-Type", "application/json")
	r.AddCookie(&http.Cookie{Name: "rosetree", Value: planted.Tokens.Access})
	resp, err := http.DefaultClient.Do(r)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%v %v", resp, err)
	}
	fresh := ""
	for _, c := range resp.Cookies() {
		if c.Name == "rosetree" {
			fresh = c.Value
		}
	}
	if fresh == "" || fresh == planted.Tokens.Access {
		t.Fatal("the log-in did not make a new session")
	}
	s.program(planted.Tokens.Access).want(401, "session_revoked", "GET", "/api/auth/sessions", nil)
	c := s.program(fresh)
	c.want(422, "invalid", "POST", "/api/auth/step-up", map[string]string{"password": "wrong password"})
	g := into[grantView](t, c.want(200, "", "POST", "/api/auth/step-up", map[string]string{"password": goodPassword}))
	if g.Tokens.Access == fresh || g.Tokens.Access[:32] != fresh[:32] {
		t.Error("the secret did not change, or the session did")
	}
	c.want(401, "unauthenticated", "GET", "/api/auth/sessions", nil)
	s.program(g.Tokens.Access).want(200, "", "GET", "/api/auth/sessions", nil)
}

func TestA5_ATicketOpensOneSocket(t *testing.T) {
	s := newServer(t, sessionsOn)
	s.seedUser("ada@example.test", RoleUser)
	c, _ := s.login("ada@example.test", "bearer")
	offer := func(ticket, origin string) int {
		h := map[string]string{"Sec-WebSocket-Protocol": "rosetree.v1, rosetree.ticket." + ticket}
		if origin != "" {
			h["Origin"] = origin
		}
		return s.upgrade("", h).status
	}
	ticket := s.ticket(c)
	var opened atomic.Int32
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if offer(ticket, "") == 200 {
				opened.Add(1)
			}
		})
	}
	wg.Wait()
	if opened.Load() != 1 {
		t.Errorf("%d sockets by one ticket", opened.Load())
	}
	browser, _ := s.login("ada@example.test", "cookie")
	if status := offer(s.ticket(browser), "http://127.0.0.1:1"); status != 403 {
		t.Errorf("from another origin: %d", status)
	}
	if status := offer(s.ticket(browser), ""); status != 401 {
		t.Errorf("without the origin that asked for it: %d", status)
	}
	if status := offer(s.ticket(browser), s.URL); status != 200 {
		t.Errorf("from the origin that asked for it: %d", status)
	}
	asked := time.Now()
	late := s.ticket(c)
	if ttl := s.redis.Client(t).PTTL(t.Context(), ticketKey(ticketTag(late))).Val(); ttl <= 29*time.Second-time.Since(asked) || ttl > 30*time.Second {
		t.Errorf("a ticket lives %v", ttl)
	}
	s.redis.Client(t).Del(t.Context(), ticketKey(ticketTag(late))) // as after 30 s
	if status := offer(late, ""); status != 401 {
		t.Errorf("late: %d", status)
	}
	ended := s.ticket(c)
	c.want(204, "", "POST", "/api/auth/logout", nil)
	if status := offer(ended, ""); status != 401 {
		t.Errorf("after the session's end: %d", status)
	}
}

func TestA8_ListsLogsMetricsAndRedisHoldNoSecret(t *testing.T) {
	s := newServer(t, sessionsOn)
	s.seedUser("root@example.test", RoleAdmin)
	s.seedUser("ada@example.test", RoleUser)
	admin, _ := s.login("root@example.test", "bearer")
	c, g := s.login("ada@example.test", "bearer")
	ticket := s.ticket(c)
	var out strings.Builder
	out.WriteString(string(c.do("GET", "/api/auth/sessions", nil).body) + string(admin.do("GET", "/api/admin/sessions", nil).body) +
		string(admin.do("GET", "/api/admin/audit", nil).body) + string(c.do("GET", "/api/auth/status", nil).body))
	tok, _ := parseToken(g.Tokens.Access)
	if strings.Contains(out.String(), tok.verifier()) {
		t.Error("a list shows the hash of a secret")
	}
	admin.want(404, "not_found", "DELETE", "/api/auth/sessions/"+string(g.Session.ID), nil)
	s.turn(Override{Rollback: new(true)})
	_, old := s.login("ada@example.test", "bearer")
	s.program("").want(200, "", "POST", "/api/auth/refresh", map[string]string{"refresh": old.Tokens.Refresh})
	s.turn(Override{Rollback: new(false)})
	rdb := s.redis.Client(t)
	dump := func() {
		for _, key := range rdb.Keys(t.Context(), "*").Val() {
			out.WriteString(key + fmt.Sprint(rdb.HGetAll(t.Context(), key).Val(), rdb.Get(t.Context(), key).Val()))
		}
	}
	dump() // with the sessions, and without
	c.want(204, "", "POST", "/api/auth/logout", nil)
	c.do("GET", "/api/auth/sessions", nil)
	dump()
	families, err := s.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out.WriteString(s.logs.String() + fmt.Sprint(families) + s.tables("users", "credentials", "sessions", "revocations", "audit", "rollout"))
	refresh, _ := parseRefresh(old.Tokens.Refresh)
	for name, secret := range map[string]string{"session": tok.secret, "fallback": g.Tokens.Fallback, "legacy": g.Tokens.Legacy, "ticket": ticket, "password": goodPassword,
		"legacy access": old.Tokens.Access, "refresh": refresh.secret, "device": g.Tokens.Device} {
		if secret == "" || strings.Contains(out.String(), secret) {
			t.Errorf("the %s is somewhere", name)
		}
	}
}

// tables is what PostgreSQL holds, as its owner sees it.
func (s *server) tables(names ...string) string {
	s.t.Helper()
	conn, all := superuser(s.t, s.db), ""
	for _, name := range names {
		var text string
		if err := conn.QueryRow(s.t.Context(), `SELECT coalesce(string_agg(t::text, ' '), '') FROM app.`+name+` t`).Scan(&text); err != nil {
			s.t.Fatal(err)
		}
		all += text
	}
	return all
}

func TestA11_AStrangerCannotLockAUserOut(t *testing.T) {
	s := newServer(t, sessionsOn)
	s.seedUser("ada@example.test", RoleUser)
	ada, _ := s.login("ada@example.test", "cookie") // this device is known now
	stranger, limited := s.program(""), false
	for range accountRate.burst + 5 {
		r := stranger.do("POST", "/api/auth/login", map[string]any{"email": "ada@example.test", "password": "a wrong guess"})
		limited = limited || r.status == 429 && r.header.Get("Retry-After") != ""
	}
	if !limited {
		t.Error("guessing was never slowed down")
	}
	ada.want(204, "", "POST", "/api/auth/logout", nil)
	ada.want(200, "", "POST", "/api/auth/login", map[string]any{"email": "ada@example.test", "password": goodPassword})
}

func TestA12_ForwardedAddressesCountFromTrustedProxiesAlone(t *testing.T) {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header["X-Forwarded-For"] = []string{"6.6.6.6, 203.0.113.9", "10.0.0.7"}
	ip := func(remote string, proxies ...string) string {
		w, err := newSurroundings(Config{TrustedProxies: proxies})
		if err != nil {
			t.Fatal(err)
		}
		r.RemoteAddr = remote
		return w.clientIP(r).String()
	}
	if got := ip("198.51.100.1:5"); got != "198.51.100.1" {
		t.Errorf("without proxies: %s", got)
	}
	if got := ip("198.51.100.1:5", "10.0.0.0/8"); got != "198.51.100.1" {
		t.Errorf("from a stranger: %s", got)
	}
	if got := ip("10.0.0.1:5", "10.0.0.0/8"); got != "203.0.113.9" {
		t.Errorf("through two proxies: %s", got)
	}
	w, _ := newSurroundings(Config{TrustedProxies: []string{"10.0.0.1"}})
	r.Header.Set("X-Forwarded-Proto", "https")
	r.RemoteAddr = "192.0.2.1:1"
	if w.secure(r) {
		t.Error("X-Forwarded-Proto of a stranger is believed")
	}
}

func TestA13_AdminActsNeedALateProofAndCookiesTheSameOrigin(t *testing.T) {
	s := newServer(t, sessionsOn)
	s.seedUser("root@example.test", RoleAdmin)
	s.seedUser("ada@example.test", RoleUser)
	admin, g := s.login("root@example.test", "bearer")
	_, victim := s.login("ada@example.test", "bearer")
	s.redis.Client(t).HSet(t.Context(), sessionKey(g.Session.ID), "auth", time.Now().Add(-stepUpFresh-time.Second).UnixMilli())
	path := "/api/admin/sessions/" + string(victim.Session.ID)
	admin.want(403, "step_up_required", "DELETE", path, map[string]string{"reason": "test"})
	admin.want(403, "step_up_required", "PUT", "/api/admin/rollout", map[string]any{"percentage": 10, "reason": "test"})
	admin.want(403, "step_up_required", "PUT", "/api/admin/lockdown", map[string]any{"lockdown": true, "reason": "test"})
	admin.want(200, "", "GET", "/api/admin/sessions", nil)
	up := into[grantView](t, admin.want(200, "", "POST", "/api/auth/step-up", map[string]string{"password": goodPassword}))
	admin.bearer = up.Tokens.Access
	admin.want(200, "", "DELETE", path, map[string]string{"reason": "test"})

	browser, _ := s.login("ada@example.test", "cookie")
	for _, foreign := range []http.Header{
		{"Origin": {"https://evil.example"}, "Sec-Fetch-Site": {"cross-site"}}, {"Origin": {"https://evil.example"}}, {"Sec-Fetch-Site": {"same-site"}}, {"Origin": {"null"}},
	} {
		browser.header = foreign
		browser.want(403, "forbidden", "POST", "/api/auth/ticket", nil)
		browser.want(403, "forbidden", "POST", "/api/auth/logout", nil)
		browser.want(403, "forbidden", "DELETE", "/api/auth/sessions?others=true", nil)
		browser.want(403, "forbidden", "POST", "/api/auth/login", map[string]any{"email": "ada@example.test", "password": goodPassword})
	}
}

func TestA14_AnOverwrittenSessionIsNone(t *testing.T) {
	s := newServer(t, sessionsOn)
	s.seedUser("ada@example.test", RoleUser)
	_, one := s.login("ada@example.test", "bearer")
	_, two := s.login("ada@example.test", "bearer")
	_, three := s.login("ada@example.test", "bearer")
	rdb := s.redis.Client(t)
	rdb.Set(t.Context(), sessionKey(one.Session.ID), "a string", 0)
	rdb.Rename(t.Context(), sessionKey(two.Session.ID), "elsewhere")
	rdb.HDel(t.Context(), sessionKey(three.Session.ID), "abs")
	for _, g := range []grantView{one, two, three} {
		if r := s.program(g.Tokens.Access).do("GET", "/api/auth/sessions", nil); r.status != 401 {
			t.Errorf("%d %s", r.status, r.body)
		}
	}
	s.login("ada@example.test", "bearer") // and the index with such keys in it lets the user in
}

func TestA15_AHashThatAsksForTooMuchIsRefused(t *testing.T) {
	s := newServer(t, sessionsOn)
	u := s.seedUser("ada@example.test", RoleUser)
	for _, hash := range []string{"$argon2id$v=19$m=4194304,t=2,p=1$" + strings.Repeat("A", 22) + "$" + strings.Repeat("A", 43),
		"$argon2id$v=19$m=19456,t=4000000000,p=1$" + strings.Repeat("A", 22) + "$" + strings.Repeat("A", 43), "plain text", "$argon2id$v=19$m=-1,t=2,p=1$AAAA$AAAA"} {
		if _, err := s.owner().Exec(t.Context(), `SET row_security = off; `); err != nil {
			t.Fatal(err)
		}
		if _, err := s.owner().Exec(t.Context(), `UPDATE app.credentials SET password_hash = $1 WHERE user_id = $2`, hash, u.ID); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		s.program("").want(401, "unauthenticated", "POST", "/api/auth/login", map[string]any{"email": "ada@example.test", "password": goodPassword})
		if took := time.Since(began); took > timed(time.Second) {
			t.Errorf("%s took %v", hash, took)
		}
	}
}
