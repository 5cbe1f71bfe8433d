package auth

import (
	"testing"
	"time"

	"rosetree/internal/devstack"
)

func TestNews_OfSessionsAndSwitchesReachWhoLooks(t *testing.T) {
	env := devstack.Test(t)
	r, d := env.Redis(t), env.Database(t, migrate)
	sessions, switches := make(chan SessionNews, 100), make(chan RolloutState, 100)
	joinServer(t, sessionsOn, r, d, func(a *Auth) {
		a.OnSession = func(n SessionNews) { sessions <- n }
		a.OnSwitch = func(s RolloutState) { switches <- s }
	})
	two := joinServer(t, sessionsOn, r, d)
	two.seedUser("ada@example.test", RoleUser)
	c, g := two.login("ada@example.test", "bearer")
	c.want(204, "", "POST", "/api/auth/logout", nil)
	for heard, late := false, time.After(10*time.Second); !heard; { // that it began is told by way of Redis, where nobody may listen yet
		select {
		case n := <-sessions:
			heard = n.ID == g.Session.ID && n.Event == "ended"
			if heard && (n.Reason != EndSignedOut || n.By != "user") {
				t.Errorf("%+v", n)
			}
		case <-late:
			t.Fatal("the end of the other server's session was not heard")
		}
	}
	two.turn(Override{Percentage: new(50.0)})
	select {
	case s := <-switches:
		if s.Effective.Percentage != 50 {
			t.Errorf("%+v", s)
		}
	case <-time.After(timed(time.Second)):
		t.Error("the other server's switch was not heard")
	}
}
