package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"rosetree/auth"
	"rosetree/internal/devstack"
)

// demoReady is what a demo says once it can be used.
type demoReady struct {
	at     addresses
	stack  *devstack.Stack
	people []demoPerson
	took   time.Duration
	data   string

	members []*member // of a cluster, which has a balancer before it; none of a demo
}

func (d demoReady) socket() string {
	return "ws" + strings.TrimPrefix(d.at.url, "http") + "/ws"
}

// writeJSON writes the line that scripts and tests read.
func (d demoReady) writeJSON(out io.Writer) {
	line := map[string]any{
		"url": d.at.url, "ws": d.socket(), "metrics": d.at.metrics, "database_url": d.stack.DatabaseURL,
		"migrate_database_url": d.stack.OwnerURL, "redis_url": d.stack.RedisURL, "users": d.people,
	}
	if d.members != nil {
		line["servers"] = d.members
	}
	// Nobody can be told where the reader of this line is gone, and the demo runs on without it.
	_ = json.NewEncoder(out).Encode(line)
}

func (d demoReady) writeText(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "  %s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintln(w)
	row("dashboard", "%s", d.at.url)
	for _, p := range d.people {
		name := "log in as"
		if p.Role == auth.RoleAdmin {
			name = "administrator"
		}
		row(name, "%s  %s", p.Email, p.Password)
	}
	row("socket", "%s", d.socket())
	row("metrics", "%s", d.at.metrics)
	for i, m := range d.members {
		row(fmt.Sprintf("server %d", i+1), "%s  process %d", m.URL, m.PID)
	}
	row("PostgreSQL", "%s", d.stack.DatabaseURL)
	row("  its owner", "%s", d.stack.OwnerURL)
	row("Redis", "%s", d.stack.RedisURL)
	row("data", "%s (--fresh empties it)", d.data)
	w.Flush()
	next := demoNext
	if d.members != nil {
		next = clusterNext
	}
	fmt.Fprintf(out, next, d.at.url, d.stack.DatabaseURL, d.stack.RedisURL)
	fmt.Fprintf(out, "\nready in %.1f s; Ctrl-C ends it\n", d.took.Seconds())
}

// demoNext is what to try: a screen that moves, and the three ways to end a session.
const demoNext = `
Try next
  1. Log in at %[1]s and watch the portfolio move.
  2. In another browser log in as the administrator, open Admin, and revoke the first session.
  3. Or from a terminal:
       export DATABASE_URL='%[2]s'
       export REDIS_URL='%[3]s'
       bin/rosetree sessions list
       bin/rosetree sessions revoke ID --reason 'lost laptop'
  4. Or by hand: the key is the session.
       redis-cli -u "$REDIS_URL" --scan --pattern 'rt:s:*'
       redis-cli -u "$REDIS_URL" DEL 'rt:s:{…}…'
`

// clusterNext is what several servers are for.
const clusterNext = `
Try next
  1. Log in at %[1]s: the balancer picks the server with the fewest connections.
  2. Kill a server (kill -9 PROCESS): the page is back on another within seconds.
  3. From a terminal, on all servers at once:
       export DATABASE_URL='%[2]s'
       export REDIS_URL='%[3]s'
       bin/rosetree check
       bin/rosetree sessions list
       bin/rosetree sessions revoke ID --reason 'lost laptop'
`
