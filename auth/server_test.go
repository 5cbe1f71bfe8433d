package auth

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"rosetree/internal/api"
	"rosetree/internal/devstack"
)

// server is this package behind HTTP, on a real Redis and a real PostgreSQL.
type server struct {
	*httptest.Server
	t     *testing.T
	auth  *Auth
	redis *devstack.Redis
	db    devstack.DB
	logs  *bytes.Buffer
	reg   *prometheus.Registry
}

// sessionsOn is the demo's configuration: everybody gets a session.
var sessionsOn = Config{NewAuthEnabled: true, NewAuthPercentage: 100, LegacyAuthEnabled: true}

func newServer(t *testing.T, cfg Config) *server {
	t.Helper()
	env := devstack.Test(t)
	return joinServer(t, cfg, env.Redis(t), env.Database(t, migrate))
}

// joinServer is one more server on the same Redis and PostgreSQL.
func joinServer(t *testing.T, cfg Config, r *devstack.Redis, d devstack.DB, before ...func(*Auth)) *server {
	t.Helper()
	return joinServerBy(t, cfg, redis.NewClient(authOptions(r)), r, d, before...)
}

// before is what happens between New and Run.
func joinServerBy(t *testing.T, cfg Config, rdb redis.UniversalClient, r *devstack.Redis, d devstack.DB, before ...func(*Auth)) *server {
	t.Helper()
	s := &server{t: t, redis: r, db: d, logs: &bytes.Buffer{}, reg: prometheus.NewRegistry()}
	t.Cleanup(func() { rdb.Close() })
	db := openDB(t, d)
	var err error
	log := slog.New(slog.NewTextHandler(&syncWriter{w: s.logs}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if s.auth, err = New(cfg, db, rdb, log, s.reg); err != nil {
		t.Fatal(err)
	}
	for _, prepare := range before {
		prepare(s.auth)
	}
	mux := http.NewServeMux()
	s.auth.Routes(mux)
	for _, op := range s.auth.Operations() {
		if op.Path != "" {
			mux.Handle(op.Method+" "+op.Path, op.Handler(s.auth.Authenticate))
		}
	}
	mux.HandleFunc("GET /ws", func(w http.ResponseWriter, r *http.Request) {
		p, err := s.auth.AuthenticateUpgrade(r)
		if err != nil {
			api.WriteProblem(w, r, err)
			return
		}
		api.WriteJSON(w, http.StatusOK, p)
	})
	s.Server = httptest.NewServer(api.Requests(log, mux))
	t.Cleanup(s.Server.Close)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = s.auth.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	s.within(10*time.Second, "the server to be ready", func() bool {
		_, err := s.auth.switches.now()
		return err == nil && s.auth.ends.ledger.isLoaded()
	})
	return s
}

func (s *server) within(d time.Duration, what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if ok() {
			return
		}
	}
	s.t.Fatalf("waited %v for %s", d, what)
}

// timed is how long something may take: what is promised, and the slack of a busy machine several times.
func timed(promised time.Duration) time.Duration { return promised + 5*slack() }

// client is a browser (with a jar) or a program (with a bearer token).
type client struct {
	s      *server
	http   *http.Client
	bearer string
	header http.Header
}

func (s *server) browser() *client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return &client{s: s, http: &http.Client{Jar: jar}, header: http.Header{"Origin": {s.URL}, "Sec-Fetch-Site": {"same-origin"}}}
}

func (s *server) program(bearer string) *client {
	return &client{s: s, http: &http.Client{}, bearer: bearer, header: http.Header{}}
}

// reply is what came back.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (r reply) problem() string {
	var p struct{ Code string }
	_ = json.Unmarshal(r.body, &p)
	return p.Code
}

func into[T any](t *testing.T, r reply) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(r.body, &v); err != nil {
		t.Fatalf("%d %s: %v", r.status, r.body, err)
	}
	return v
}

func (c *client) do(method, path string, body any) reply {
	c.s.t.Helper()
	var in io.Reader
	if text, ok := body.(string); ok {
		in = strings.NewReader(text)
	} else if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			c.s.t.Fatal(err)
		}
		in = bytes.NewReader(b)
	}
	req, err := http.NewRequest(method, c.s.URL+path, in)
	if err != nil {
		c.s.t.Fatal(err)
	}
	req.Header = c.header.Clone()
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.bearer != "" {
		req.Header.Set("Authorization", "Bearer "+c.bearer)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		c.s.t.Fatal(err)
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		c.s.t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, out}
}

// want fails the test unless the answer has this status, and this problem's code where it is one.
func (c *client) want(status int, code, method, path string, body any) reply {
	c.s.t.Helper()
	r := c.do(method, path, body)
	// A machine that is busy with other tests answers 503 now and then; a client then does as it is told.
	for try := 0; try < 10 && r.status == 503 && status != 503; try++ {
		time.Sleep(200 * time.Millisecond)
		r = c.do(method, path, body)
	}
	if r.status != status || r.problem() != code {
		c.s.t.Errorf("%s %s: %d %s, want %d %s", method, path, r.status, r.body, status, code)
	}
	return r
}

const goodPassword = "correct horse battery"

// seedUser makes an account without a log-in. One hash serves all tests: it is what takes the time.
func (s *server) seedUser(email string, role Role) User {
	s.t.Helper()
	u, err := s.auth.insertUser(s.t.Context(), NewUser{Email: email, Role: role}, goodHash, AuditEntry{Actor: "test", Action: "user.add"})
	if err != nil {
		s.t.Fatal(err)
	}
	return u
}

var goodHash = hashPassword(goodPassword, currentCost)

func (s *server) login(email, transport string) (*client, grantView) {
	s.t.Helper()
	c := s.program("")
	if transport == "cookie" {
		c = s.browser()
	}
	r := c.want(200, "", "POST", "/api/auth/login", map[string]any{"email": email, "password": goodPassword, "transport": transport,
		"device": map[string]string{"name": "test", "platform": "go"}})
	g := into[grantView](s.t, r)
	if switches, err := s.auth.switches.now(); err == nil && g.Auth == ViaLegacy && switches.issuesSession(g.User.ID) {
		s.t.Logf("the machine stood still, and %s was let in by the old path", email)
		return s.login(email, transport)
	}
	if g.Tokens != nil {
		c.bearer = g.Tokens.Access
	}
	return c, g
}

// newRegistry is a registry that nothing gathers.
func newRegistry() *prometheus.Registry { return prometheus.NewRegistry() }

func (s *server) owner() *pgx.Conn {
	s.t.Helper()
	conn, err := pgx.Connect(s.t.Context(), s.db.OwnerURL)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}
