package hub

import (
	"net"
	"sync"
)

// wire takes bytes for the peer and never waits.
type wire interface {
	// write takes what it can of p; n < len(p) without an error means: later.
	write(k *kernelWrite, p []byte) (n int, err error)
	// idle says that nothing which was taken is still on its way to the kernel.
	idle() bool
	// cut ends the connection now; hard destroys what the kernel still holds for the peer.
	cut(hard bool)
}

// kernelWrite is a flusher's reusable argument of a system call: a closure per write would be an
// allocation per delivery.
type kernelWrite struct {
	p   []byte
	n   int
	err error
	try func(fd uintptr) bool
}

// newWire picks the direct way for a TCP connection, and a goroutine while a write is under way for
// one that can only write by waiting (TLS in this process, pipes in tests).
func newWire(nc net.Conn, wake func()) wire {
	if tcp, ok := nc.(*net.TCPConn); ok {
		bound(tcp)
		if d, ok := newDirect(tcp); ok {
			return d
		}
	}
	if inner, ok := nc.(interface{ NetConn() net.Conn }); ok {
		if tcp, ok := inner.NetConn().(*net.TCPConn); ok {
			bound(tcp)
		}
	}
	return &waiting{nc: nc, wake: wake}
}

// waiting lets one goroutine at a time wait for the peer.
type waiting struct {
	nc   net.Conn
	wake func()

	mu   sync.Mutex
	busy bool
	err  error
}

func (w *waiting) write(_ *kernelWrite, p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil || w.busy || len(p) == 0 {
		return 0, w.err
	}
	w.busy = true
	own := append([]byte(nil), p...)
	go func() {
		_, err := w.nc.Write(own)
		w.mu.Lock()
		w.busy, w.err = false, err
		w.mu.Unlock()
		w.wake()
	}()
	return len(p), nil
}

func (w *waiting) idle() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.busy
}

// cut closes what lies under TLS: a polite TLS close may wait for the peer.
func (w *waiting) cut(hard bool) {
	nc := w.nc
	if inner, ok := nc.(interface{ NetConn() net.Conn }); ok {
		nc = inner.NetConn()
	}
	if tcp, ok := nc.(*net.TCPConn); ok && hard {
		_ = tcp.SetLinger(0)
	}
	_ = nc.Close()
}
