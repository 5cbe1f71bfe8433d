package auth

import (
	"testing"
	"time"

	"rosetree/internal/api"
)

func TestGuard_AMachineWithoutTimeIsNoReasonToRollBackAndErrorsAreOne(t *testing.T) {
	g := &guard{}
	now := time.Now()
	slow := health{Attempts: 1000, P95: 2 * guardP95}
	for s := range 120 {
		if _, bad := g.judge(slow, 2*guardStarved, now.Add(time.Duration(s)*time.Second)); bad {
			t.Fatalf("rolled back after %d starved seconds", s)
		}
	}
	now = now.Add(2 * time.Minute)
	if _, bad := g.judge(slow, guardStarved, now); bad {
		t.Error("the starved minutes were counted as slow ones")
	}
	if d, bad := g.judge(slow, guardStarved, now.Add(guardSlowFor)); !bad || d.Cause != "latency" || d.Late != 5 {
		t.Errorf("the machine has time and the path is slow: %+v", d)
	}
	if d, bad := g.judge(health{Attempts: 1000, Failures: 20, ErrorRate: 2}, time.Second, now); !bad || d.Cause != "error_rate" {
		t.Errorf("errors on a starved machine: %+v", d)
	}
}

func TestGuard_FeelsHowLateTimersAre(t *testing.T) {
	var l lateness
	if l.p95() != 0 {
		t.Error("late before the first probe")
	}
	for i := range 100 {
		l.note(time.Duration(i+1) * time.Millisecond)
	}
	if got := l.p95(); got != 95*time.Millisecond {
		t.Errorf("p95 %v", got)
	}
	for range len(l.all) {
		l.note(0)
	}
	if got := l.p95(); got != 0 {
		t.Errorf("a minute later: %v", got)
	}
}

// What is measured is what Redis took to say whether a session lives. Why a token does not count is looked up afterwards, in
// PostgreSQL, which is as slow as it likes here: that must not turn the switch.
func TestGuard_TokensThatDoNotCountAreNotSlowValidations(t *testing.T) {
	s := newServer(t, sessionsOn)
	s.seedUser("ada@example.test", RoleUser)
	c, g := s.login("ada@example.test", "bearer")
	c.want(204, "", "POST", "/api/auth/logout", nil)
	conn := s.owner()
	if _, err := conn.Exec(t.Context(), `BEGIN; LOCK TABLE app.sessions IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	const held = 1500 * time.Millisecond
	var err error
	var validated, took time.Duration
	done := make(chan struct{})
	go func() {
		defer close(done)
		began := time.Now()
		_, err = s.auth.verify(t.Context(), credential{form: formSession, raw: g.Tokens.Access}, "", &validated)
		took = time.Since(began)
	}()
	s.within(10*time.Second, "the session's row to be waited for", func() (waits bool) {
		err := conn.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'app.sessions'::regclass AND mode = 'AccessShareLock' AND NOT granted)`).Scan(&waits)
		return err == nil && waits
	})
	time.Sleep(held)
	if _, err := conn.Exec(t.Context(), `ROLLBACK`); err != nil {
		t.Fatal(err)
	}
	<-done
	if api.ProblemOf(err).Status != 401 || took < held/2 || validated <= 0 || validated > took/2 {
		t.Errorf("%v after %v, of which %v count", err, took, validated)
	}
}
