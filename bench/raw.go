package main

import (
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// rawSource writes ready frames in a loop: no slots, no locks, no limits, no answers. Blocking writes
// and a fixed set of clients are all that it can do.
type rawSource struct {
	o  options
	mu sync.Mutex
	by [][]*rawConn // watchers of each symbol
	cs []*rawConn
}

type rawConn struct {
	net.Conn
	waiting []byte
}

func newRawSource(o options) *rawSource {
	s := &rawSource{o: o, by: make([][]*rawConn, o.symbols)}
	if o.kind == "raw-joined" {
		go s.flush()
	}
	return s
}

func (s *rawSource) handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		nc, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		fmt.Fprint(nc, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
		first, _ := strconv.Atoi(r.URL.Query().Get("first"))
		c := &rawConn{Conn: nc}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.cs = append(s.cs, c)
		for k := range s.o.each {
			i := (first*7 + k*13) % s.o.symbols
			s.by[i] = append(s.by[i], c)
		}
	})
}

func (s *rawSource) tick(i int, update []byte, _ uint64) {
	text := append(append([]byte(`{"type":"prices","updates":[`), update...), "]}"...)
	head := []byte{0x81, byte(len(text))}
	if len(text) > 125 {
		head = []byte{0x81, 126, byte(len(text) >> 8), byte(len(text))}
	}
	frame := append(head, text...)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.by[i] {
		if s.o.kind == "raw-joined" {
			c.waiting = append(c.waiting, frame...)
			continue
		}
		c.Write(frame)
	}
}

// flush writes what has come together, as often as the symbols tick.
func (s *rawSource) flush() {
	for range time.Tick(time.Second / time.Duration(s.o.hz)) {
		s.mu.Lock()
		for _, c := range s.cs {
			if len(c.waiting) > 0 {
				c.Write(c.waiting)
				c.waiting = c.waiting[:0]
			}
		}
		s.mu.Unlock()
	}
}
