package hub

import (
	"context"
	"errors"
	"io"
	"net"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"
)

// read is the connection's one goroutine; what a message means is found out by a worker. It keeps little on its stack, which
// lives as long as the connection: a message is awaited up here, where 2 KB are enough. In the library's depth a stack grows,
// and is never given back, so the next message is awaited on a new one.
func (c *conn) read() {
	c.socket.await()
	for {
		if err := c.receive(); err != nil {
			c.conclude(err)
			return
		}
		if c.socket.in.Buffered() == 0 {
			go c.read()
			return
		}
	}
}

var errTooLarge = errors.New("hub: message too large")

// receive takes one message. After the end it only looks for the peer's close.
func (c *conn) receive() error {
	kind, r, err := c.ws.Reader(context.Background())
	if err != nil {
		return err
	}
	if c.over() {
		_, err := io.Copy(io.Discard, r)
		return err
	}
	c.received++
	text, err := readAll(r, c.hub.cfg.MessageBytes)
	switch {
	case err == errTooLarge:
		c.close(goodbye{code: codeTooLarge, reason: "too_large"})
		_, err = io.Copy(io.Discard, r)
		return err
	case err != nil:
		return err
	case kind != websocket.MessageText:
		c.close(goodbye{code: codeProtocolError, reason: "protocol_error"})
	case !utf8.Valid(text):
		c.close(goodbye{code: codeInvalidText, reason: "invalid_utf8"})
	case c.allow():
		c.accept(text)
	}
	return nil
}

// readAll reads one message of at most limit bytes.
func readAll(r io.Reader, limit int) ([]byte, error) {
	b := make([]byte, 0, 256)
	for {
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case len(b) > limit && limit >= 0:
			return nil, errTooLarge
		case err == io.EOF:
			return b, nil
		case err != nil:
			return nil, err
		case len(b) == cap(b):
			b = append(b, 0)[:len(b)]
		}
	}
}

// accept hands a message to the worker: messages of a connection are worked on in order, and the
// reader goes on to see pings and closes.
func (c *conn) accept(text []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end != nil {
		return
	}
	if c.inboxSize += len(text); c.inboxSize > 4*c.hub.cfg.MessageBytes && len(c.inbox) > 0 {
		c.finish(goodbye{code: codeRateLimited, reason: "rate_limited", retry: 5 * time.Second}, "local")
		return
	}
	c.inbox = append(c.inbox, text)
	if !c.working {
		c.working = true
		c.hub.workers.Go(c.work)
	}
}

// work answers what waits and goes home.
func (c *conn) work() {
	for {
		c.mu.Lock()
		if len(c.inbox) == 0 {
			c.working, c.inbox, c.inboxSize = false, nil, 0
			c.mu.Unlock()
			return
		}
		text := c.inbox[0]
		c.inbox = c.inbox[1:]
		c.inboxSize -= len(text)
		c.mu.Unlock()
		c.handle(text)
	}
}

// conclude clears up when nothing more can be read, and logs the connection's one line.
func (c *conn) conclude(err error) {
	how := endOf(err)
	c.mu.Lock()
	c.finish(how, "peer")
	if c.end.frame != nil {
		c.end.code, c.end.reason = how.code, how.reason
	}
	c.end.peerOut = true
	views, topics, unwatch := c.views, c.topics, c.unwatch
	c.views, c.topics = nil, nil
	c.shard.urge(c.index)
	c.mu.Unlock()
	_ = c.ws.CloseNow() // the library's part only: the socket is the flusher's
	unwatch()
	for _, v := range views {
		v.close()
	}
	for _, t := range topics {
		t.close()
	}
	c.report()
	c.hub.exit(c)
	c.hub.socketsChanged(c.identity())
}

// endOf is how a connection ended that the server did not end.
func endOf(err error) goodbye {
	closed := websocket.CloseStatus(err)
	switch {
	case closed != -1:
		return goodbye{code: int(closed), reason: "client_closed"}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return lost
	}
	if _, broken := errors.AsType[net.Error](err); broken {
		return lost
	}
	return goodbye{code: codeProtocol, reason: "protocol_error"}
}
