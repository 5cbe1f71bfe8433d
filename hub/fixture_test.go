package hub

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/shopspring/decimal"

	"rosetree/auth"
	"rosetree/internal/api"
	"rosetree/portfolio"
	"rosetree/prices"
)

// house is a hub over pipes, with small rooms below it: time is exact inside testing/synctest.
type house struct {
	t          testing.TB
	hub        *Hub
	sessions   *sessions
	market     *market
	portfolios *portfolios
	registry   *prometheus.Registry
	parts      atomic.Value // "ok", "degraded" or "down": what the figure health says
	listener   *pipes
	stop       context.CancelFunc
	ran        chan struct{}
}

func newHouse(t testing.TB, cfg Config, change ...func(*Deps)) *house {
	h := &house{t: t, sessions: newSessions(), market: newMarket(), portfolios: &portfolios{watched: map[portfolio.ID][]portfolio.Viewer{}},
		registry: prometheus.NewRegistry(), listener: newPipes(), ran: make(chan struct{})}
	h.parts.Store("ok")
	deps := Deps{Figures: figures{}, Sessions: h.sessions, Market: h.market, Portfolios: h.portfolios, Calls: testOperations(), Log: slog.New(slog.DiscardHandler), Registry: h.registry,
		Topics: []Topic{
			{Name: "notices", Now: func(context.Context, auth.Principal) ([]any, error) {
				return []any{Notice{Type: "notice", ID: "n1", Level: "info", Text: "hello"}}, nil
			}},
			{Name: "alerts", Personal: true, Now: func(_ context.Context, p auth.Principal) ([]any, error) { return []any{alertOf(p.User, "f1")}, nil }},
			{Name: "watchlists", Personal: true, Now: func(context.Context, auth.Principal) ([]any, error) { return []any{watchlistsOf()}, nil }},
			{Name: "imports", Personal: true, Now: func(context.Context, auth.Principal) ([]any, error) { return nil, nil }},
			{Name: "sessions", Admin: true, Now: func(context.Context, auth.Principal) ([]any, error) { return nil, nil }},
			{Name: "health", Admin: true, Every: 2 * time.Second, Now: func(context.Context, auth.Principal) ([]any, error) {
				return []any{message{"type": "health", "status": h.parts.Load(), "checks": message{"database": "ok"}, "paths": message{"session": true}}}, nil
			}},
			{Name: "audit", Admin: true, Every: time.Second, Now: func(context.Context, auth.Principal) ([]any, error) {
				return []any{message{"type": "audit", "newest": 7}}, nil
			}},
			{Name: "rollout", Admin: true, Now: func(context.Context, auth.Principal) ([]any, error) { return []any{rolloutOf(1, 10)}, nil }},
		}}
	for _, c := range change {
		c(&deps)
	}
	h.hub = New(cfg, deps)
	mux := http.NewServeMux()
	h.hub.Routes(mux)
	server := &http.Server{Handler: mux}
	ctx, cancel := context.WithCancel(context.Background())
	h.stop = cancel
	go server.Serve(h.listener)
	go func() {
		defer close(h.ran)
		h.hub.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-h.ran
		server.Close()
	})
	return h
}

// figures are of a room where one user has one session.
type figures struct{}

func (figures) ErrorRate() float64                                       { return 0 }
func (figures) LatencyP95() time.Duration                                { return 2500 * time.Microsecond }
func (figures) SocketsElsewhere(context.Context) (none auth.OpenSockets) { return none }
func (figures) RevokeP95() time.Duration                                 { return 0 }
func (figures) CountLive(context.Context) (auth.LiveCount, error) {
	return auth.LiveCount{Sessions: 1, Users: 1}, nil
}

// dial connects as the user named by token ("ana", "ana/s2", "root").
func (h *house) dial(token string, protocols ...string) *client {
	h.t.Helper()
	c, resp, err := h.tryDial(token, protocols...)
	if err != nil {
		h.t.Fatalf("dial: %v %v", err, resp)
	}
	return c
}

func (h *house) tryDial(token string, protocols ...string) (*client, *http.Response, error) {
	var raw net.Conn
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		c, err := h.listener.dial()
		raw = c
		return c, err
	}, DisableKeepAlives: true}
	ws, resp, err := websocket.Dial(context.Background(), "ws://hub/ws", &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: transport}, Subprotocols: protocols, HTTPHeader: http.Header{"Authorization": {"Bearer " + token}}})
	if err != nil {
		return nil, resp, err
	}
	ws.SetReadLimit(-1)
	c := &client{t: h.t, ws: ws, raw: raw}
	h.t.Cleanup(func() { ws.CloseNow() })
	return c, resp, nil
}

// client is the other end of a socket.
type client struct {
	t   testing.TB
	ws  *websocket.Conn
	raw net.Conn
}

type message = map[string]any

func (c *client) send(text string) {
	c.t.Helper()
	if err := c.ws.Write(context.Background(), websocket.MessageText, []byte(text)); err != nil {
		c.t.Fatalf("send %s: %v", text, err)
	}
}

// read is the next message, or the close error.
func (c *client) read() (message, error) {
	_, b, err := c.ws.Read(context.Background())
	if err != nil {
		return nil, err
	}
	var m message
	if err := json.Unmarshal(b, &m); err != nil {
		c.t.Errorf("not JSON: %s", b)
	}
	return m, nil
}

// next is the next message of the type; heartbeats in between are passed over.
func (c *client) next(kind string) message {
	c.t.Helper()
	for {
		m, err := c.read()
		if err != nil {
			c.t.Fatalf("waiting for %s: %v", kind, err)
		}
		if m["type"] == kind {
			return m
		}
		if m["type"] != "heartbeat" {
			c.t.Fatalf("waiting for %s, got %v", kind, m)
		}
	}
}

// closed reads to the end: the bye, where there was one, and the close code.
func (c *client) closed() (bye message, code int, reason string) {
	c.t.Helper()
	for {
		m, err := c.read()
		if err != nil {
			var ce websocket.CloseError
			errors.As(err, &ce)
			return bye, int(ce.Code), ce.Reason
		}
		if m["type"] == "bye" {
			bye = m
		}
	}
}

// sessions is who may come in: the token is the user's name, with a session after a slash.
type sessions struct {
	mu      sync.Mutex
	watch   map[auth.SessionID]map[int]func(auth.End)
	next    int
	expires map[auth.SessionID]time.Time
	recheck func(auth.Principal) (auth.Principal, error)
	gone    map[auth.SessionID]bool
	blind   bool
	delay   time.Duration
}

func newSessions() *sessions {
	return &sessions{watch: map[auth.SessionID]map[int]func(auth.End){}, expires: map[auth.SessionID]time.Time{}, gone: map[auth.SessionID]bool{}}
}

func (s *sessions) principal(token string) (auth.Principal, error) {
	user, session, named := strings.Cut(token, "/")
	if !named {
		session = "s-" + user
	}
	if user == "" || user == "stranger" {
		return auth.Principal{}, api.Unauthenticated("log in first")
	}
	role := auth.RoleUser
	if user == "root" {
		role = auth.RoleAdmin
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return auth.Principal{User: auth.UserID("u-" + user), Session: auth.SessionID(session), Role: role, Via: auth.ViaSession, Expires: s.expires[auth.SessionID(session)]}, nil
}

func (s *sessions) AuthenticateUpgrade(r *http.Request) (auth.Principal, error) {
	if r.Header.Get("Origin") == "http://evil.example" {
		return auth.Principal{}, api.Forbidden("origin not allowed")
	}
	if _, ticket, ok := strings.Cut(r.Header.Get("Sec-WebSocket-Protocol"), "rosetree.ticket."); ok {
		return s.principal(ticket)
	}
	return s.principal(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
}

func (s *sessions) Watch(ctx context.Context, p auth.Principal, end func(auth.End)) (func(), auth.Principal, error) {
	s.mu.Lock()
	delay := s.delay
	id := s.next
	s.next++
	if s.watch[p.Session] == nil {
		s.watch[p.Session] = map[int]func(auth.End){}
	}
	s.watch[p.Session][id] = end
	s.mu.Unlock()
	time.Sleep(delay)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone[p.Session] {
		delete(s.watch[p.Session], id)
		return nil, p, &api.Problem{Status: 401, Code: "session_revoked", Message: "gone"}
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watch[p.Session], id)
	}, p, nil
}

func (s *sessions) end(id auth.SessionID, e auth.End) {
	s.mu.Lock()
	var told []func(auth.End)
	for _, f := range s.watch[id] {
		told = append(told, f)
	}
	s.gone[id] = true
	s.watch[id] = nil
	s.mu.Unlock()
	for _, f := range told {
		f(e)
	}
}

func (s *sessions) Watched() map[auth.SessionID]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := map[auth.SessionID]int{}
	for id, w := range s.watch {
		if len(w) > 0 {
			counts[id] = len(w)
		}
	}
	return counts
}

func (s *sessions) watching() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, w := range s.watch {
		n += len(w)
	}
	return n
}

func (s *sessions) Recheck(_ context.Context, p auth.Principal) (auth.Principal, error) {
	if s.recheck != nil {
		return s.recheck(p)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p.Expires = s.expires[p.Session]
	return p, nil
}

// SocketsChanged: what the servers tell each other is for the tests of the whole program.
func (s *sessions) SocketsChanged(auth.SessionID, auth.UserID) {}

func (s *sessions) Blind(auth.Principal) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.blind
}

func (s *sessions) sight(clear bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blind = !clear
}

func (s *sessions) Renew(_ context.Context, p auth.Principal, token string) (auth.Principal, error) {
	return s.principal(token)
}

// market is a price book without rules.
type market struct {
	mu      sync.Mutex
	quotes  map[prices.Symbol]prices.Quote
	known   map[prices.Symbol]bool
	listens []func([]prices.Quote)
}

func newMarket() *market {
	return &market{quotes: map[prices.Symbol]prices.Quote{}, known: map[prices.Symbol]bool{"QUIET": true}}
}

func (m *market) Quote(s prices.Symbol) (prices.Quote, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	q, ok := m.quotes[s]
	return q, ok
}

func (m *market) Instrument(s prices.Symbol) (prices.Instrument, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return prices.Instrument{Symbol: s}, m.known[s]
}

func (m *market) Instruments() (all []prices.Instrument) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for s := range m.known {
		all = append(all, prices.Instrument{Symbol: s})
	}
	return all
}

func (m *market) Listen(fn func([]prices.Quote)) func() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.listens = append(m.listens, fn)
	return func() {}
}

// tick believes a price of each symbol.
func (m *market) tick(price string, symbols ...prices.Symbol) {
	m.mu.Lock()
	var batch []prices.Quote
	for _, s := range symbols {
		q := prices.Quote{Symbol: s, Price: decimal.RequireFromString(price), At: time.Now(), N: m.quotes[s].N + 1}
		m.quotes[s] = q
		batch = append(batch, q)
	}
	listens := m.listens
	m.mu.Unlock()
	for _, fn := range listens {
		fn(batch)
	}
}

// portfolios knows portfolio "p1" of ana, at version 5.
type portfolios struct {
	mu      sync.Mutex
	watched map[portfolio.ID][]portfolio.Viewer
	stopped int
}

func (ps *portfolios) Watch(_ context.Context, p auth.Principal, id portfolio.ID, since int64, v portfolio.Viewer) (func(), bool, error) {
	if id != "p1" || p.User != "u-ana" {
		return nil, false, api.NotFound("portfolio")
	}
	ps.mu.Lock()
	ps.watched[id] = append(ps.watched[id], v)
	ps.mu.Unlock()
	if since != 5 {
		v.Snapshot(portfolio.Snapshot{Version: 5, Holdings: []portfolio.Holding{{Symbol: "AAPL", Quantity: "3"}}, Totals: portfolio.Totals{Currency: "USD"}})
	}
	return func() {
		ps.mu.Lock()
		defer ps.mu.Unlock()
		ps.stopped++
		ps.watched[id] = nil
	}, since == 5, nil
}

func (ps *portfolios) viewer() portfolio.Viewer {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return ps.watched["p1"][0]
}

func testOperations() map[string]api.Operation[auth.Principal] {
	type echo struct {
		Text string `json:"text"`
	}
	say := api.Op("test.echo", "POST", "/echo", func(ctx context.Context, p auth.Principal, in echo) (map[string]string, error) {
		switch in.Text {
		case "slow":
			time.Sleep(time.Second)
		case "bad":
			return nil, api.Invalid("text", "text is bad")
		case "bug":
			return nil, errors.New("secret detail")
		}
		return map[string]string{"text": in.Text, "user": string(p.User), "key": api.IdempotencyKey(ctx)}, nil
	})
	return map[string]api.Operation[auth.Principal]{"test.echo": say}
}

// pipes is a listener in memory, so that synctest can tell when all are waiting.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) dial() (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return ours, nil
	case <-p.closed:
		return nil, io.ErrClosedPipe
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// inBubble runs a test with fake time.
func inBubble(t *testing.T, cfg Config, test func(t *testing.T, h *house)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, cfg)
		synctest.Wait()
		test(t, h)
	})
}

// alertOf is the firing of an alert of user's.
func alertOf(user auth.UserID, id string) prices.AlertMessage {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	return prices.AlertMessage{Type: "alert", Firing: prices.Firing{ID: id, Alert: "a-" + string(user), Symbol: "AAPL", Kind: prices.AlertAbove, Threshold: decimal.RequireFromString("180"),
		Price: decimal.RequireFromString("189.12"), PriceAt: at, Source: "sim", FiredAt: at}}
}

// rolloutOf is what cmd publishes when a switch was turned.
func rolloutOf(version int64, percentage float64) any {
	at, on, always := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), true, []auth.UserID{"u-ana"}
	return struct {
		Type string `json:"type"`
		auth.RolloutState
	}{"rollout", auth.RolloutState{Effective: auth.Switches{Version: version, NewAuth: true, Percentage: percentage, LegacyEnabled: true},
		Environment: auth.Switches{LegacyEnabled: true}, Override: auth.Override{NewAuth: &on, Percentage: &percentage, Always: &always},
		Reason: "step by step", Actor: "admin:u-root", At: at, Guard: &auth.GuardDecision{At: at, Server: "s1", Cause: "latency", Attempts: 240, P95: 12.5, Late: 0.1}}}
}

func watchlistsOf() any {
	return message{"type": "watchlists", "watchlists": []prices.Watchlist{{ID: "w1", Name: "Tech", Symbols: []prices.Symbol{"AAPL", "MSFT"}, CreatedAt: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}}}
}
