package hub_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"rosetree/auth"
	"rosetree/hub"
	"rosetree/internal/devstack"
	"rosetree/migrations"
	"rosetree/portfolio"
	"rosetree/prices"
)

func scale(name string, n int) int {
	if set, err := strconv.Atoi(os.Getenv(name)); err == nil && set > 0 {
		return set
	}
	return n
}

func migrate(ctx context.Context, ownerURL, runtimeURL string) error {
	secret, err := auth.SecretKey{}.Or(runtimeURL)
	if err != nil {
		return err
	}
	return migrations.Up(ctx, ownerURL, migrations.Options{ContextKeys: secret.ContextKeys(), RuntimeURL: runtimeURL})
}

// slack is what a busy test machine may add to a promise. On a quiet one: ROSETREE_TEST_SLACK=0s go test ./hub
func slack() time.Duration {
	if d, err := time.ParseDuration(os.Getenv("ROSETREE_TEST_SLACK")); err == nil {
		return d
	}
	return time.Second
}

// world is one server with its Redis, which it reaches over a link that can fail, and people with sessions.
type world struct {
	t      testing.TB
	redis  *devstack.Redis
	admin  *redis.Client
	wire   *devstack.Link
	auth   *auth.Auth
	book   *prices.Book
	server *httptest.Server

	metrics  prometheus.Gatherer
	template map[string]string // a session that log-in made
	tag      string            // its user's part of the id
	ttl      time.Duration
}

func newWorld(t testing.TB) *world {
	t.Helper()
	env := devstack.Test(t)
	w := &world{t: t, redis: env.Redis(t), book: prices.NewBook(prometheus.NewRegistry())}
	w.admin, w.wire = w.redis.Client(t), devstack.StartLink(t, w.redis.Addr)
	log, reg := slog.New(slog.DiscardHandler), prometheus.NewRegistry()
	w.metrics = reg
	db, err := auth.OpenDB(context.Background(), auth.DBConfig{URL: auth.Secret(env.Database(t, migrate).URL)}, reg)
	w.must(err)
	t.Cleanup(db.Close)
	rdb, err := auth.OpenRedis(strings.Replace(w.redis.URL, w.redis.Addr, w.wire.Addr, 1))
	w.must(err)
	t.Cleanup(func() { rdb.Close() })
	w.auth, err = auth.New(auth.Config{NewAuthEnabled: true, NewAuthPercentage: 100, LegacyAuthEnabled: true, MaxBlind: 30 * time.Second}, db, rdb, log, reg)
	w.must(err)
	market, err := prices.New(prices.Config{}, db.Service(auth.ServiceFeed), db.Sealer(), rdb, log, prometheus.NewRegistry())
	w.must(err)
	sockets := hub.New(hub.Config{SocketsPerUser: -1, SocketsPerAddress: -1}, hub.Deps{Sessions: w.auth, Market: w.book, Log: log, Registry: reg,
		Portfolios: hub.Ledger(portfolio.New(portfolio.Config{}, db, w.book, market, rdb, log, reg))})
	w.run(w.auth.Run, sockets.Run)
	mux := http.NewServeMux()
	w.auth.Routes(mux)
	sockets.Routes(mux)
	w.server = httptest.NewServer(mux)
	t.Cleanup(w.server.Close)
	w.book.Define(prices.Instrument{Symbol: "A", Currency: "USD"})
	w.logIn()
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) run(parts ...func(context.Context) error) {
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, part := range parts {
		wg.Go(func() { part(ctx) })
	}
	w.t.Cleanup(func() { stop(); wg.Wait() })
}

// logIn makes the one session by password; hashing one for each socket would take a minute.
func (w *world) logIn() {
	var out struct {
		Session struct{ ID string }
		Tokens  struct{ Access string }
	}
	body, _ := json.Marshal(map[string]any{"email": "ana@example.com", "password": "orchid-tandem-42", "transport": "bearer"})
	for deadline := time.Now().Add(10 * time.Second); out.Session.ID == ""; time.Sleep(20 * time.Millisecond) {
		res, err := http.Post(w.server.URL+"/api/auth/register", "application/json", bytes.NewReader(body))
		w.must(err)
		answer, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if json.Unmarshal(answer, &out); out.Session.ID == "" && time.Now().After(deadline) {
			w.t.Fatalf("register: %s", answer)
		}
	}
	w.tag = out.Session.ID[:12]
	w.template = w.admin.HGetAll(context.Background(), w.key(out.Session.ID)).Val()
	w.ttl = w.admin.PTTL(context.Background(), w.key(out.Session.ID)).Val()
}

func (w *world) key(id string) string { return "rt:s:{" + id[:12] + "}" + id[12:] }

// peer is a client with a socket of its own session.
type peer struct {
	w      *world
	id     string
	made   time.Time // its session
	ws     *websocket.Conn
	frames atomic.Pointer[chan time.Time] // when prices came, for those who watch
	code   websocket.StatusCode
	at     time.Time     // when it saw its socket close
	done   chan struct{} // closed then
}

// peers opens n sockets of n sessions.
func (w *world) peers(n int) []*peer {
	w.t.Helper()
	all := make([]*peer, n)
	tokens := make([]string, n)
	pipe := w.admin.Pipeline()
	for i := range all {
		id := w.tag + rand.Text()[:16]
		secret := base64.RawURLEncoding.EncodeToString([]byte(rand.Text() + rand.Text())[:32])
		sum := sha256.Sum256([]byte(secret))
		pipe.HSet(context.Background(), w.key(id), w.template)
		now := strconv.FormatInt(time.Now().UnixMilli(), 10)
		pipe.HSet(context.Background(), w.key(id), "iat", now, "seen", now, "vh", base64.RawURLEncoding.EncodeToString(sum[:]))
		pipe.PExpire(context.Background(), w.key(id), w.ttl)
		all[i], tokens[i] = &peer{w: w, id: id, done: make(chan struct{})}, "rt1."+id+"."+secret
	}
	made := time.Now()
	_, err := pipe.Exec(context.Background())
	w.must(err)
	var wg sync.WaitGroup
	places := make(chan struct{}, 8)
	for i, p := range all {
		p.made = made
		wg.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			p.dial(tokens[i])
		})
	}
	wg.Wait()
	for _, p := range all {
		if p.ws == nil {
			w.t.Fatal("not all sockets opened")
		}
	}
	return all
}

// dial tries again for a while, as clients do: this machine may be too busy to ask Redis in time.
func (p *peer) dial(token string) {
	for deadline := time.Now().Add(40 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		ws, res, err := websocket.Dial(context.Background(), strings.Replace(p.w.server.URL, "http", "ws", 1)+"/ws",
			&websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + token}}})
		if err == nil {
			p.ws = ws
			break
		}
		if res == nil || res.StatusCode != http.StatusServiceUnavailable || time.Now().After(deadline) {
			p.w.t.Errorf("dial: %v: %s", err, bodyOf(res))
			return
		}
	}
	p.ws.SetReadLimit(-1)
	p.w.t.Cleanup(func() { p.ws.CloseNow() })
	go p.read()
}

func bodyOf(res *http.Response) []byte {
	if res == nil {
		return nil
	}
	text, _ := io.ReadAll(res.Body)
	return text
}

func (p *peer) read() {
	for {
		_, text, err := p.ws.Read(context.Background())
		if err != nil {
			p.at = time.Now()
			if closed, ok := errors.AsType[websocket.CloseError](err); ok {
				p.code = closed.Code
			}
			close(p.done)
			return
		}
		if frames := p.frames.Load(); frames != nil && bytes.Contains(text, []byte(`"prices"`)) {
			*frames <- time.Now()
		}
	}
}

func (p *peer) isOpen() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// closed waits for the close and says how long after since it came.
func (p *peer) closed(since time.Time, want websocket.StatusCode) time.Duration {
	p.w.t.Helper()
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		p.w.t.Fatal("the socket stays open")
	}
	if p.code != want {
		p.w.t.Errorf("closed with %d, want %d", p.code, want)
	}
	return p.at.Sub(since)
}

func (w *world) del(p *peer) time.Time {
	at := time.Now()
	w.must(w.admin.Del(context.Background(), w.key(p.id)).Err())
	return at
}

// settled waits until the watcher has proved that it hears Redis.
func (w *world) settled() {
	w.t.Helper()
	w.until("the watcher hears Redis", func() bool {
		families, err := w.metrics.Gather()
		w.must(err)
		for _, f := range families {
			if f.GetName() == "rosetree_auth_blind" {
				return f.GetMetric()[0].GetGauge().GetValue() == 0
			}
		}
		return false
	})
}

// until waits for a condition.
func (w *world) until(what string, holds func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatal("in vain waited until " + what)
		}
	}
}

func (w *world) open(all []*peer) (n int) {
	for _, p := range all {
		if p.isOpen() {
			n++
		}
	}
	return n
}
