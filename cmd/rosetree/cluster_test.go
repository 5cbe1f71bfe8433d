package main

import (
	"context"
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"rosetree/internal/devstack"
)

// watchPrices opens a socket through the balancer and returns once it brought a price.
func watchPrices(t *testing.T, url, token string) (*websocket.Conn, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + token}}})
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { ws.CloseNow() })
	ws.SetReadLimit(1 << 20)
	if err := ws.Write(ctx, websocket.MessageText, []byte(`{"id":1,"type":"subscribe","channel":"prices","symbols":["*"]}`)); err != nil {
		return nil, err
	}
	for {
		_, data, err := ws.Read(ctx)
		if err != nil {
			return nil, err
		}
		var m message
		if json.Unmarshal(data, &m); m.Type == "prices" {
			return ws, nil
		}
	}
}

// withSockets returns the server that has a socket open.
func withSockets(t *testing.T, servers []member) (with *member) {
	t.Helper()
	eventually(t, "a server to have a socket", func() bool {
		for i := range servers {
			_, _, text := (&house{t: t, url: servers[i].URL}).send("GET", "/metrics", "", nil)
			for line := range strings.Lines(string(text)) {
				if strings.HasPrefix(line, "rosetree_hub_sockets{") && !strings.HasSuffix(strings.TrimSpace(line), " 0") {
					with = &servers[i]
				}
			}
		}
		return with != nil
	})
	return with
}

// One command is a set-up of three servers on a Redis Cluster; whoever's server is killed is back on another, and nothing
// outlives the command, also when that is killed.
func TestAClusterGoesOnWithoutOneOfItsServersAndEndsWithItsParent(t *testing.T) {
	c := startAs(t, "cluster", demoData(t))
	if len(c.Servers) != 3 || !strings.HasPrefix(c.Redis, "redis+cluster://") {
		t.Fatalf("%d servers on %s", len(c.Servers), c.Redis)
	}
	token := c.logIn(t, c.Users[0])
	before := c.portfolios(t, token)
	first, err := watchPrices(t, c.Socket, token)
	if err != nil {
		t.Fatal(err)
	}
	ana := &person{token: token}
	for _, s := range c.Servers { // one of them has it
		eventually(t, s.URL+" to list the socket", func() bool {
			return (&house{t: t, url: s.URL}).listed(ana, "/api/auth/sessions", strings.Split(token, ".")[1]) == 1
		})
	}
	victim := withSockets(t, c.Servers)
	if err := syscall.Kill(victim.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	lost, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	for err == nil {
		_, _, err = first.Read(lost)
	}
	if lost.Err() != nil {
		t.Fatal("the socket of a killed server stays open")
	}
	var left []member
	for _, s := range c.Servers {
		if s.PID != victim.PID {
			left = append(left, s)
		}
	}
	began := time.Now()
	eventually(t, "a socket on another server", func() bool {
		_, err = watchPrices(t, c.Socket, token)
		return err == nil
	})
	t.Logf("back on %s after %v", withSockets(t, left).URL, time.Since(began).Round(time.Millisecond))
	if after := c.portfolios(t, token); len(before) == 0 || len(after) != len(before) { // the session lives on
		t.Errorf("portfolios before %v, after %v", before, after)
	}

	children := clusterChildren(t, c.data)
	for _, s := range left {
		children = append(children, s.PID)
	}
	if err := c.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	awaitGone(t, children)
}

// clusterChildren are PostgreSQL and the six Redis nodes, as they note their process ids themselves.
func clusterChildren(t *testing.T, data string) (pids []int) {
	t.Helper()
	notes, _ := filepath.Glob(filepath.Join(data, "servers/redis-*/pid"))
	if len(notes) != 6 {
		t.Fatalf("nodes of Redis: %v", notes)
	}
	for _, note := range append(notes, filepath.Join(data, "servers/postgres/data/postmaster.pid")) {
		pids = append(pids, devstack.NotedPID(t, note))
	}
	return pids
}
