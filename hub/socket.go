package hub

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"time"
	"unicode/utf8"
)

// Buffers of a connection, which live as long as it does. A larger message is read in several pieces.
const (
	readBuffer  = 256
	writeBuffer = 128      // one control frame: coder/websocket writes nothing else
	kernelQueue = 16 << 10 // what the kernel may hold unsent for one peer
)

// socket is the net.Conn that coder/websocket is given. It reads from the real one; what the library
// writes are control frames, each whole in one Write, and they join the connection's queue, so that
// the flusher stays the only writer.
type socket struct {
	net.Conn
	c  *conn
	in *bufio.Reader // the library reads from it
}

func (s *socket) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if n > 0 {
		s.c.readAt.Store(s.c.hub.now())
	}
	return n, err
}

// await returns when a message has begun, or whatever the library shall see. Pongs come from every quiet peer again and
// again; that they came is all that they say, and Read has noted it.
func (s *socket) await() {
	for {
		head, err := s.in.Peek(2)
		if err != nil || head[0] != pongFrame || head[1] < maskBit || head[1] > maskBit|maxControl {
			return // an error comes again at the library's next read
		}
		_, _ = s.in.Discard(2 + maskBytes + int(head[1]&^maskBit))
	}
}

func (s *socket) Write(p []byte) (int, error) {
	s.c.control(p)
	return len(p), nil
}

// Close makes the reader return; the flusher closes the real connection when the goodbye is out.
func (s *socket) Close() error { return s.Conn.SetReadDeadline(time.Unix(1, 0)) }

// control queues a frame of the library: a pong, or the close frame with which it answers the peer's
// or reports broken framing.
func (c *conn) control(frame []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end != nil {
		return
	}
	if frame[0] == closeFrame {
		if len(frame) >= 4 && int(frame[2])<<8|int(frame[3]) == codeProtocol { // its text is no short code
			c.finish(goodbye{code: codeProtocol, reason: "protocol_error"}, "peer")
			return
		}
		if len(frame) > 4 && !utf8.Valid(frame[4:]) { // the library sends the peer's reason back as it came
			c.finish(goodbye{code: codeInvalidText, reason: "invalid_utf8"}, "peer")
			return
		}
		c.finish(goodbye{code: codeNormal, reason: "client_closed"}, "peer") // conclude knows better
		c.end.frame = append([]byte(nil), frame...)
		return
	}
	if len(c.out)+len(frame) > c.hub.cfg.QueueBytes {
		c.finish(goodbye{code: codeSlowConsumer, reason: "slow_consumer", cut: true}, "queue")
		return
	}
	c.out = append(c.out, frame...)
	c.shard.urge(c.index)
}

// hijacker lends websocket.Accept our own connection and small buffers in place of net/http's.
type hijacker struct {
	http.ResponseWriter
	c *conn
}

func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	early := make([]byte, rw.Reader.Buffered()) // frames that came right behind the request
	_, _ = io.ReadFull(rw.Reader, early)        // they are in memory
	h.c.socket = &socket{Conn: nc, c: h.c}
	var from io.Reader = h.c.socket
	if len(early) > 0 {
		from = io.MultiReader(bytes.NewReader(early), h.c.socket)
	}
	r := bufio.NewReaderSize(from, max(readBuffer, len(early)))
	if len(early) > 0 {
		_, _ = r.Peek(len(early)) // Accept keeps only what is buffered
	}
	h.c.socket.in = r
	return h.c.socket, bufio.NewReadWriter(r, bufio.NewWriterSize(h.c.socket, writeBuffer)), nil
}
