package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/redis/go-redis/v9"

	"rosetree/auth"
	"rosetree/internal/devstack"
	"rosetree/migrations"
)

// house is a whole server on a database and a Redis of the test's own.
type house struct {
	t                       *testing.T
	url, database, redisURL string
	redis                   *redis.Client
	server                  *devstack.Redis
}

func migrate(ctx context.Context, ownerURL, runtimeURL string) error {
	key, err := (auth.SecretKey{}).Or(runtimeURL)
	if err != nil {
		return err
	}
	return migrations.Up(ctx, ownerURL, migrations.Options{ContextKeys: key.ContextKeys(), RuntimeURL: runtimeURL})
}

// newHouse starts a server with session authentication for everybody; settings are added to its environment.
func newHouse(t *testing.T, settings ...string) *house {
	t.Helper()
	env := devstack.Test(t)
	db, rds := env.Database(t, migrate), env.Redis(t)
	cfg, err := loadSettings[Config](append([]string{"DATABASE_URL=" + db.URL, "REDIS_URL=" + rds.URL, "LISTEN_ADDR=127.0.0.1:0",
		"NEW_AUTH_ENABLED=true", "NEW_AUTH_PERCENTAGE=100", "PRICE_FEEDS=sim?rate=20", "WS_DRAIN=200ms"}, settings...))
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, database: db.URL, redisURL: rds.URL, redis: rds.Client(t), server: rds}
	ctx, stop := context.WithCancel(context.Background())
	started, ended := make(chan addresses, 1), make(chan error, 1)
	go func() {
		ended <- serve(ctx, cfg, slog.New(slog.NewTextHandler(io.Discard, nil)), func(a addresses) { started <- a })
	}()
	select {
	case a := <-started:
		h.url = a.url
	case err := <-ended:
		t.Fatal("serve:", err)
	}
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error("serve ended with", err)
		}
	})
	return h
}

// person is somebody with a credential.
type person struct {
	*house
	email, id, token, session string
}

const password = "orchid-tandem-42"

// register makes a user, who logs in as a mobile client does.
func (h *house) register(email string) *person { return h.enter("/api/auth/register", email, 201) }

func (h *house) login(email string) *person { return h.enter("/api/auth/login", email, 200) }

func (h *house) enter(path, email string, want int) *person {
	h.t.Helper()
	var out struct {
		User    struct{ ID string }
		Session struct{ ID string }
		Tokens  struct{ Access string }
	}
	body := map[string]any{"email": email, "password": password, "transport": "bearer"}
	h.do("POST", path, "", body, want, &out)
	eventually(h.t, "a session's token for "+email, func() bool { // while Redis is slow a log-in gives another
		if strings.HasPrefix(out.Tokens.Access, "rt1.") {
			return true
		}
		h.do("POST", "/api/auth/login", "", body, 200, &out)
		return false
	})
	return &person{house: h, email: email, id: out.User.ID, token: out.Tokens.Access, session: out.Session.ID}
}

// admin is a person whom the operator has promoted, and who then logged in.
func (h *house) admin(email string) *person {
	h.t.Helper()
	h.register(email)
	h.command("user", "promote", email)
	return h.login(email)
}

// command runs one of the program's commands as the operator would, beside the server.
func (h *house) command(args ...string) {
	h.t.Helper()
	h.t.Setenv("DATABASE_URL", h.database)
	h.t.Setenv("REDIS_URL", h.redisURL)
	if code := run(h.t.Context(), args); code != 0 {
		h.t.Fatalf("rosetree %v: exit code %d", args, code)
	}
}

// do sends a request and decodes the answer, which must have the status that is wanted.
func (h *house) do(method, path, token string, body any, want int, out any) http.Header {
	h.t.Helper()
	status, header, answer := h.send(method, path, token, body)
	if status != want {
		h.t.Fatalf("%s %s: %d %s, want %d", method, path, status, answer, want)
	}
	if out != nil {
		if err := json.Unmarshal(answer, out); err != nil {
			h.t.Fatalf("%s %s: %v in %s", method, path, err, answer)
		}
	}
	return header
}

// send is try for as long as a person would: on a busy machine Redis may take longer than the tenth of a second that is waited for it,
// and whoever is told "unavailable" is told to try again.
func (h *house) send(method, path, token string, body any) (int, http.Header, []byte) {
	h.t.Helper()
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		status, header, answer := h.try(method, path, token, body)
		if status != http.StatusServiceUnavailable || !bytes.Contains(answer, []byte(`"code":"unavailable"`)) || time.Now().After(until) {
			return status, header, answer
		}
		h.t.Logf("%s %s: %s", method, path, answer)
	}
}

func (h *house) try(method, path, token string, body any) (int, http.Header, []byte) {
	h.t.Helper()
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(b)
	default:
		text, _ := json.Marshal(b)
		reader = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(h.t.Context(), method, h.url+path, reader)
	if err != nil {
		h.t.Fatal(err)
	}
	if reader != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return res.StatusCode, res.Header, answer
}

func (p *person) call(method, path string, body any, want int, out any) http.Header {
	p.t.Helper()
	return p.do(method, path, p.token, body, want, out)
}

// socket is a client that keeps every message it was sent.
type socket struct {
	t  *testing.T
	ws *websocket.Conn
}

func (p *person) socket() *socket {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 10*time.Second)
	defer cancel()
	var ws *websocket.Conn
	eventually(p.t, "a socket", func() bool {
		made, res, err := websocket.Dial(ctx, p.url+"/ws", &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + p.token}}})
		if err != nil && (res == nil || res.StatusCode != http.StatusServiceUnavailable) {
			p.t.Fatal(err)
		}
		ws = made
		return err == nil
	})
	ws.SetReadLimit(1 << 20)
	p.t.Cleanup(func() { ws.CloseNow() })
	return &socket{p.t, ws}
}

func (s *socket) send(message string, args ...any) {
	s.t.Helper()
	text := fmt.Appendf(nil, message, args...)
	conforms(s.t, true, text)
	if err := s.ws.Write(s.t.Context(), websocket.MessageText, text); err != nil {
		s.t.Fatal(err)
	}
}

// message is a server's message, as far as the tests look at it.
type message struct {
	Type, Channel, Portfolio, Code, Reason, Phase string
	ID                                            any
	Version                                       int64
	Snapshot                                      bool
	Updates                                       []struct{ S, P string }
	Holdings                                      []struct{ Symbol, Quantity, Value string }
	Result                                        json.RawMessage
	Error                                         *struct{ Code, Message, Field string }
	Rejected                                      []struct{ Symbol, Code string }
	Text                                          string
	Until                                         *string
	Event                                         string
	Sockets, Sessions                             int
	Status                                        string
	Newest                                        int64
	Open                                          map[string]int
}

// until reads messages until one fits.
func (s *socket) until(what string, fits func(message) bool) message {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
	defer cancel()
	var last []byte
	for {
		_, data, err := s.ws.Read(ctx)
		if err != nil {
			s.t.Fatalf("waiting for %s: %v; last message %s", what, err, last)
		}
		conforms(s.t, false, data)
		var m message
		if json.Unmarshal(data, &m); fits(m) {
			return m
		}
		last = data
	}
}

func (s *socket) typed(kind string) message {
	s.t.Helper()
	return s.until(kind, func(m message) bool { return m.Type == kind })
}

// closed reads to the end and returns the close code.
func (s *socket) closed() websocket.StatusCode {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
	defer cancel()
	for {
		_, data, err := s.ws.Read(ctx)
		if ctx.Err() != nil {
			s.t.Fatal("the socket was not closed")
		}
		if err != nil {
			return websocket.CloseStatus(err)
		}
		conforms(s.t, false, data)
	}
}

// eventually waits until something holds, and fails after a time that is long on a busy machine too.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
