package auth

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"rosetree/internal/devstack"
)

func TestF9_OneSessionForALegacyTokenHoweverManyUpgradesAtOnce(t *testing.T) {
	env := devstack.Test(t)
	r, d := env.Redis(t), env.Database(t, migrate)
	cfg := sessionsOn
	cfg.LegacyJWTSecret = legacySecret
	servers := []*server{joinServer(t, cfg, r, d), joinServer(t, cfg, r, d)}
	s := servers[0]
	user := uuid.NewString()
	claims := with(legacyClaimsOf(user), "exp", time.Now().Add(10*time.Minute).Unix())
	raw := forge(t, map[string]any{"alg": "HS256", "typ": "JWT"}, claims, legacySecret)
	var mu sync.Mutex
	tokens := map[string]int{}
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			rep := servers[i%2].program(raw).want(200, "", "POST", "/api/auth/exchange", map[string]any{"transport": "bearer"})
			g := into[grantView](t, rep)
			mu.Lock()
			defer mu.Unlock()
			if g.Tokens != nil {
				tokens[g.Tokens.Access]++
			}
			if g.Session != nil && g.Session.ExpiresAt.After(time.Now().Add(10*time.Minute)) {
				t.Errorf("it lives longer than its token: %v", g.Session.ExpiresAt)
			}
		})
	}
	wg.Wait()
	if len(tokens) != 1 {
		t.Errorf("%d sessions", len(tokens))
	}
	var users, sessions int
	if err := s.owner().QueryRow(t.Context(), `SELECT (SELECT count(*) FROM app.users), (SELECT count(*) FROM app.sessions WHERE user_id = $1)`, user).Scan(&users, &sessions); err != nil || users != 1 || sessions != 1 {
		t.Errorf("%d users, %d sessions, %v", users, sessions, err)
	}
	for access := range tokens {
		c := s.program(access)
		c.want(200, "", "GET", "/api/auth/sessions", nil)
		c.want(204, "", "POST", "/api/auth/logout", nil)
	}
	s.program(raw).want(401, "session_revoked", "POST", "/api/auth/exchange", map[string]any{"transport": "bearer"}) // the old token ended with the session
}

func TestProvision_AHundredFirstContactsMakeOneUser(t *testing.T) {
	env := devstack.Test(t)
	r, d := env.Redis(t), env.Database(t, migrate)
	cfg := sessionsOn
	cfg.LegacyJWTSecret = legacySecret
	servers := []*server{joinServer(t, cfg, r, d), joinServer(t, cfg, r, d)}
	raw := forge(t, map[string]any{"alg": "HS256"}, with(legacyClaimsOf(uuid.NewString()), "app_metadata", map[string]any{"role": "admin"}), legacySecret)
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			p, _, err := servers[i%2].ask(raw)
			for try := 0; try < 10 && code(err) == "unavailable"; try++ {
				time.Sleep(200 * time.Millisecond)
				p, _, err = servers[i%2].ask(raw)
			}
			if err != nil || p.Role != RoleAdmin || p.Via != ViaLegacy {
				t.Errorf("%+v %v", p, err)
			}
		})
	}
	wg.Wait()
	if all, err := servers[0].auth.Users(t.Context()); err != nil || len(all) != 1 {
		t.Errorf("%v %v", all, err)
	}
}

func TestF10_AStalledShadowChangesNoAnswer(t *testing.T) {
	cfg := sessionsOn
	cfg.LegacyJWTSecret = legacySecret
	s := newServer(t, cfg)
	stalled, release := make(chan struct{}), make(chan struct{})
	s.auth.shadow.find = func(context.Context, Principal) (Session, error) {
		select {
		case <-stalled:
		default:
			close(stalled)
		}
		<-release
		return Session{}, errNoSession
	}
	defer close(release)
	raw := forge(t, map[string]any{"alg": "HS256"}, legacyClaimsOf(uuid.NewString()), legacySecret)
	s.ask(raw)
	<-stalled
	var worst time.Duration
	for range 2 * shadowQueue {
		if _, took, err := s.ask(raw); err != nil {
			t.Fatal(err)
		} else {
			worst = max(worst, took)
		}
	}
	if worst > timed(100*time.Millisecond) {
		t.Errorf("a request waited %v", worst)
	}
}

func TestShadow_ComparesAfterTheAnswer(t *testing.T) {
	cfg := Config{LegacyAuthEnabled: true}
	s := newServer(t, cfg)
	s.seedUser("ada@example.test", RoleUser)
	c, g := s.login("ada@example.test", "bearer")
	if g.Auth != ViaLegacy {
		t.Fatalf("%+v", g)
	}
	p, _, err := s.ask(g.Tokens.Access)
	if err != nil {
		t.Fatal(err)
	}
	result := func(accepted bool) string { return s.auth.shadow.result(t.Context(), verdict{p, accepted}) }
	if got := result(true); got != "absent" {
		t.Errorf("before the migration: %s", got)
	}
	if made, err := s.auth.MigrateLegacy(t.Context(), 0, func(Progress) {}); err != nil || made.Made != 1 {
		t.Fatalf("%+v %v", made, err)
	}
	if got := result(true); got != "match" {
		t.Errorf("after it: %s", got)
	}
	if got := result(false); got != "accepts_more" {
		t.Errorf("what the old path refuses and the new one accepts: %s", got)
	}
	twin, err := s.auth.twinOf(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	s.redis.Client(t).HSet(t.Context(), sessionKey(twin.ID), "role", "admin")
	if got := result(true); got != "mismatch" {
		t.Errorf("another role: %s", got)
	}
	c.want(204, "", "POST", "/api/auth/logout", nil)
}

// The program before this one is a Supabase client's server: it verifies HS256 by the shared secret, with audience and expiry, and
// reads sub, role, email and session_id.
func TestF12_TheOldProgramReadsWhatTheNewOneIssues(t *testing.T) {
	cfg := sessionsOn
	cfg.LegacyJWTSecret, cfg.LegacyJWTIssuer = legacySecret, "https://old.example/auth/v1"
	s := newServer(t, cfg)
	u := s.seedUser("ada@example.test", RoleUser)
	old := func(raw string) {
		t.Helper()
		var c struct {
			jwt.RegisteredClaims
			Email, Role string
			SessionID   string `json:"session_id"`
		}
		_, err := jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithAudience("authenticated"), jwt.WithIssuer("https://old.example/auth/v1"),
			jwt.WithExpirationRequired(), jwt.WithIssuedAt()).ParseWithClaims(raw, &c, func(*jwt.Token) (any, error) { return []byte(legacySecret), nil })
		if err != nil || c.Subject != string(u.ID) || c.Role != "authenticated" || c.Email != u.Email || c.SessionID == "" {
			t.Errorf("%+v %v", c, err)
		}
	}
	c, g := s.login("ada@example.test", "bearer")
	old(g.Tokens.Legacy)
	old(into[struct{ Tokens tokensView }](t, c.want(200, "", "POST", "/api/auth/refresh", nil)).Tokens.Legacy)
	s.turn(Override{Rollback: new(true)})
	c, g = s.login("ada@example.test", "bearer")
	old(g.Tokens.Access)
	fresh := into[struct{ Tokens tokensView }](t, c.want(200, "", "POST", "/api/auth/refresh", nil)).Tokens.Access
	old(fresh)
	s.program(fresh).want(200, "", "GET", "/api/auth/sessions", nil)
	browser := s.browser()
	r := browser.want(200, "", "POST", "/api/auth/login", map[string]any{"email": "ada@example.test", "password": goodPassword})
	for _, cookie := range (&http.Response{Header: r.header}).Cookies() {
		if cookie.Name == "rosetree" {
			old(cookie.Value)
		}
	}
}

func TestLegacy_TheIssuersOutageIsNotOurs(t *testing.T) {
	i := newIssuer(t)
	cfg := sessionsOn
	cfg.LegacyJWKSURL = i.URL
	s := newServer(t, cfg)
	token := func(kid string) string {
		return i.sign(t, jwt.SigningMethodRS256, i.rsa, kid, legacyClaimsOf(uuid.NewString()))
	}
	keys := s.auth.legacy.keys
	later := func(fetched time.Time) { // as after the pause between two fetches
		keys.mu.Lock()
		defer keys.mu.Unlock()
		keys.tried, keys.fetched = time.Time{}, fetched
	}
	i.down.Store(true)
	if _, _, err := s.ask(token("rsa-1")); code(err) != "unavailable" {
		t.Errorf("without any key: %v", err)
	}
	i.down.Store(false)
	later(time.Time{})
	if _, _, err := s.ask(token("rsa-1")); err != nil {
		t.Errorf("the first key: %v", err)
	}
	i.down.Store(true)
	hits := i.hits.Load()
	later(time.Now().Add(-time.Hour))
	if _, _, err := s.ask(token("rsa-1")); err != nil {
		t.Errorf("a known key in an outage: %v", err)
	}
	s.within(10*time.Second, "the fetch beside it", func() bool { return i.hits.Load() > hits })
	keys.fetching.Lock() // until it is over
	i.down.Store(false)
	i.kid.Store("rsa-2") // rotated
	later(time.Now().Add(-time.Hour))
	keys.fetching.Unlock()
	if _, _, err := s.ask(token("rsa-2")); err != nil {
		t.Errorf("a rotated key: %v", err)
	}
	if _, _, err := s.ask(token("rsa-1")); code(err) != "unauthenticated" {
		t.Errorf("a key that was taken away: %v", err)
	}
	hits = i.hits.Load()
	for range 50 {
		s.ask(token("unknown"))
	}
	if i.hits.Load() > hits+1 {
		t.Errorf("%d fetches for unknown kids", i.hits.Load()-hits)
	}
}

func TestMigrate_SessionsKeepTheirRemainingLifeAndRunningAgainMakesNothing(t *testing.T) {
	cfg := Config{LegacyAuthEnabled: true, LegacyJWTSecret: legacySecret, SessionAbsoluteTTL: 30 * time.Hour}
	s := newServer(t, cfg)
	s.seedUser("ada@example.test", RoleUser)
	_, one := s.login("ada@example.test", "bearer")
	two, gone := s.login("ada@example.test", "bearer")
	two.want(204, "", "POST", "/api/auth/logout", nil)
	user := uuid.NewString()
	lines := fmt.Sprintf(`{"id":"old-1","user_id":%q,"email":"old@example.test","created_at":"2026-01-01T00:00:00Z","expires_at":%q,"device":{"name":"old phone","platform":"ios"}}`+"\n",
		user, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	if _, err := s.auth.ImportLegacy(t.Context(), strings.NewReader(lines+`{"id":"x"}`+"\nnonsense\n")); err == nil || !strings.Contains(err.Error(), "line 2") || !strings.Contains(err.Error(), "line 3") {
		t.Errorf("wrong lines: %v", err)
	}
	for want := range 2 {
		if n, err := s.auth.ImportLegacy(t.Context(), strings.NewReader(lines)); err != nil || n != 1-want {
			t.Fatalf("imported %d, %v", n, err)
		}
	}
	for round, want := range []int{2, 0} {
		p, err := s.auth.MigrateLegacy(t.Context(), 0, func(Progress) {})
		if err != nil || p.Made != want {
			t.Fatalf("round %d: %+v %v", round, p, err)
		}
	}
	s.turn(Override{NewAuth: new(true), Percentage: new(100.0)})
	claims := with(with(legacyClaimsOf(user), "session_id", "old-1"), "aud", "authenticated")
	raw := forge(t, map[string]any{"alg": "HS256"}, claims, legacySecret)
	g := into[grantView](t, s.program(raw).want(200, "", "POST", "/api/auth/exchange", map[string]any{"transport": "bearer"}))
	if left := time.Until(g.Session.ExpiresAt); left > time.Hour || left < 59*time.Minute || g.Session.Device.Name != "old phone" {
		t.Errorf("%+v", g.Session)
	}
	s.program(g.Tokens.Access).want(200, "", "GET", "/api/auth/sessions", nil)
	s.program(one.Tokens.Access).want(200, "", "POST", "/api/auth/exchange", map[string]any{"transport": "bearer"})
	s.program(gone.Tokens.Access).want(401, "session_revoked", "POST", "/api/auth/exchange", map[string]any{"transport": "bearer"})
}
