package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"

	"rosetree/auth"
	"rosetree/portfolio"
)

// sharedPortfolio is a portfolio that all servers show: every version that is written reaches every viewer once.
type sharedPortfolio struct {
	mu      sync.Mutex
	version int64
	viewers map[portfolio.Viewer]struct{}
}

func (l *sharedPortfolio) Watch(_ context.Context, _ auth.Principal, _ portfolio.ID, since int64, v portfolio.Viewer) (func(), bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if since != l.version {
		v.Snapshot(portfolio.Snapshot{Version: l.version})
	}
	l.viewers[v] = struct{}{}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.viewers, v)
	}, since == l.version, nil
}

func (l *sharedPortfolio) write() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.version++
	for v := range l.viewers {
		v.Change(portfolio.Change{Version: l.version})
	}
	return l.version
}

// server is one of several behind the balancer.
type server struct {
	addr string
	stop func()
}

func startServer(t *testing.T, l *sharedPortfolio) *server {
	h := New(Config{SocketsPerUser: -1, Drain: 200 * time.Millisecond}, Deps{Sessions: newSessions(), Market: newMarket(), Portfolios: l,
		Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
	mux := http.NewServeMux()
	h.Routes(mux)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: mux}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan struct{})
	go s.Serve(listener)
	go func() {
		defer close(ran)
		h.Run(ctx)
	}()
	stop := sync.OnceFunc(func() {
		listener.Close()
		cancel()
		<-ran
		s.Close()
	})
	t.Cleanup(stop)
	return &server{listener.Addr().String(), stop}
}

// balancer passes TCP connections on, by turns, to whoever takes them.
type balancer struct {
	mu       sync.Mutex
	backends []string
	next     int
}

func (b *balancer) replace(i int, addr string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.backends[i] = addr
}

func (b *balancer) dial() (net.Conn, error) {
	for range 20 {
		b.mu.Lock()
		b.next++
		addr := b.backends[b.next%len(b.backends)]
		b.mu.Unlock()
		if c, err := net.Dial("tcp", addr); err == nil {
			return c, nil
		}
	}
	return nil, errors.New("no backend")
}

func (b *balancer) serve(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			back, err := b.dial()
			if err != nil {
				return
			}
			defer back.Close()
			go func() {
				io.Copy(back, c)
				back.(*net.TCPConn).CloseWrite()
			}()
			io.Copy(c, back)
		}()
	}
}

// visitor keeps its version across connections, as our browser client does.
type visitor struct {
	url    string
	shows  atomic.Int64 // the version
	moves  int
	missed []string
}

func (v *visitor) live(ctx context.Context) {
	for ctx.Err() == nil {
		wait := v.visit(ctx)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// visit is one connection; it returns how long to wait before the next.
func (v *visitor) visit(ctx context.Context) time.Duration {
	ws, _, err := websocket.Dial(ctx, v.url, &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer ana"}}})
	if err != nil {
		return 50 * time.Millisecond
	}
	defer ws.CloseNow()
	since := ""
	if shown := v.shows.Load(); shown > 0 {
		since = fmt.Sprintf(`,"since":%d`, shown)
	}
	ws.Write(ctx, websocket.MessageText, []byte(`{"id":1,"type":"subscribe","channel":"portfolio","portfolio":"p"`+since+`}`))
	wait := 50 * time.Millisecond
	for {
		_, b, err := ws.Read(ctx)
		if err != nil {
			v.moves++
			return wait
		}
		var m struct {
			Type     string
			Version  int64
			Snapshot bool
			Retry    int64 `json:"retry_ms"`
		}
		json.Unmarshal(b, &m)
		switch {
		case m.Type == "bye":
			wait = time.Duration(m.Retry) * time.Millisecond / 10 // the test has less time than people
		case m.Type != "portfolio":
		case m.Snapshot && m.Version < v.shows.Load(), !m.Snapshot && m.Version != v.shows.Load()+1:
			v.missed = append(v.missed, fmt.Sprintf("%d (snapshot %v) after %d", m.Version, m.Snapshot, v.shows.Load()))
			fallthrough
		default:
			v.shows.Store(m.Version)
		}
	}
}

// Three servers behind a TCP balancer are replaced one after the other while versions are written: everyone, clients of
// our own library among them, comes back elsewhere and no version is missed.
func TestRollingDeployLosesNoVersion(t *testing.T) {
	l := &sharedPortfolio{viewers: map[portfolio.Viewer]struct{}{}}
	b := &balancer{backends: make([]string, 3)}
	servers := make([]*server, 3)
	for i := range servers {
		servers[i] = startServer(t, l)
		b.replace(i, servers[i].addr)
	}
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer front.Close()
	go b.serve(front)
	ctx, cancel := context.WithCancel(context.Background())
	visitors := make([]*visitor, 30)
	ours := startLibraryClients(t, "ws://"+front.Addr().String()+"/ws", 10)
	var living sync.WaitGroup
	for i := range visitors {
		visitors[i] = &visitor{url: "ws://" + front.Addr().String() + "/ws"}
		living.Go(func() { visitors[i].live(ctx) })
	}
	reached := func(version int64) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
			behind := 0
			for _, v := range visitors {
				if v.shows.Load() < version {
					behind++
				}
			}
			for _, c := range ours.look() {
				if c.Version < version {
					behind++
				}
			}
			if behind == 0 {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%d visitors are behind version %d", behind, version)
			}
		}
	}
	var written atomic.Int64
	stopWriting := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		ticker := time.NewTicker(2 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-stopWriting:
				return
			case <-ticker.C:
				written.Store(l.write())
			}
		}
	})
	for i := range servers {
		reached(written.Load() + 20) // everyone is there and hears what is written
		fresh := startServer(t, l)
		b.replace(i, fresh.addr)
		servers[i].stop()
	}
	reached(written.Load() + 20)
	close(stopWriting)
	writer.Wait()
	last := written.Load()
	reached(last)
	cancel()
	living.Wait()
	moved := 0
	for i, c := range ours.look() {
		if len(c.Missed) > 0 || c.Version != last {
			t.Errorf("client %d of the library is at version %d of %d and missed %v", i, c.Version, last, c.Missed)
		}
		moved += c.Welcomes - 1
	}
	for i, v := range visitors {
		if shown := v.shows.Load(); len(v.missed) > 0 || shown != last {
			t.Errorf("visitor %d is at version %d of %d and missed %v", i, shown, last, v.missed)
		}
		moved += v.moves
	}
	if everyone := len(visitors) + len(ours.look()); moved < everyone {
		t.Errorf("only %d moves of %d visitors", moved, everyone)
	}
}
