package auth

import (
	"testing"
	"time"
)

// The lists go before the percentage, on every server, and are turned while it runs; what is switched off stays off for all.
func TestCohort_ListedUsersAreAlwaysOrNeverOnTheSessionPath(t *testing.T) {
	s := newServer(t, legacyOnly)
	two := joinServer(t, legacyOnly, s.redis, s.db)
	root := s.seedUser("root@example.test", RoleAdmin)
	ada, bob := s.seedUser("ada@example.test", RoleUser), s.seedUser("bob@example.test", RoleUser)
	admin, _ := s.login("root@example.test", "bearer")
	auths := func(wantAda, wantBob Via) {
		t.Helper()
		for name, want := range map[string]Via{"ada": wantAda, "bob": wantBob} {
			two.within(10*time.Second, name+" to get "+string(want)+" at the other server", func() bool {
				_, g := two.login(name+"@example.test", "bearer")
				return g.Auth == want
			})
		}
	}
	put := func(change map[string]any) RolloutState {
		t.Helper()
		change["reason"] = "test"
		return into[RolloutState](t, admin.want(200, "", "PUT", "/api/admin/rollout", change))
	}
	always := []UserID{ada.ID}
	put(map[string]any{"always": always})
	auths(ViaLegacy, ViaLegacy) // sessions are not enabled
	put(map[string]any{"enabled": true, "percentage": 0})
	auths(ViaSession, ViaLegacy)
	put(map[string]any{"percentage": 100, "always": []UserID{}, "never": []UserID{ada.ID, root.ID}})
	auths(ViaLegacy, ViaSession)
	got := into[RolloutState](t, admin.want(200, "", "GET", "/api/admin/rollout", nil))
	if got.Override.Always != nil || got.Override.Never == nil || len(*got.Override.Never) != 2 {
		t.Errorf("%+v", got)
	}
	for _, wrong := range []map[string]any{{"always": always}, {"always": []string{"ada"}}, {"never": []UserID{bob.ID, bob.ID}}} {
		wrong["reason"] = "test"
		admin.want(422, "invalid", "PUT", "/api/admin/rollout", wrong)
	}
	put(map[string]any{"rollback": true, "never": []UserID{}, "always": always})
	auths(ViaLegacy, ViaLegacy)
	lines := into[auditPage](t, admin.want(200, "", "GET", "/api/admin/audit?action=rollout.set", nil)).Entries
	if to, _ := lines[0].Detail["to"].(map[string]any); len(lines) != 4 || len(to["always"].([]any)) != 1 {
		t.Errorf("audit: %+v", lines)
	}
	put(map[string]any{"reset": true})
	if got, err := s.auth.Rollout(); err != nil || got.Override != (Override{}) {
		t.Errorf("reset: %+v %v", got, err)
	}
}

func TestAdmin_SignsEverybodyOut(t *testing.T) {
	s := newServer(t, sessionsOn)
	two := joinServer(t, sessionsOn, s.redis, s.db)
	s.seedUser("root@example.test", RoleAdmin)
	s.seedUser("ada@example.test", RoleUser)
	admin, g := s.login("root@example.test", "bearer")
	user, _ := two.login("ada@example.test", "bearer")
	const path = "/api/admin/sessions/revoke-all"
	all := map[string]any{"reason": "a leak", "confirm": "all"}
	user.want(403, "forbidden", "POST", path, all)
	admin.want(422, "invalid", "POST", path, map[string]any{"reason": "a leak"})
	admin.want(422, "invalid", "POST", path, map[string]any{"confirm": "all"})
	s.proveAgo(g.Session.ID, stepUpFresh+time.Second)
	admin.want(403, "step_up_required", "POST", path, all)
	admin.bearer = into[grantView](t, admin.want(200, "", "POST", "/api/auth/step-up", map[string]string{"password": goodPassword})).Tokens.Access
	receipt := into[Receipt](t, admin.want(200, "", "POST", path, all))
	if !receipt.Durable || receipt.Redis != "ok" || receipt.Sessions != 2 {
		t.Errorf("%+v", receipt)
	}
	user.want(401, "session_revoked", "GET", "/api/auth/sessions", nil)
	admin.want(401, "session_revoked", "GET", "/api/auth/sessions", nil)
	admin, _ = s.login("root@example.test", "bearer")
	lines := into[auditPage](t, admin.want(200, "", "GET", "/api/admin/audit?action=session.revoke", nil)).Entries
	if len(lines) != 1 || lines[0].Detail["kind"] != "all" || lines[0].Actor != string(g.User.ID) {
		t.Errorf("audit: %+v", lines)
	}
}
