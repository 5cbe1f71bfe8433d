package devstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// Balancer passes TCP connections on to the server that has the fewest and says that it is ready. What it has passed
// on it leaves alone: a server that drains sends its own sockets away.
type Balancer struct {
	Addr string // host:port of its listener

	listener net.Listener
	wg       sync.WaitGroup
	stop     context.CancelFunc

	mu      sync.Mutex
	servers []*backend // guarded by mu
}

type backend struct {
	addr  string
	ready bool
	open  int
}

const (
	balancerEvery = 250 * time.Millisecond // how often each server is asked whether it is ready
	balancerAsks  = 2 * time.Second        // how long it may take to answer, and a connection to be made
)

// StartBalancer listens on addr and passes connections on to servers (host:port), each once it is ready.
func StartBalancer(addr string, servers ...string) (*Balancer, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("devstack: balancer: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	b := &Balancer{Addr: listener.Addr().String(), listener: listener, stop: stop}
	b.Use(servers...)
	b.wg.Go(b.accept)
	b.wg.Go(func() { b.watch(ctx) })
	return b, nil
}

// Use replaces the servers. Those that stay keep their count; connections to those that go end by themselves.
func (b *Balancer) Use(servers ...string) {
	b.mu.Lock()
	known := map[string]*backend{}
	for _, s := range b.servers {
		known[s.addr] = s
	}
	b.servers = nil
	for _, addr := range servers {
		s := known[addr]
		if s == nil {
			s = &backend{addr: addr}
		}
		b.servers = append(b.servers, s)
	}
	b.mu.Unlock()
	b.look()
}

// Ready returns how many servers take connections.
func (b *Balancer) Ready() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.servers {
		if s.ready {
			n++
		}
	}
	return n
}

// Close ends the balancer and its connections.
func (b *Balancer) Close() {
	b.stop()
	b.listener.Close()
}

func (b *Balancer) watch(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(balancerEvery):
			b.look()
		}
	}
}

// look asks all servers side by side: one that hangs must not keep the others out.
func (b *Balancer) look() {
	b.mu.Lock()
	servers := append([]*backend(nil), b.servers...)
	b.mu.Unlock()
	var wg sync.WaitGroup
	for _, s := range servers {
		wg.Go(func() { b.mark(s, isReady(s.addr)) })
	}
	wg.Wait()
}

func (b *Balancer) mark(s *backend, ready bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s.ready = ready
}

func isReady(addr string) bool {
	client := http.Client{Timeout: balancerAsks, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get("http://" + addr + "/api/health/ready")
	if err != nil {
		return false
	}
	res.Body.Close()
	return res.StatusCode == http.StatusOK
}

func (b *Balancer) accept() {
	for {
		client, err := b.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(balancerEvery) // out of descriptors, most likely
			continue
		}
		go b.pass(client)
	}
}

func (b *Balancer) pass(client net.Conn) {
	defer client.Close()
	s, server := b.dial()
	if server == nil {
		return
	}
	defer server.Close()
	defer b.leave(s)
	var wg sync.WaitGroup
	wg.Go(func() { carryOn(server, client) })
	wg.Go(func() { carryOn(client, server) })
	wg.Wait()
}

// carryOn copies to the end of from, and passes that end on. An error ends both directions.
func carryOn(to, from net.Conn) {
	if _, err := io.Copy(to, from); err != nil {
		to.Close()
		from.Close()
		return
	}
	_ = to.(*net.TCPConn).CloseWrite() // it is gone already where this fails
}

// dial tries the servers that are ready, the one with the fewest connections first. One that cannot be reached is left
// out until it is ready again.
func (b *Balancer) dial() (*backend, net.Conn) {
	for {
		s := b.choose()
		if s == nil {
			return nil, nil
		}
		server, err := net.DialTimeout("tcp", s.addr, balancerAsks)
		if err == nil {
			return s, server
		}
		b.leave(s)
		b.mark(s, false)
	}
}

func (b *Balancer) choose() (fewest *backend) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.servers {
		if s.ready && (fewest == nil || s.open < fewest.open) {
			fewest = s
		}
	}
	if fewest != nil {
		fewest.open++
	}
	return fewest
}

func (b *Balancer) leave(s *backend) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s.open--
}
