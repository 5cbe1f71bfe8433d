package hub

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"rosetree/auth"
	"rosetree/prices"
)

// onTCP serves h's hub on a real listener as well; its address is returned.
func onTCP(t testing.TB, h *house, start func(*httptest.Server)) *httptest.Server {
	mux := http.NewServeMux()
	h.hub.Routes(mux)
	s := httptest.NewUnstartedServer(mux)
	start(s)
	t.Cleanup(s.Close)
	return s
}

func dialTCP(t testing.TB, s *httptest.Server, token string) *client {
	t.Helper()
	ws, _, err := websocket.Dial(context.Background(), strings.Replace(s.URL, "http", "ws", 1)+"/ws",
		&websocket.DialOptions{HTTPClient: s.Client(), HTTPHeader: http.Header{"Authorization": {"Bearer " + token}}})
	if err != nil {
		t.Fatal(err)
	}
	ws.SetReadLimit(-1)
	t.Cleanup(func() { ws.CloseNow() })
	return &client{t: t, ws: ws}
}

func TestKernelTakesOurFramesWhole(t *testing.T) {
	for name, start := range map[string]func(*httptest.Server){"tcp": (*httptest.Server).Start, "tls": (*httptest.Server).StartTLS} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, Config{})
			h.market.tick("1", "A", "B", "C")
			c := dialTCP(t, onTCP(t, h, start), "ana")
			c.next("welcome")
			c.send(`{"type":"subscribe","channel":"prices","symbols":["A","B","C"]}`)
			c.next("prices")
			stop := make(chan struct{})
			go func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
						h.market.tick(fmt.Sprint(i), "A", "B", "C")
					}
				}
			}()
			last := 0.0
			for range 500 {
				m := c.next("prices")
				for _, u := range m["updates"].([]any) {
					if u := u.(message); u["s"] == "A" {
						if n := u["n"].(float64); n <= last {
							t.Fatalf("update %v after %v", n, last)
						} else {
							last = n
						}
					}
				}
			}
			close(stop)
			h.sessions.end("s-ana", auth.End{Reason: auth.EndRevoked})
			if _, code, _ := c.closed(); code != 4500 {
				t.Errorf("close code %d", code)
			}
		})
	}
}

// A peer that does not read gets no more than the kernel's short queue, and its neighbours do not wait.
func TestStalledReaderOnTCPIsBoundedAndCut(t *testing.T) {
	h := newHouse(t, Config{Stall: time.Second})
	var symbols []prices.Symbol
	for i := range 200 {
		symbols = append(symbols, prices.Symbol(fmt.Sprintf("S%d", i)))
	}
	h.market.tick("1", symbols...)
	s := onTCP(t, h, (*httptest.Server).Start)
	raw := rawUpgrade(t, s, "ana")
	raw.SetReadBuffer(4096)
	writeMasked(raw, 0x81, `{"type":"subscribe","channel":"prices","symbols":["*"]}`)
	reading := dialTCP(t, s, "ben")
	reading.next("welcome")
	reading.send(`{"type":"subscribe","channel":"prices","symbols":["S1"]}`)
	reading.next("prices")
	deadline := time.Now().Add(20 * time.Second)
	for i := 0; h.hub.Open() == 2 && time.Now().Before(deadline); i++ {
		h.market.tick(fmt.Sprint(i), symbols...)
		reading.next("prices")
	}
	if h.hub.Open() != 1 || closes(h, "slow_consumer") != 1 {
		t.Fatalf("%d open", h.hub.Open())
	}
	got, err := io.Copy(io.Discard, raw)
	if got > 8<<20 {
		t.Errorf("a stalled reader was owed %d bytes", got)
	}
	t.Logf("the peer could still read %d bytes, then %v", got, err)
}

func TestNotsentLowatIsSet(t *testing.T) {
	h := newHouse(t, Config{})
	s := onTCP(t, h, (*httptest.Server).Start)
	dialTCP(t, s, "ana").next("welcome")
	for _, c := range h.hub.connections() {
		raw, _ := c.socket.Conn.(*net.TCPConn).SyscallConn()
		raw.Control(func(fd uintptr) {
			if v, err := syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpNotsentLowat); err != nil || v != kernelQueue {
				t.Errorf("%d %v", v, err)
			}
		})
	}
}

// Delivering allocates nothing, however many connections watch.
func BenchmarkDelivery(b *testing.B) {
	h := newHouse(b, Config{SocketsPerUser: -1})
	s := onTCP(b, h, (*httptest.Server).Start)
	const sockets, perSocket = 100, 25
	var names []string
	var symbols []prices.Symbol
	for i := range perSocket {
		symbols = append(symbols, prices.Symbol(fmt.Sprintf("S%d", i)))
		names = append(names, fmt.Sprintf("%q", symbols[i]))
	}
	h.market.tick("1", symbols...)
	for range sockets {
		raw := rawUpgrade(b, s, "ana")
		writeMasked(raw, 0x81, `{"type":"subscribe","channel":"prices","symbols":[`+strings.Join(names, ",")+`]}`)
		go io.Copy(io.Discard, raw)
	}
	for _, c := range h.hub.connections() {
		for !c.showsPrices() {
			time.Sleep(time.Millisecond)
		}
	}
	shards, open := h.hub.shards, h.hub.connections()
	b.ReportAllocs()
	for i := range b.N {
		b.StopTimer()
		for j, sym := range symbols { // believed, but not told: the sweep below is what is measured
			h.hub.tickers.get(sym).offer(prices.Quote{Symbol: sym, N: uint64(i*perSocket + j + 2)})
		}
		b.StartTimer()
		for _, c := range open {
			c.visit(shards[c.shard.number], h.hub.now())
		}
	}
	b.ReportMetric(float64(b.N*sockets*perSocket)/b.Elapsed().Seconds(), "updates/s")
}

// showsPrices says whether the connection has its snapshot.
func (c *conn) showsPrices() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.flush.delivered > 0
}

// rawUpgrade is a client that frames by hand.
func rawUpgrade(t testing.TB, s *httptest.Server, token string) *net.TCPConn {
	t.Helper()
	nc, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	fmt.Fprintf(nc, "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer %s\r\n\r\n", token)
	var head []byte
	for b := make([]byte, 1); !bytes.HasSuffix(head, []byte("\r\n\r\n")); head = append(head, b...) {
		if _, err := nc.Read(b); err != nil {
			t.Fatalf("%v after %q", err, head)
		}
	}
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 101 ")) {
		t.Fatalf("%s", head)
	}
	return nc.(*net.TCPConn)
}

// writeMasked writes one frame whose mask is zero: legal, and readable in a dump.
func writeMasked(w io.Writer, first byte, payload string) {
	head := []byte{first}
	switch n := len(payload); {
	case n < 126:
		head = append(head, 0x80|byte(n))
	case n <= 0xffff:
		head = append(head, 0x80|126, byte(n>>8), byte(n))
	}
	w.Write(append(append(head, 0, 0, 0, 0), payload...))
}
