package devstack

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// Link is a piece of network between a client and a server that can fail as networks do.
type Link struct {
	Addr string // what the client is given

	listener net.Listener
	wg       sync.WaitGroup

	mu      sync.Mutex
	changed *sync.Cond // on mu
	target  string
	down    bool          // connections are refused
	stalled bool          // bytes are swallowed
	delay   time.Duration // each piece waits so long
	pairs   map[*pair]bool
	closed  bool
}

// pair is one connection through the link.
type pair struct{ client, server net.Conn }

func (p *pair) close(reset bool) {
	for _, c := range []net.Conn{p.client, p.server} {
		if tcp, ok := c.(*net.TCPConn); ok && reset {
			tcp.SetLinger(0)
		}
		c.Close()
	}
}

// StartLink starts a link to target (host:port); it ends with the test.
func StartLink(t TB, target string) *Link {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("devstack: %v", err)
	}
	l := &Link{Addr: listener.Addr().String(), listener: listener, target: target, pairs: map[*pair]bool{}}
	l.changed = sync.NewCond(&l.mu)
	l.wg.Go(l.accept)
	t.Cleanup(l.close)
	return l
}

// Cut resets all connections and refuses new ones until Restore.
func (l *Link) Cut() {
	l.set(func() { l.down = true })
	l.drop(true)
}

// Drop resets the connections that there are; new ones are taken.
func (l *Link) Drop() { l.drop(true) }

// Stall makes every connection half-open, as after a cable is pulled or a firewall forgot it: both
// ends may write as much as they like, it is acknowledged, and nothing arrives. What was swallowed is
// lost also after Restore, so Restore resets those connections.
func (l *Link) Stall() { l.set(func() { l.stalled = true }) }

// Delay holds each piece of data back for d, in both directions; 0 ends that.
func (l *Link) Delay(d time.Duration) { l.set(func() { l.delay = d }) }

// Retarget sends new connections to another server and resets those to the old one.
func (l *Link) Retarget(target string) {
	l.set(func() { l.target = target })
	l.drop(true)
}

// Restore ends Cut, Stall and Delay.
func (l *Link) Restore() {
	l.mu.Lock()
	wasStalled := l.stalled
	l.mu.Unlock()
	if wasStalled {
		l.drop(true)
	}
	l.set(func() { l.down, l.stalled, l.delay = false, false, 0 })
}

// Open returns how many connections go through the link.
func (l *Link) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.pairs)
}

func (l *Link) set(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
	l.changed.Broadcast()
}

func (l *Link) drop(reset bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := range l.pairs {
		p.close(reset)
	}
}

func (l *Link) close() {
	l.set(func() { l.closed = true })
	l.listener.Close()
	l.drop(false)
	l.wg.Wait()
}

func (l *Link) accept() {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.wg.Go(func() { l.carry(client) })
	}
}

func (l *Link) carry(client net.Conn) {
	l.mu.Lock()
	target, down, stalled := l.target, l.down, l.stalled
	l.mu.Unlock()
	p := &pair{client: client, server: client}
	if stalled { // the peer is not there to be dialled: the client connects and hears nothing
		l.track(p, func() { l.copy(client, nil) })
		return
	}
	if down {
		p.close(true)
		return
	}
	server, err := net.DialTimeout("tcp", target, 5*time.Second)
	if err != nil {
		p.close(true)
		return
	}
	p.server = server
	l.track(p, func() {
		var wg sync.WaitGroup
		wg.Go(func() { l.copy(client, server) })
		wg.Go(func() { l.copy(server, client) })
		wg.Wait()
	})
}

// track runs work with p listed, so that a fault reaches it.
func (l *Link) track(p *pair, work func()) {
	l.mu.Lock()
	refuse := l.closed || l.down
	if !refuse {
		l.pairs[p] = true
	}
	l.mu.Unlock()
	if !refuse {
		work()
	}
	p.close(refuse)
	l.mu.Lock()
	delete(l.pairs, p)
	l.mu.Unlock()
}

// copy carries bytes from one end to the other until one of them closes. It goes on reading while the
// link is stalled: that is what acknowledges.
func (l *Link) copy(from, to net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		l.mu.Lock()
		swallow, delay := l.stalled || to == nil, l.delay
		l.mu.Unlock()
		if n > 0 && !swallow {
			time.Sleep(delay)
			if _, err := to.Write(buf[:n]); err != nil {
				from.Close()
				return
			}
		}
		if err != nil {
			l.pass(err, to)
			return
		}
	}
}

// pass tells to how the other end ended: a close leaves the other direction open, a reset does not.
func (l *Link) pass(err error, to net.Conn) {
	if to == nil || errors.Is(err, net.ErrClosed) {
		return
	}
	l.hold() // while the link is stalled an end is not seen either
	if errors.Is(err, io.EOF) {
		to.(*net.TCPConn).CloseWrite()
		return
	}
	to.(*net.TCPConn).SetLinger(0)
	to.Close()
}

// hold waits until the link is no longer stalled.
func (l *Link) hold() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.stalled && !l.closed {
		l.changed.Wait()
	}
}
