package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rosetree/internal/devstack"
)

// processes are servers as an operator runs them: each a process of its own, on one database and one Redis.
type processes struct {
	t       *testing.T
	bin     string
	env     []string
	servers []*house

	database, redisURL string
	redis              *redis.Client
}

func startProcesses(t *testing.T, n int, settings ...string) *processes {
	t.Helper()
	bin := program(t)
	env := devstack.Test(t)
	db, rds := env.Database(t, migrate), env.Redis(t)
	p := &processes{t: t, bin: bin, env: append([]string{"PATH=" + os.Getenv("PATH"), "DATABASE_URL=" + db.URL, "REDIS_URL=" + rds.URL,
		"LISTEN_ADDR=127.0.0.1:0", "PRICE_FEEDS=sim?rate=1", "LOG_FORMAT=json", "WS_DRAIN=200ms"}, settings...),
		database: db.URL, redisURL: rds.URL, redis: rds.Client(t)}
	p.add(n)
	return p
}

func (p *processes) add(n int) {
	p.t.Helper()
	for range n {
		p.servers = append(p.servers, &house{t: p.t, url: p.start(), database: p.database, redisURL: p.redisURL, redis: p.redis})
	}
}

// start is one more server; it returns its address once callers are let in.
func (p *processes) start() (url string) {
	p.t.Helper()
	cmd := exec.Command(p.bin, "serve")
	cmd.Env = p.env
	log, err := cmd.StderrPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		cut := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		defer cut.Stop()
		_ = cmd.Wait()
	})
	serving := make(chan string, 1)
	go func() { // to the end, or a server that logs much would wait for us
		for lines := bufio.NewScanner(log); lines.Scan(); {
			var line struct{ Msg, URL string }
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "serving" {
				serving <- line.URL
			}
		}
	}()
	select {
	case url = <-serving:
	case <-time.After(30 * time.Second):
		p.t.Fatal("a server did not start within 30 s")
	}
	return url
}

// rollout runs the operator's command, in a process of its own, and says how long after its start the last server has the mode.
func (p *processes) rollout(mode string, percent float64, switches ...string) time.Duration {
	p.t.Helper()
	began := time.Now()
	cmd := exec.Command(p.bin, append(append([]string{"rollout", "set"}, switches...), "--reason", "a test")...)
	cmd.Env = p.env
	if out, err := cmd.CombinedOutput(); err != nil {
		p.t.Fatalf("rollout set %v: %v %s", switches, err, out)
	}
	turned := time.Now()
	for _, s := range p.servers {
		eventually(p.t, fmt.Sprintf("%s to be %s at %v %%", s.url, mode, percent), func() bool { return s.mode() == mode && s.percent() == percent })
	}
	p.t.Logf("%v: %s on the last server %v after the command began, %v after it had ended", switches, mode,
		time.Since(began).Round(time.Millisecond), time.Since(turned).Round(time.Millisecond))
	if late := time.Since(turned); late > time.Second+slack() {
		p.t.Errorf("%v took %v to reach every server", switches, late)
	}
	return time.Since(began)
}

func (h *house) mode() string {
	var out struct{ Rollout struct{ Mode string } }
	h.do("GET", "/api/auth/status", "", nil, 200, &out)
	return out.Rollout.Mode
}

// percent is what the server says of itself to its operator.
func (h *house) percent() (percent float64) {
	_, _, text := h.send("GET", "/metrics", "", nil)
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "rosetree_auth_rollout_percent "); ok {
			percent, _ = strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return percent
}

// slack is what a busy test machine may add to a promise. On a quiet one: ROSETREE_TEST_SLACK=0s go test ./cmd/rosetree
func slack() time.Duration {
	if d, err := time.ParseDuration(os.Getenv("ROSETREE_TEST_SLACK")); err == nil {
		return d
	}
	return 5 * time.Second
}

// held is what users were given on the way: every credential has to work on every server until the end.
type held struct {
	p        *processes
	mu       sync.Mutex
	tokens   []string
	dropped  atomic.Int32
	sockets  atomic.Int32
	requests atomic.Int32
	ending   atomic.Bool
}

// login gets one more credential and opens a socket with it on every server.
func (h *held) login(email, path string, want int) (auth string) {
	var out struct {
		Auth   string
		Tokens struct{ Access string }
	}
	h.p.servers[0].do("POST", path, "", map[string]any{"email": email, "password": password, "transport": "bearer"}, want, &out)
	h.mu.Lock()
	h.tokens = append(h.tokens, out.Tokens.Access)
	h.mu.Unlock()
	for _, s := range h.p.servers {
		sock := (&person{house: s, token: out.Tokens.Access}).socket()
		sock.typed("welcome")
		h.sockets.Add(1)
		go func() {
			for {
				if _, _, err := sock.ws.Read(context.Background()); err != nil {
					if !h.ending.Load() {
						h.dropped.Add(1)
						h.p.t.Errorf("a socket was dropped: %v", err)
					}
					return
				}
			}
		}()
	}
	return out.Auth
}

// load presents every credential to every server until ctx ends.
func (h *held) load(ctx context.Context) {
	for ctx.Err() == nil {
		h.mu.Lock()
		tokens := h.tokens
		h.mu.Unlock()
		for _, token := range tokens {
			for _, s := range h.p.servers {
				status, _, answer := s.send("GET", "/api/auth/sessions", token, nil)
				if h.requests.Add(1); status != http.StatusOK {
					h.p.t.Errorf("%s: %d %s", s.url, status, answer)
				}
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func TestF6_ThreeProcessesFollowTheSwitchesAndDropNobody(t *testing.T) {
	p := startProcesses(t, 3, "NEW_AUTH_ENABLED=false", "LEGACY_JWT_SECRET=0123456789abcdef0123456789abcdef")
	h := &held{p: p}
	defer h.ending.Store(true)
	if auth := h.login("ana@example.com", "/api/auth/register", 201); auth != "legacy" {
		t.Errorf("before the switch a log-in gives %q", auth)
	}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { h.load(ctx) })
	p.rollout("partial", 10, "enabled=true", "percentage=10")
	p.rollout("partial", 50, "percentage=50")
	p.rollout("full", 100, "percentage=100")
	if auth := h.login("ana@example.com", "/api/auth/login", 200); auth != "session" {
		t.Errorf("at 100 %% a log-in gives %q", auth)
	}
	if took := p.rollout("rollback", 0, "rollback=true"); took > 2*time.Second+slack() {
		t.Errorf("from the command to the last server: %v", took)
	}
	if auth := h.login("ana@example.com", "/api/auth/login", 200); auth != "legacy" {
		t.Errorf("in rollback a log-in gives %q", auth)
	}
	p.rollout("full", 100, "rollback=false")
	p.rollout("legacy", 0, "enabled=false")
	stop()
	wg.Wait()
	t.Logf("%d requests, %d sockets, %d dropped", h.requests.Load(), h.sockets.Load(), h.dropped.Load())
}
