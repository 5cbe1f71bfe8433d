package auth

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"rosetree/internal/devstack"
)

// askBoth presents a session's cookie with the fallback beside it, as a browser does.
func (s *server) askBoth(g grantView) (Principal, time.Duration, error) {
	r := httptest.NewRequest("GET", "http://localhost/", nil)
	r.AddCookie(&http.Cookie{Name: "rosetree", Value: g.Tokens.Access})
	r.AddCookie(&http.Cookie{Name: "rosetree-fb", Value: g.Tokens.Fallback})
	began := time.Now()
	p, err := s.auth.Authenticate(r)
	return p, time.Since(began), err
}

func TestF1_AFrozenRedisIsAnsweredWithinBounds(t *testing.T) {
	s := newServer(t, sessionsOn)
	s.seedUser("ada@example.test", RoleUser)
	_, g := s.login("ada@example.test", "bearer")
	s.redis.Freeze(t)
	defer s.redis.Thaw(t)
	_, took, err := s.ask(g.Tokens.Access)
	if code(err) != "unavailable" || took > timed(150*time.Millisecond) {
		t.Errorf("the first answer: %v after %v", err, took)
	}
	t.Logf("the first answer after %v", took)
	p, took, err := s.askBoth(g)
	if err != nil || !p.Degraded || took > timed(150*time.Millisecond) {
		t.Errorf("with the fallback: %+v %v after %v", p, err, took)
	}
	var all []time.Duration
	for range 300 {
		_, took, _ := s.ask(g.Tokens.Access)
		all = append(all, took)
	}
	slices.Sort(all)
	t.Logf("checks of a frozen Redis: p50 %v p99 %v", all[150], all[297])
	if all[297] > timed(150*time.Millisecond) {
		t.Errorf("p99 %v", all[297])
	}
	began := time.Now()
	c := s.program("")
	r := into[grantView](t, c.want(200, "", "POST", "/api/auth/login", map[string]any{"email": "ada@example.test", "password": goodPassword, "transport": "bearer"}))
	if r.Auth != ViaLegacy || time.Since(began) > timed(time.Second) {
		t.Errorf("a log-in meanwhile: %+v after %v", r, time.Since(began))
	}
}

// cutServer is a server whose way to PostgreSQL can be cut.
func cutServer(t *testing.T, cfg Config, r *devstack.Redis, d devstack.DB) (*server, *devstack.Link) {
	t.Helper()
	url, link := through(t, d.URL)
	d.URL = url
	return joinServer(t, cfg, r, d), link
}

func TestF2_TheFallbackCountsOnlyWhileRevocationsAreHeard(t *testing.T) {
	env := devstack.Test(t)
	s, postgres := cutServer(t, sessionsOn, env.Redis(t), env.Database(t, migrate))
	s.seedUser("ada@example.test", RoleUser)
	_, g := s.login("ada@example.test", "bearer")
	if _, _, err := s.ask(g.Tokens.Fallback); code(err) != "unauthenticated" {
		t.Errorf("while Redis answers: %v", err)
	}
	s.redis.Freeze(t)
	defer s.redis.Thaw(t)
	s.within(timed(3*time.Second), "the fallback to count", func() bool { p, _, err := s.ask(g.Tokens.Fallback); return err == nil && p.Degraded })
	postgres.Cut()
	cut := time.Now()
	s.within(timed(3500*time.Millisecond), "the fallback to be refused", func() bool { _, _, err := s.ask(g.Tokens.Fallback); return code(err) == "unavailable" })
	if took := time.Since(cut); took > timed(2500*time.Millisecond) {
		t.Errorf("refused %v after PostgreSQL was gone", took)
	}
}

func TestF3_WhatWasRevokedStaysRevokedWithoutRedisAndAfterARestart(t *testing.T) {
	s := newServer(t, sessionsOn)
	s.seedUser("ada@example.test", RoleUser)
	c, g := s.login("ada@example.test", "bearer")
	_, live := s.login("ada@example.test", "bearer")
	c.want(204, "", "POST", "/api/auth/logout", nil)
	s.redis.Freeze(t)
	defer s.redis.Thaw(t)
	for _, one := range []*server{s, joinServer(t, sessionsOn, s.redis, s.db)} {
		one.within(timed(3*time.Second), "the fallback of a live session to count", func() bool { _, _, err := one.ask(live.Tokens.Fallback); return err == nil })
		for name, raw := range map[string]string{"fallback": g.Tokens.Fallback, "companion": g.Tokens.Legacy} {
			if _, _, err := one.ask(raw); code(err) != "session_revoked" {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, _, err := one.askBoth(g); err == nil {
			t.Error("the session's cookies are accepted")
		}
	}
}

func TestF4_WhoeverWasAcceptedWithoutRedisIsNoAdministrator(t *testing.T) {
	s := newServer(t, sessionsOn)
	root := s.seedUser("root@example.test", RoleAdmin)
	_, g := s.login("root@example.test", "bearer")
	s.redis.Freeze(t)
	defer s.redis.Thaw(t)
	s.within(timed(3*time.Second), "the fallback to count", func() bool { _, _, err := s.ask(g.Tokens.Fallback); return err == nil })
	c := s.program(g.Tokens.Fallback)
	c.want(503, "unavailable", "GET", "/api/admin/sessions", nil)
	c.want(503, "unavailable", "DELETE", "/api/admin/users/"+string(root.ID)+"/sessions", map[string]string{"reason": "test"})
	c.want(503, "unavailable", "POST", "/api/auth/password", map[string]string{"current": goodPassword, "new": "another good password"})
	st := into[statusView](t, c.want(200, "", "GET", "/api/auth/status", nil))
	if !st.Degraded || !st.Authenticated {
		t.Errorf("%+v", st)
	}
}

func TestF5_RecoveryClosesTheSocketsOfWhatIsGone(t *testing.T) {
	s := newServer(t, sessionsOn)
	s.seedUser("ada@example.test", RoleUser)
	_, gone := s.login("ada@example.test", "bearer")
	_, stays := s.login("ada@example.test", "bearer")
	s.redis.Freeze(t)
	ended := map[string]chan End{}
	for name, g := range map[string]grantView{"gone": gone, "stays": stays} {
		var p Principal
		s.within(timed(3*time.Second), "the fallback to count", func() (ok bool) {
			var err error
			p, _, err = s.ask(g.Tokens.Fallback)
			return err == nil
		})
		ended[name] = make(chan End, 1)
		stop, _, err := s.auth.Watch(t.Context(), p, func(e End) { ended[name] <- e })
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
	}
	s.redis.Thaw(t)
	s.redis.Client(t).Del(t.Context(), sessionKey(gone.Session.ID)) // nobody heard it
	select {
	case e := <-ended["gone"]:
		if e.Reason != EndRevoked {
			t.Errorf("%+v", e)
		}
	case <-time.After(timed(8 * time.Second)):
		t.Fatal("the degraded socket of a session that is gone stays open")
	}
	select {
	case e := <-ended["stays"]:
		t.Errorf("an innocent socket was closed: %+v", e)
	case <-time.After(500 * time.Millisecond):
	}
}
