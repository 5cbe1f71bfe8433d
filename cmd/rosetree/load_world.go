package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
)

// loadWorld is the server as the generator sees it, and who acts there.
type loadWorld struct {
	o       loadOptions
	report  *loadReport
	address string // host:port
	http    *http.Client
	redis   *redis.Client // deletes sessions by hand; nil: an admin revokes them
	users   []*loadUser
	admin   *loadSession // nil where no account is an admin's or a feed's
	still   int          // symbols beyond those that tick: known, and their price stands still

	legacyAdmin *loadSession // guarded by mu: the same account's legacy token, where those can be made

	mu       sync.Mutex
	sessions []*loadSession
	sockets  []*loadSocket
	rssFirst float64

	ticks, refused atomic.Int64 // prices sent, and those that the server did not believe
}

type loadUser struct{ id, email, password, role string }

// loadSession is a credential and its name in lists.
type loadSession struct {
	user      *loadUser
	id, token string
}

func newLoadWorld(ctx context.Context, name string, o loadOptions) (*loadWorld, error) {
	u, err := url.Parse(o.URL)
	if err != nil {
		return nil, err
	}
	w := &loadWorld{o: o, report: newLoadReport(name, o), address: u.Host,
		http: &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 256, MaxConnsPerHost: 1024}}}
	for _, a := range o.Accounts {
		email, password, _ := strings.Cut(a, ":")
		if err := w.login(ctx, &loadUser{email: email, password: password}); err != nil {
			return nil, err
		}
	}
	for i := range o.Users {
		progress("registering %d of %d users", i+1, o.Users)
		if err := w.register(ctx, &loadUser{email: fmt.Sprintf("load-%04d@example.test", i), password: "a-long-password-for-load"}); err != nil {
			return nil, err
		}
	}
	w.rssFirst = w.metric(ctx, "process_resident_memory_bytes")
	return w, nil
}

func (w *loadWorld) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.sockets {
		s.nc.Close()
	}
	progress("")
}

// grantAnswer is what a log-in answers.
type grantAnswer struct {
	User struct {
		ID   string `json:"id"`
		Role string `json:"role"`
	} `json:"user"`
	Auth    string `json:"auth"`
	Session struct {
		ID string `json:"id"`
	} `json:"session"`
	Tokens struct {
		Access string `json:"access"`
	} `json:"tokens"`
}

func (w *loadWorld) login(ctx context.Context, u *loadUser) error {
	s, err := w.loginSession(ctx, u)
	if err != nil {
		return fmt.Errorf("log-in of %s: %w", u.email, err)
	}
	w.adopt(u, s)
	return nil
}

func (w *loadWorld) loginSession(ctx context.Context, u *loadUser) (*loadSession, error) {
	return w.grant(ctx, u, "/api/auth/login", "", map[string]any{"email": u.email, "password": u.password, "transport": "bearer", "device": map[string]string{"name": "load"}})
}

func (w *loadWorld) register(ctx context.Context, u *loadUser) error {
	s, err := w.grant(ctx, u, "/api/auth/register", "", map[string]any{"email": u.email, "password": u.password, "transport": "bearer"})
	if answered, ok := errors.AsType[*answerError](err); ok && answered.status < 500 && answered.status != 429 {
		return w.login(ctx, u) // of an earlier run
	}
	if err != nil {
		return fmt.Errorf("registration of %s: %w", u.email, err)
	}
	w.adopt(u, s)
	return nil
}

func (w *loadWorld) adopt(u *loadUser, s *loadSession) {
	if u.role == "admin" || u.role == "feed" {
		w.admin = s
		return
	}
	w.users = append(w.users, u)
	w.sessions = append(w.sessions, s)
}

func (w *loadWorld) grant(ctx context.Context, u *loadUser, path, token string, body any) (*loadSession, error) {
	var out grantAnswer
	if err := w.ask(ctx, http.MethodPost, path, token, body, &out); err != nil {
		return nil, err
	}
	u.id, u.role = out.User.ID, out.User.Role
	return &loadSession{user: u, id: out.Session.ID, token: out.Tokens.Access}, nil
}

// answerError is a problem that the server answered.
type answerError struct {
	status int
	code   string
	detail string
}

func (e *answerError) Error() string { return fmt.Sprintf("%d %s: %s", e.status, e.code, e.detail) }

// ask makes one HTTP request.
func (w *loadWorld) ask(ctx context.Context, method, path, token string, body, out any) error {
	var text io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		text = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, w.o.URL+path, text)
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := w.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		var p struct{ Code, Detail string }
		_ = json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&p) // the status says enough where it is no problem document
		return &answerError{resp.StatusCode, p.Code, p.Detail}
	}
	if out == nil {
		_, err := io.Copy(io.Discard, resp.Body)
		return err
	}
	return json.NewDecoder(resp.Body).Decode(out)
}

// legacyFor makes a legacy token as the program before this one would have.
func (w *loadWorld) legacyFor(u *loadUser) *loadSession {
	now, id := time.Now(), uuid.NewString()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": u.id, "session_id": id, "role": "authenticated", "aud": "authenticated", "iss": "rosetree",
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}).SignedString([]byte(w.o.legacySecret))
	if err != nil {
		panic(err) // HS256 signs with any key
	}
	return &loadSession{user: u, id: id, token: token}
}

// enough makes sure that there are n sessions, in turn of the users: by exchange of legacy tokens where
// their secret is known, by password elsewhere.
func (w *loadWorld) enough(ctx context.Context, n int) error {
	if len(w.users) == 0 {
		return errors.New("the only log-in is an admin's; give one of a user, or --users 1")
	}
	if w.o.Sessions > 0 {
		n = w.o.Sessions
	}
	var made atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(4) // more would only queue, and a server whose log-ins are slow for long rolls back by itself
	for i := len(w.sessions); i < n; i++ {
		u := w.users[i%len(w.users)]
		g.Go(func() error {
			progress("%d of %d sessions", made.Add(1), n)
			s, err := w.another(ctx, u)
			for tries := 0; tries < 60 && busy(err); tries++ {
				if err := pause(ctx, time.Second); err != nil {
					return err
				}
				s, err = w.another(ctx, u)
			}
			if err != nil {
				return fmt.Errorf("session of %s: %w", u.email, err)
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			w.sessions = append(w.sessions, s)
			return nil
		})
	}
	return g.Wait()
}

// busy is an answer after which one tries again: making sessions is not what is measured here.
func busy(err error) bool {
	answered, ok := errors.AsType[*answerError](err)
	return ok && (answered.status == 503 || answered.status == 429)
}

func (w *loadWorld) another(ctx context.Context, u *loadUser) (*loadSession, error) {
	if w.o.legacySecret == "" {
		return w.loginSession(ctx, u)
	}
	return w.grant(ctx, u, "/api/auth/exchange", w.legacyFor(u).token, map[string]any{"transport": "bearer"})
}

// metric reads one number of the server's Prometheus page; 0 where it is not there.
func (w *loadWorld) metric(ctx context.Context, name string) float64 {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.o.MetricsURL, nil)
	if err != nil {
		return 0
	}
	resp, err := w.http.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			f, _ := strconv.ParseFloat(strings.TrimSpace(value), 64)
			return f
		}
	}
	return 0
}

// measured runs for the duration of the options and notes what the server spent meanwhile.
func (w *loadWorld) measured(ctx context.Context, show func()) (seconds float64, err error) {
	cpu, began := w.metric(ctx, "process_cpu_seconds_total"), time.Now()
	for time.Since(began) < w.o.Duration {
		if err := pause(ctx, min(500*time.Millisecond, w.o.Duration-time.Since(began))); err != nil {
			return 0, err
		}
		show()
	}
	seconds = time.Since(began).Seconds()
	rss := w.metric(ctx, "process_resident_memory_bytes")
	w.report.Server["cpu_cores"] = (w.metric(ctx, "process_cpu_seconds_total") - cpu) / seconds
	w.report.Server["rss_mb"] = rss / 1e6
	w.report.Server["rss_grew_mb"] = (rss - w.rssFirst) / 1e6
	return seconds, nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
