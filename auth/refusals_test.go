package auth

import (
	"context"
	"fmt"
	"testing"
	"time"
)

func (s *server) refusedLines(action string) (lines []AuditEntry) {
	s.t.Helper()
	lines, err := s.auth.auditLog(s.t.Context(), AuditFilter{Action: action, Outcome: "refused"})
	if err != nil {
		s.t.Fatal(err)
	}
	return lines
}

func TestAudit_EveryKindOfRefusalSaysWhoWhatWhereAndWhy(t *testing.T) {
	s := newServer(t, legacyOnly)
	root, ada := s.seedUser("root@example.test", RoleAdmin), s.seedUser("ada@example.test", RoleUser)
	user, _ := s.login("ada@example.test", "bearer")
	anyone := s.program("")
	wrong := map[string]string{"email": "ada@example.test", "password": "a wrong password"}
	for range accountRate.burst {
		anyone.want(401, "unauthenticated", "POST", "/api/auth/login", wrong)
	}
	anyone.want(429, "rate_limited", "POST", "/api/auth/login", wrong)
	anyone.want(409, "conflict", "POST", "/api/auth/register", map[string]string{"email": "ada@example.test", "password": goodPassword})
	user.want(403, "forbidden", "POST", "/api/auth/exchange", map[string]string{})
	user.want(403, "forbidden", "GET", "/api/admin/sessions", nil)
	s.turn(Override{NewAuth: new(true), Percentage: new(100.0)})
	admin, g := s.login("root@example.test", "bearer")
	s.proveAgo(g.Session.ID, stepUpFresh+time.Second)
	admin.want(403, "step_up_required", "PUT", "/api/admin/lockdown", map[string]any{"lockdown": true, "reason": "test"})
	s.auth.refusals.flush(t.Context(), time.Now())
	for _, want := range []struct {
		action, actor, why string
		lines              int
	}{
		{"login", string(ada.ID), "unauthenticated", 2}, {"login", string(ada.ID), "rate_limited", 1}, {"register", "unknown", "conflict", 1},
		{"exchange", string(ada.ID), "forbidden", 1}, {"admin.session.list", string(ada.ID), "forbidden", 1}, {"admin.lockdown.set", string(root.ID), "step_up_required", 1},
	} {
		s.within(10*time.Second, fmt.Sprintf("%+v", want), func() bool { // a log-in's lines come after its answer
			n := 0
			for _, l := range s.refusedLines(want.action) {
				if l.Actor == want.actor && l.Detail["why"] == want.why && l.IP == "127.0.0.1" {
					n++
				}
				if again := l.Detail["again"]; again != nil && again != float64(accountRate.burst-1) {
					t.Errorf("%s again %v times", l.Action, again)
				}
			}
			return n == want.lines
		})
	}
}

func TestAudit_AnAttackerCannotFillItWithRefusals(t *testing.T) {
	written := 0
	rf := newRefusals(func(_ context.Context, e AuditEntry) { written++ })
	for i := range 10_000 {
		rf.add(t.Context(), AuditEntry{Actor: fmt.Sprint("user-", i), Action: "login", IP: fmt.Sprintf("10.%d.%d.1", i/256, i%256)}, "unauthenticated")
	}
	rf.flush(t.Context(), time.Now())
	if written != refusalKinds+2 { // each once, one for the rest, and how often the rest came again
		t.Errorf("%d lines", written)
	}
	if rf.add(t.Context(), AuditEntry{Actor: "ada", Action: "login"}, "unauthenticated"); written != refusalKinds+3 {
		t.Error("after the window nothing is written")
	}
}
