package auth

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

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

func code(err error) string {
	if err == nil {
		return ""
	}
	c, _, _ := strings.Cut(err.Error(), ":")
	return c
}

// flipped is a user who goes on working while the switches are turned: with what was issued, and by the ways that a client has.
type flipped struct {
	email string
	held  []string // every credential that was ever issued to the user
}

func TestF6_FlipUnderLoadSignsNobodyOut(t *testing.T) {
	env := devstack.Test(t)
	r, d := env.Redis(t), env.Database(t, migrate)
	cfg := Config{LegacyAuthEnabled: true, LegacyJWTSecret: legacySecret, MaxBlind: time.Minute}
	servers := []*server{joinServer(t, cfg, r, d), joinServer(t, cfg, r, d), joinServer(t, cfg, r, d)}
	s := servers[0]
	const users = 40
	var ids []UserID
	var fails, busy, requests, closed atomic.Int32
	var firstFail atomic.Value
	stop := make(chan struct{})
	var wg sync.WaitGroup
	fail := func(what string, err error) {
		if problemCode(err) == "unavailable" { // a client that is told to wait is not signed out
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
					g, err := one.auth.issue(context.Background(), proof{user: u}, origin{ip: "192.0.2.1"}, "login")
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
	time.Sleep(2500 * time.Millisecond) // the minute's failures are still in the minute, and were before the decision
	if now, _ := s.auth.switches.now(); now.Rollback {
		t.Error("a person could not go forward")
	}
}

func TestGuard_JudgesLatencyThatLasts(t *testing.T) {
	g := &guard{}
	now := time.Now()
	slow := health{Attempts: 1000, P95: 20 * time.Millisecond}
	if _, bad := g.judge(slow, 0, now); bad {
		t.Error("one slow second")
	}
	if _, bad := g.judge(slow, 0, now.Add(guardSlowFor-time.Second)); bad {
		t.Error("not long enough")
	}
	if d, bad := g.judge(slow, 0, now.Add(guardSlowFor)); !bad || d.Cause != "latency" {
		t.Error("long enough")
	}
	g.judge(health{Attempts: 1000, P95: time.Millisecond}, 0, now)
	if _, bad := g.judge(slow, 0, now.Add(guardSlowFor)); bad {
		t.Error("a fast second in between was forgotten")
	}
	if _, bad := g.judge(health{Attempts: 199, Failures: 199, ErrorRate: 100}, 0, now); bad {
		t.Error("199 attempts are too few")
	}
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

// TestF12: the end of the migration closes the sockets of legacy tokens, and no others.
func TestF12_TheEndOfTheLegacyPathSendsItsSocketsToSessions(t *testing.T) {
	s := newServer(t, Config{LegacyAuthEnabled: true, NewAuthEnabled: true, LegacyJWTSecret: legacySecret})
	s.seedUser("ada@example.test", RoleUser)
	_, legacy := s.login("ada@example.test", "bearer")
	on, all := true, 100.0
	s.turn(Override{NewAuth: &on, Percentage: &all})
	_, session := s.login("ada@example.test", "bearer")
	if legacy.Auth != "legacy" || session.Auth != "session" {
		t.Fatalf("log-ins got %q and %q", legacy.Auth, session.Auth)
	}
	ends := map[string]chan End{"legacy": make(chan End, 1), "session": make(chan End, 1)}
	who := map[string]Principal{}
	for name, raw := range map[string]string{"legacy": legacy.Tokens.Access, "session": session.Tokens.Access} {
		p, _, err := s.ask(raw)
		if err != nil {
			t.Fatal(err)
		}
		stop, now, err := s.auth.Watch(t.Context(), p, func(e End) { ends[name] <- e })
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
		who[name] = now
	}
	off := false
	s.turn(Override{LegacyEnabled: &off})
	select {
	case e := <-ends["legacy"]:
		if e.Reason != EndPathSwitched {
			t.Errorf("%+v", e)
		}
	case <-time.After(10 * time.Second):
		t.Error("the legacy token's socket stays")
	}
	if len(ends["session"]) != 0 {
		t.Error("the session's socket was closed")
	}
	// An upgrade that was authenticated just before the switch is refused by the second look.
	if _, _, err := s.auth.Watch(t.Context(), who["legacy"], func(End) {}); code(err) != "unauthenticated" {
		t.Errorf("a late legacy socket: %v", err)
	}
}
