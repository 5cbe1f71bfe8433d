package auth

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"rosetree/internal/devstack"
)

var tester = Actor{As: "operator@test"}

func (s *server) turn(change Override) {
	s.t.Helper()
	if _, err := s.auth.TurnSwitches(context.Background(), change, false, "test", tester, 0); err != nil {
		s.t.Fatal(err)
	}
}

// ask authenticates a credential without a network: what is timed is ours.
func (s *server) ask(bearer string) (Principal, time.Duration, error) {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer "+bearer)
	began := time.Now()
	p, err := s.auth.Authenticate(r)
	return p, time.Since(began), err
}

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

func code(err error) string {
	if err == nil {
		return ""
	}
	c, _, _ := strings.Cut(err.Error(), ":")
	return c
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

// flipped is a user who goes on working while the switches are turned: with what was issued, and by the ways that a client has.
type flipped struct {
	email string
	held  []string // every credential that was ever issued to the user
}

func TestF6_FlipUnderLoadSignsNobodyOut(t *testing.T) {
	env := devstack.Test(t)
	r, d := env.Redis(t), env.Database(t, migrate)
	cfg := Config{LegacyAuthEnabled: true, LegacyJWTSecret: legacySecret}
	servers := []*server{joinServer(t, cfg, r, d), joinServer(t, cfg, r, d), joinServer(t, cfg, r, d)}
	s := servers[0]
	const users = 40
	var ids []UserID
	var fails, busy, requests, closed atomic.Int32
	var firstFail atomic.Value
	stop := make(chan struct{})
	var wg sync.WaitGroup
	fail := func(what string, err error) {
		if code(err) == "unavailable" { // a client that is told to wait is not signed out
			busy.Add(1)
			return
		}
		fails.Add(1)
		firstFail.CompareAndSwap(nil, fmt.Sprintf("%s: %v", what, err))
	}
	for i := range users {
		u := s.seedUser(fmt.Sprintf("u%d@example.test", i), RoleUser)
		ids = append(ids, u.ID)
		wg.Go(func() {
			f := flipped{email: u.Email}
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				case <-time.After(time.Duration(20+rand.IntN(30)) * time.Millisecond):
				}
				one := servers[rand.IntN(len(servers))]
				if n%20 == 0 && len(f.held) < 15 { // a log-in as the cohort says; its password was proven elsewhere
					g, err := one.auth.issue(context.Background(), u, origin{ip: "192.0.2.1"}, "login")
					if err != nil {
						fail("log-in", err)
						continue
					}
					f.held = append(f.held, g.Access)
					p, _, err := one.ask(g.Access)
					if err != nil {
						fail("first use", err)
						continue
					}
					_, _, err = one.auth.Watch(context.Background(), p, func(e End) { closed.Add(1) })
					if err != nil {
						fail("socket", err)
					}
				}
				if len(f.held) == 0 {
					continue
				}
				requests.Add(1)
				if _, _, err := one.ask(f.held[rand.IntN(len(f.held))]); err != nil {
					fail("request", err)
				}
			}
		})
	}
	inCohorts := map[float64][]UserID{}
	for _, step := range []Override{
		{NewAuth: new(true), Percentage: new(10.0)}, {Percentage: new(50.0)}, {Percentage: new(100.0)}, {Rollback: new(true)}, {Rollback: new(false), Percentage: new(100.0)}, {Percentage: new(0.0)},
	} {
		began := time.Now()
		servers[rand.IntN(len(servers))].turn(step)
		want, _ := s.auth.switches.now()
		for _, one := range servers {
			one.within(timed(time.Second), "the switch to reach every server", func() bool { now, _ := one.auth.switches.now(); return now.Version >= want.Version })
		}
		t.Logf("%s: every server after %v", want.Mode(), time.Since(began).Round(time.Millisecond))
		if step.Percentage != nil && inCohorts[*step.Percentage] == nil {
			for _, id := range ids {
				if inCohort(id, *step.Percentage) {
					inCohorts[*step.Percentage] = append(inCohorts[*step.Percentage], id)
				}
			}
		}
		time.Sleep(400 * time.Millisecond)
	}
	close(stop)
	wg.Wait()
	t.Logf("%d requests, %d failed, %d told to wait, %d sockets closed; cohorts of 10, 50, 100 per cent: %d, %d, %d of %d",
		requests.Load(), fails.Load(), busy.Load(), closed.Load(), len(inCohorts[10]), len(inCohorts[50]), len(inCohorts[100]), users)
	if slack() == 0 && busy.Load() != 0 {
		t.Errorf("%d were told to wait", busy.Load())
	}
	if fails.Load() != 0 || closed.Load() != 0 {
		t.Errorf("%d failures (%v), %d sockets closed", fails.Load(), firstFail.Load(), closed.Load())
	}
	for _, id := range inCohorts[10] {
		if !slices.Contains(inCohorts[50], id) {
			t.Error("raising the percentage took a user out")
		}
	}
	if len(inCohorts[100]) != users || len(inCohorts[0]) != 0 {
		t.Error("100 is not everybody, or 0 not nobody")
	}
}

func TestF7_ARollbackReachesTheLastServerInTwoSeconds(t *testing.T) {
	env := devstack.Test(t)
	r, d := env.Redis(t), env.Database(t, migrate)
	var servers []*server
	for range 3 {
		servers = append(servers, joinServer(t, sessionsOn, r, d))
	}
	servers[0].seedUser("ada@example.test", RoleUser)
	_, g := servers[0].login("ada@example.test", "bearer")
	began := time.Now()
	servers[1].turn(Override{Rollback: new(true)})
	for _, s := range servers {
		s.within(timed(2*time.Second), "rollback", func() bool { now, _ := s.auth.switches.now(); return now.Rollback })
	}
	t.Logf("from the command to the last server: %v", time.Since(began).Round(time.Millisecond))
	for _, s := range servers {
		for name, raw := range map[string]string{"session": g.Tokens.Access, "companion": g.Tokens.Legacy, "fallback": g.Tokens.Fallback} {
			if _, _, err := s.ask(raw); err != nil {
				t.Errorf("%s in rollback: %v", name, err)
			}
		}
	}
	if _, again := servers[2].login("ada@example.test", "bearer"); again.Auth != ViaLegacy {
		t.Errorf("a log-in in rollback: %s", again.Auth)
	}
}

func TestF7_ASwitchByHandInTheDatabaseIsHeardToo(t *testing.T) {
	s := newServer(t, sessionsOn)
	if _, err := s.owner().Exec(t.Context(), `UPDATE app.rollout SET version = version + 1, rollback = true`); err != nil {
		t.Fatal(err)
	}
	s.within(timed(time.Second), "rollback", func() bool { now, _ := s.auth.switches.now(); return now.Rollback })
}

func TestF8_BadCredentialsNeverTurnTheSwitch(t *testing.T) {
	s := newServer(t, sessionsOn)
	s.seedUser("ada@example.test", RoleUser)
	for range 600 {
		s.ask(mintToken("abcdefghijkl").String())
		s.ask("rt1.nonsense")
	}
	for range 5 {
		s.program("").do("POST", "/api/auth/login", map[string]any{"email": "ada@example.test", "password": "wrong password"})
	}
	h := s.auth.guarded.health()
	if h.Attempts < guardAttempts || h.Failures != 0 {
		t.Errorf("%+v", h)
	}
	time.Sleep(1200 * time.Millisecond)
	if now, _ := s.auth.switches.now(); now.Rollback {
		t.Error("guessing passwords rolled back")
	}
}

func TestGuard_RollsBackOnOurFailuresAndNeverForward(t *testing.T) {
	s := newServer(t, sessionsOn)
	s.seedUser("ada@example.test", RoleUser)
	_, g := s.login("ada@example.test", "bearer")
	s.redis.Freeze(t)
	for range 2 * guardAttempts {
		s.ask(g.Tokens.Access)
	}
	s.within(timed(4*time.Second), "the guard", func() bool { now, _ := s.auth.switches.now(); return now.Rollback })
	s.redis.Thaw(t)
	state, err := s.auth.Rollout()
	if err != nil || state.Guard == nil || state.Guard.Cause != "error_rate" || state.Guard.ErrorRate <= guardErrors || state.Actor != "guard" {
		t.Fatalf("%+v %v", state, err)
	}
	time.Sleep(1500 * time.Millisecond)
	if now, _ := s.auth.switches.now(); !now.Rollback {
		t.Error("the guard went forward by itself")
	}
	s.turn(Override{Rollback: new(false)})
	if now, _ := s.auth.switches.now(); now.Rollback {
		t.Error("a person could not go forward")
	}
}

func TestGuard_JudgesLatencyThatLasts(t *testing.T) {
	g := &guard{}
	now := time.Now()
	slow := health{Attempts: 1000, P95: 20 * time.Millisecond}
	if _, bad := g.judge(slow, now); bad {
		t.Error("one slow second")
	}
	if _, bad := g.judge(slow, now.Add(guardSlowFor-time.Second)); bad {
		t.Error("not long enough")
	}
	if d, bad := g.judge(slow, now.Add(guardSlowFor)); !bad || d.Cause != "latency" {
		t.Error("long enough")
	}
	g.judge(health{Attempts: 1000, P95: time.Millisecond}, now)
	if _, bad := g.judge(slow, now.Add(guardSlowFor)); bad {
		t.Error("a fast second in between was forgotten")
	}
	if _, bad := g.judge(health{Attempts: 199, Failures: 199, ErrorRate: 100}, now); bad {
		t.Error("199 attempts are too few")
	}
}

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

func TestF11_ALockdownLeavesAdministratorsAlone(t *testing.T) {
	s := newServer(t, sessionsOn)
	s.seedUser("root@example.test", RoleAdmin)
	s.seedUser("ada@example.test", RoleUser)
	admin, ga := s.login("root@example.test", "bearer")
	user, gu := s.login("ada@example.test", "bearer")
	ends := map[string]chan End{"admin": make(chan End, 1), "user": make(chan End, 1)}
	for name, raw := range map[string]string{"admin": ga.Tokens.Access, "user": gu.Tokens.Access} {
		p, _, err := s.ask(raw)
		if err != nil {
			t.Fatal(err)
		}
		stop, _, err := s.auth.Watch(t.Context(), p, func(e End) { ends[name] <- e })
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
	}
	admin.want(200, "", "PUT", "/api/admin/lockdown", map[string]any{"lockdown": true, "reason": "test"})
	select {
	case e := <-ends["user"]:
		if e.Reason != EndLockedDown {
			t.Errorf("%+v", e)
		}
	case <-time.After(timed(time.Second)):
		t.Error("the user's socket stays")
	}
	user.want(403, "locked_down", "GET", "/api/auth/sessions", nil)
	s.program("").want(403, "locked_down", "POST", "/api/auth/login", map[string]any{"email": "ada@example.test", "password": goodPassword})
	s.program("").want(403, "locked_down", "POST", "/api/auth/register", map[string]any{"email": "new@example.test", "password": goodPassword})
	admin.want(200, "", "GET", "/api/admin/sessions", nil)
	s.login("root@example.test", "bearer")
	after := joinServer(t, sessionsOn, s.redis, s.db) // a restart does not end it
	if _, _, err := after.ask(gu.Tokens.Access); code(err) != "locked_down" {
		t.Errorf("after a restart: %v", err)
	}
	if len(ends["admin"]) != 0 {
		t.Error("the administrator's socket was closed")
	}
	admin.want(200, "", "PUT", "/api/admin/lockdown", map[string]any{"lockdown": false, "reason": "test"})
	user.want(200, "", "GET", "/api/auth/sessions", nil)
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
	i.down.Store(true)
	if _, _, err := s.ask(token("rsa-1")); code(err) != "unavailable" {
		t.Errorf("without any key: %v", err)
	}
	i.down.Store(false)
	s.auth.legacy.keys.tried = time.Time{}
	if _, _, err := s.ask(token("rsa-1")); err != nil {
		t.Errorf("the first key: %v", err)
	}
	i.down.Store(true)
	s.auth.legacy.keys.fetched = time.Now().Add(-time.Hour)
	if _, _, err := s.ask(token("rsa-1")); err != nil {
		t.Errorf("a known key in an outage: %v", err)
	}
	i.down.Store(false)
	i.kid.Store("rsa-2") // rotated
	time.Sleep(50 * time.Millisecond)
	s.auth.legacy.keys.mu.Lock()
	s.auth.legacy.keys.tried = time.Time{}
	s.auth.legacy.keys.mu.Unlock()
	if _, _, err := s.ask(token("rsa-2")); err != nil {
		t.Errorf("a rotated key: %v", err)
	}
	if _, _, err := s.ask(token("rsa-1")); code(err) != "unauthenticated" {
		t.Errorf("a key that was taken away: %v", err)
	}
	hits := i.hits.Load()
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
