package main

import (
	"testing"

	"rosetree/auth"
)

// The command counts sockets as the console does: by asking the servers.
func TestTheListOfSessionsCountsTheirSockets(t *testing.T) {
	h := newHouse(t)
	ana := h.register("ana@example.org")
	ana.socket().typed("welcome")
	t.Setenv("DATABASE_URL", h.database)
	t.Setenv("REDIS_URL", h.redisURL)
	eventually(t, "a list with her socket", func() bool { // a busy server may be too late to be counted
		var page auth.SessionPage
		operated{t: t}.run(&page, "", "sessions", "list")
		return len(page.Sessions) == 1 && string(page.Sessions[0].ID) == ana.session && page.Sessions[0].Sockets == 1
	})
}
