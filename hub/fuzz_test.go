package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rosetree/auth"
	"rosetree/portfolio"
	"rosetree/prices"
)

// sink takes everything at once.
type sink struct{ got []byte }

func (s *sink) write(_ *kernelWrite, p []byte) (int, error) {
	s.got = append(s.got[:0], p...)
	return len(p), nil
}
func (s *sink) idle() bool { return true }
func (s *sink) cut(bool)   {}

// deskConn is a connection without a peer, of a hub that does not run: the test is its flusher.
func deskConn(m *market) (*conn, *sink) {
	h := New(Config{Calls: -1}, Deps{Sessions: newSessions(), Market: m, Portfolios: &portfolios{watched: map[portfolio.ID][]portfolio.Viewer{}},
		Calls: testOperations(), Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(),
		Topics: []Topic{{Name: "notices", Now: func(context.Context, auth.Principal) ([]any, error) { return nil, nil }}}})
	m.Listen(h.tick)
	c := h.newConn("", auth.Principal{User: "u-ana", Session: "s-ana", Role: auth.RoleUser})
	s := &sink{}
	c.unwatch = func() {}
	c.wire = s
	ours, _ := net.Pipe()
	c.socket = &socket{Conn: ours, c: c}
	c.flush.pingAt = 1 << 60
	c.mu.Lock()
	c.shard.add(c)
	c.mu.Unlock()
	return c, s
}

func TestDeliveryAllocatesNothing(t *testing.T) {
	m := newMarket()
	c, s := deskConn(m)
	var names []string
	var ticks []*ticker
	for i := range 25 {
		m.tick("1", prices.Symbol(fmt.Sprintf("S%d", i)))
		names = append(names, fmt.Sprintf(`"S%d"`, i))
	}
	c.handle([]byte(`{"type":"subscribe","channel":"prices","symbols":[` + strings.Join(names, ",") + `]}`))
	c.visit(c.shard, c.hub.now())
	ticks = c.prices.tickers()
	if len(ticks) != 25 {
		t.Fatal(len(ticks))
	}
	before := c.flush.delivered
	if n := testing.AllocsPerRun(100, func() {
		for _, tk := range ticks {
			tk.newest.Store(&fragment{n: tk.newest.Load().n + 1, json: tk.newest.Load().json})
		}
		c.visit(c.shard, c.hub.now())
	}); n > 25 { // one for each fragment that the test itself makes
		t.Errorf("%v allocations for 25 updates", n-25)
	}
	if c.flush.delivered-before != 101*25 || len(s.got) == 0 {
		t.Errorf("%d delivered", c.flush.delivered-before)
	}
}

// FuzzMessages throws anything at the reader of messages: it answers with valid messages or not at all.
func FuzzMessages(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.txt")
	for _, file := range files {
		text, _ := os.ReadFile(file)
		for line := range strings.Lines(string(text)) {
			if said, ok := strings.CutPrefix(line, "> "); ok {
				f.Add([]byte(strings.TrimSpace(said)))
			}
		}
	}
	m := newMarket()
	m.tick("1", "AAPL", "MSFT")
	f.Fuzz(func(t *testing.T, text []byte) {
		if strings.Contains(string(text), "slow") {
			return
		}
		c, s := deskConn(m)
		c.handle(text)
		c.hub.workers.Wait()
		m.tick("2", "AAPL")
		s.got = nil
		c.visit(c.shard, c.hub.now())
		for b := s.got; len(b) > 0; {
			payload, rest, err := cutFrame(b)
			var v struct{ Type string }
			if err != nil || json.Unmarshal(payload, &v) != nil || v.Type == "" {
				t.Fatalf("%q was answered with %q (%v)", text, s.got, err)
			}
			b = rest
		}
		if faults := c.check(); len(faults) > 0 {
			t.Fatalf("%q: %v", text, faults)
		}
	})
}

func cutFrame(b []byte) (payload, rest []byte, err error) {
	n, head := int(b[1]), 2
	switch {
	case n == 126 && len(b) >= 4:
		n, head = int(b[2])<<8|int(b[3]), 4
	case n == 127 && len(b) >= 10:
		n, head = int(b[6])<<24|int(b[7])<<16|int(b[8])<<8|int(b[9]), 10
	}
	if len(b) < head+n {
		return nil, nil, io.ErrUnexpectedEOF
	}
	return b[head : head+n], b[head+n:], nil
}

// FuzzLifecycle runs a random life of a few sockets against a model: what each socket may know.
func FuzzLifecycle(f *testing.F) {
	f.Add([]byte("c0c1t0s0t1r0w9c0"))
	f.Add([]byte("c0s0t0z0t0t1w5y0t0x0c0t0u0t0k0"))
	f.Add([]byte("c0c0c0s0s1s2s3t0t1t2b0d0p0w9w9"))
	f.Add([]byte("c0b0s0t0t0t0t0w9w9w9w9t0r0d0"))
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 120 {
			script = script[:120]
		}
		synctest.Test(t, func(t *testing.T) { runLife(t, script) })
	})
}

func TestLifecycles(t *testing.T) {
	for seed := range 60 {
		script := make([]byte, 100)
		x := uint64(seed)*2654435761 + 1
		for i := range script {
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
			script[i] = "csucxrkzytpwwbdtts0123456789"[x%28]
		}
		synctest.Test(t, func(t *testing.T) { runLife(t, script) })
	}
}

// life is the model: sessions that have ended, and what each reader has seen.
type life struct {
	t       *testing.T
	h       *house
	readers []*reader
	ended   sync.Map // session → time.Time, the first
}

type reader struct {
	*client
	session string
	mu      sync.Mutex
	paused  bool
	resumed chan struct{}
	numbers map[string]float64
}

func runLife(t *testing.T, script []byte) {
	l := &life{t: t, h: newHouse(t, Config{SocketsPerUser: 5, MessagesPerSecond: 1000})}
	l.h.market.tick("1", "A", "B", "C")
	for i := 0; i+1 < len(script); i += 2 {
		l.step(script[i], int(script[i+1]))
		synctest.Wait()
		if faults := l.h.hub.Check(); len(faults) > 0 {
			t.Fatalf("after %q: %v", script[:i+2], faults)
		}
	}
	l.h.stop()
	for _, r := range l.readers {
		r.carryOn()
	}
	<-l.h.ran
	synctest.Wait()
	if l.h.hub.Open() != 0 || l.h.sessions.watching() != 0 {
		t.Fatalf("%d open, %d watched after %q", l.h.hub.Open(), l.h.sessions.watching(), script)
	}
}

var lifeSymbols = []prices.Symbol{"A", "B", "C", "D"}

func (l *life) step(op byte, arg int) {
	switch op {
	case 't':
		l.h.market.tick("1", lifeSymbols[arg%4])
		return
	case 'w':
		time.Sleep(time.Duration(arg%10) * 700 * time.Millisecond)
		return
	case 'c':
		l.connect(fmt.Sprintf("ana/s%d", arg%4))
		return
	case 'r':
		id := fmt.Sprintf("s%d", arg%4)
		l.h.sessions.end(auth.SessionID(id), auth.End{Reason: auth.EndRevoked})
		l.ended.LoadOrStore(id, time.Now())
		time.Sleep(time.Millisecond)
		return
	}
	if len(l.readers) == 0 {
		return
	}
	r := l.readers[arg%len(l.readers)]
	said := map[byte]string{
		's': fmt.Sprintf(`{"id":1,"type":"subscribe","channel":"prices","symbols":["%s","*"],"max_hz":%d}`, lifeSymbols[arg%4], arg%9+1),
		'u': fmt.Sprintf(`{"type":"unsubscribe","channel":"prices","symbols":["%s"]}`, lifeSymbols[arg%4]),
		'x': `{"type":"unsubscribe","channel":"prices","symbols":["*"]}`,
		'p': `{"id":2,"type":"subscribe","channel":"portfolio","portfolio":"p1"}`,
		'z': `{"type":"suspend"}`, 'y': `{"type":"resume"}`, 'n': `{"type":"subscribe","channel":"notices"}`}
	switch op {
	case 'b':
		r.pause()
	case 'd':
		r.carryOn()
	case 'k':
		r.raw.Close()
	default:
		if text := said[op]; text != "" {
			go r.say(text)
		}
	}
}

func (l *life) connect(token string) {
	c, resp, err := l.h.tryDial(token)
	if err != nil {
		if resp == nil || resp.StatusCode != 401 {
			l.t.Fatalf("dial: %v %v", err, resp)
		}
		return
	}
	_, session, _ := strings.Cut(token, "/")
	r := &reader{client: c, session: session, resumed: make(chan struct{}), numbers: map[string]float64{}}
	close(r.resumed)
	l.readers = append(l.readers, r)
	go r.follow(l)
}

func (r *reader) say(text string) {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	r.ws.Write(ctx, 1, []byte(text))
}

func (r *reader) pause() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.paused {
		r.paused, r.resumed = true, make(chan struct{})
	}
}

func (r *reader) carryOn() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.paused {
		r.paused = false
		close(r.resumed)
	}
}

func (r *reader) waiting() chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.resumed
}

// follow reads and holds what comes against the model: numbers grow, nothing is younger than the end.
func (r *reader) follow(l *life) {
	for {
		<-r.waiting()
		m, err := r.read()
		if err != nil {
			return
		}
		if m["type"] != "prices" {
			continue
		}
		for _, u := range m["updates"].([]any) {
			u := u.(message)
			s, n := u["s"].(string), u["n"].(float64)
			if n < r.numbers[s] || n == r.numbers[s] && m["snapshot"] == nil {
				l.t.Errorf("%s: update %v after %v", s, n, r.numbers[s])
			}
			r.numbers[s] = n
			if end, over := l.ended.Load(r.session); over && int64(u["t"].(float64)) > end.(time.Time).UnixMilli() {
				l.t.Errorf("data of after the end of %s", r.session)
			}
		}
	}
}
