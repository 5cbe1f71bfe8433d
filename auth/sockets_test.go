package auth

import (
	"testing"
	"time"

	"rosetree/internal/devstack"
)

// A session's sockets are counted on all servers, also while one of those that Redis counts as listeners says nothing, and while
// Redis itself does not; who looks is told of changes on any server.
func TestSocketsAreCountedOnAllServers(t *testing.T) {
	env := devstack.Test(t)
	r, d := env.Redis(t), env.Database(t, migrate)
	const id SessionID = "a session of anybody's"
	early, late := time.Unix(1_790_000_000, 0), time.Unix(1_790_000_009, 0)
	has := func(n int, heard time.Time) func(*Auth) {
		return func(a *Auth) {
			a.CountSockets = func(of SessionID) int { return map[SessionID]int{id: n}[of] }
			a.OpenSockets = func() OpenSockets { return OpenSockets{All: 10 * n, Sessions: n} }
			a.LastFrames = func([]SessionID) map[SessionID]time.Time { return map[SessionID]time.Time{id: heard} }
		}
	}
	told := make(chan SocketNews, 100)
	one := joinServer(t, sessionsOn, r, d, has(1, late), func(a *Auth) {
		a.Followed = func(_ SessionID, user UserID) bool { return user == "ada" }
		a.OnSockets = func(news []SocketNews) { told <- news[0] }
	})
	two := joinServer(t, sessionsOn, r, d, has(2, early))
	one.within(10*time.Second, "both servers to listen", func() bool { return one.auth.counts.listens.Load() && two.auth.counts.listens.Load() })

	count := func(s *server) openSockets {
		return s.auth.counts.all(t.Context(), []SessionID{id, "another"}, true)[id]
	}
	one.within(10*time.Second, "the sum, and the newest frame", func() bool { o := count(two); return o.N == 3 && o.At != nil && o.At.Equal(late) })
	if o := one.auth.counts.all(t.Context(), []SessionID{"another"}, true); len(o) != 0 {
		t.Errorf("of a session without sockets: %v", o)
	}
	one.within(10*time.Second, "the other server's sockets", func() bool { return two.auth.SocketsElsewhere(t.Context()) == OpenSockets{10, 1} })
	two.auth.SocketsChanged("not looked at", "bob")
	one.within(timed(10*time.Second), "the sum to be told after a change on the other server", func() bool {
		two.auth.SocketsChanged(id, "ada") // a server whose answer came too late is left out of the sum
		select {
		case n := <-told:
			if n.Session != id || n.User != "ada" {
				t.Errorf("told %+v", n)
			}
			return n.Open == 3
		case <-time.After(timed(time.Second)):
			return false
		}
	})

	mute := r.Client(t).SSubscribe(t.Context(), socketsChannel)
	defer mute.Close()
	if _, err := mute.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	one.within(10*time.Second, "the sum without who says nothing", func() bool { return count(one).N == 3 })
	r.Freeze(t)
	defer r.Thaw(t)
	if n := count(one).N; n != 1 {
		t.Errorf("without Redis %d", n)
	}
}
