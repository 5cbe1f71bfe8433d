package main

import (
	"fmt"
	"testing"
)

// What the console shows arrives by itself: figures at once and when they have changed, and that the audit log has grown.
func TestTheConsolesFiguresArriveOnTheSocketOfAnAdministratorAlone(t *testing.T) {
	h := newHouse(t)
	root := h.admin("root@example.org").socket()
	was := map[string]message{}
	for _, channel := range []string{"overview", "health", "audit"} {
		root.send(`{"type":"subscribe","channel":%q}`, channel)
		was[channel] = root.typed(channel)
	}
	if got := was["health"].Status; got != "ok" {
		t.Errorf("the parts are %q", got)
	}
	ana := h.register("ana@example.org").socket()
	more := map[string]bool{}
	root.until("one session more, and a line in the audit log", func(m message) bool {
		more["session"] = more["session"] || m.Type == "overview" && m.Sessions == was["overview"].Sessions+1
		more["line"] = more["line"] || m.Type == "audit" && m.Newest > was["audit"].Newest
		return more["session"] && more["line"]
	})
	for _, channel := range []string{"overview", "health", "audit"} {
		ana.send(`{"id":1,"type":"subscribe","channel":%q}`, channel)
		if m := ana.typed("error"); m.Error.Code != "forbidden" {
			t.Errorf("a user who follows %s hears %+v", channel, m.Error)
		}
	}
}

// listed is how many sockets a list on this server says that a session has, and -1 where the session is not in it.
func (h *house) listed(as *person, path, session string) int {
	var out struct {
		Sessions []struct {
			ID      string
			Sockets int
		}
	}
	h.do("GET", path, as.token, nil, 200, &out)
	for _, s := range out.Sessions {
		if s.ID == session {
			return s.Sockets
		}
	}
	return -1
}

// A list of sessions changes also by what happens on another server, and an end says there what the administrator wrote for the user.
func TestSessionsOfAnotherServerAreToldAtOnce(t *testing.T) {
	p := startProcesses(t, 2, "NEW_AUTH_ENABLED=true", "NEW_AUTH_PERCENTAGE=100")
	here, there := p.servers[0], p.servers[1]
	eventually(t, "both servers to listen", func() bool {
		n, err := p.redis.PubSubNumSub(t.Context(), "rt:news").Result()
		counts, err2 := p.redis.PubSubShardNumSub(t.Context(), "rt:sockets").Result()
		return err == nil && err2 == nil && n["rt:news"] == 2 && counts["rt:sockets"] == 2
	})
	root, ana := here.admin("root@example.org"), here.register("ana@example.org")
	mine := ana.socket()
	mine.send(`{"id":1,"type":"subscribe","channel":"devices"}`)
	mine.typed("subscribed")
	told := func(event string) any {
		return mine.until(event, func(m message) bool { return m.Type == "device" && m.Event == event }).ID
	}
	other := there.login("ana@example.org")
	id := told("started")
	if id != any(other.session) {
		t.Errorf("told of %v, and %v began", id, other.session)
	}
	other.call("PATCH", "/api/auth/sessions/"+other.session, map[string]any{"name": "The old laptop"}, 200, nil)
	told("renamed")

	watch := root.socket()
	watch.send(`{"id":1,"type":"subscribe","channel":"sessions"}`)
	watch.typed("subscribed")
	open := other.socket()
	open.typed("welcome")
	counted := func(want int) {
		t.Helper()
		mine.until("the count in the user's list", func(m message) bool {
			return m.Type == "device" && m.Event == "sockets" && m.ID == id && m.Sockets == want
		})
		watch.until("the count in the console", func(m message) bool {
			n, told := m.Open[other.session]
			return m.Type == "sockets" && told && n == want
		})
		for _, s := range p.servers { // which of them is asked makes no difference
			eventually(t, fmt.Sprintf("%s to list %d sockets", s.url, want), func() bool {
				return s.listed(root, "/api/admin/sessions", other.session) == want && s.listed(ana, "/api/auth/sessions", other.session) == want
			})
		}
	}
	counted(1)
	watch.send(`{"id":2,"type":"subscribe","channel":"overview"}`)
	watch.until("three sockets, two here and one there", func(m message) bool { return m.Type == "overview" && m.Sockets == 3 })
	second := (&person{house: here, token: other.token}).socket()
	second.typed("welcome")
	counted(2)
	p.must(second.ws.CloseNow())
	counted(1)
	root.call("DELETE", fmt.Sprintf("/api/admin/sessions/%v", id), map[string]any{"reason": "It was found on a train.", "tell": true}, 200, nil)
	if bye := open.typed("bye"); bye.Text != "It was found on a train." || bye.Reason != "session_revoked" {
		t.Errorf("the user is told %+v", bye)
	}
	told("ended")
	root.call("DELETE", "/api/admin/sessions/"+ana.session, map[string]any{"reason": "for the log alone"}, 200, nil)
	if bye := mine.typed("bye"); bye.Text != "" {
		t.Errorf("the user is told %q", bye.Text)
	}
}
