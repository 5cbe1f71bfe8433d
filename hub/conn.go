package hub

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"rosetree/auth"
)

// conn is one client's connection.
type conn struct {
	// fixed after open
	hub     *Hub
	shard   *shard
	index   uint32 // its number in the shard
	id      string
	addr    string // the client's address, for limits and the log
	opened  int64  // milliseconds of the hub's clock, like every int64 time below
	ws      *websocket.Conn
	socket  *socket
	wire    wire
	unwatch func() // ends the watch on the session

	readAt atomic.Int64 // when the peer was last heard

	counted [4]countKey // guarded by hub.mu: under what the hub counts it

	// owned by the reader
	tokens   float64
	tokensAt int64
	received uint64 // messages

	mu        sync.Mutex // guards what follows
	principal auth.Principal
	end       *ending // the mark: once set, nothing but the goodbye is written
	gone      bool    // closed, and out of the shard
	out       []byte  // whole frames in order, not yet handed to the kernel
	prices    priceSlots
	views     []*view         // watched portfolios
	topics    []*subscription // of the channels that are neither prices nor portfolio
	suspended bool
	blind     bool      // account data waits until the session can be checked again
	inbox     [][]byte  // messages that wait for the worker
	inboxSize int       // their bytes
	working   bool      // a worker is running
	calls     int       // calls under way
	rechecks  bool      // a re-check of the session is under way
	warned    time.Time // the deadline that the client was told of
	crowded   bool      // one socket too many for its user

	flush flushState // owned by the flusher, under mu
}

// ending is how far the end of a connection is.
type ending struct {
	goodbye
	frame    []byte // a close frame that the library wrote, sent instead of a goodbye
	heard    string // how the server learnt of it
	composed bool   // the goodbye is in the flusher's rest
	said     bool   // the goodbye is handed to the kernel
	broken   bool   // the connection takes nothing any more
	peerOut  bool   // the reader is done: nothing more to wait for
	turn     int64  // when its goodbye may be said
	cutAt    int64
}

// flushState is what a flusher knows of a connection.
type flushState struct {
	rest      []byte // what the kernel did not take
	stuckAt   int64  // since when nothing of rest was taken; 0 while all is well
	retryIn   int64  // the last pause before a try, in milliseconds
	retryAt   int64  // when the next try is due
	blocked   bool   // the shard knows that prices need not ask for visits
	aliveAt   int64  // when the peer last took bytes of a rest: it reads, however slowly
	sentAt    int64  // when a message was last queued or written
	pingAt    int64  // when the next ping is due
	timerAt   int64  // the visit that the wheel has been asked for
	delivered uint64 // price updates
	bytes     uint64
}

// send queues one message. An ordered queue that runs over ends the connection: a gap would be a fault.
func (c *conn) send(payload []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue(payload)
}

// queue is send for those who hold mu.
func (c *conn) queue(payload []byte) {
	if c.end != nil {
		return
	}
	if len(c.out) > 0 && len(c.out)+len(payload) > c.hub.cfg.QueueBytes {
		c.finish(goodbye{code: codeSlowConsumer, reason: "slow_consumer", cut: true}, "queue")
		return
	}
	c.out = appendFrame(c.out, payload)
	c.flush.sentAt = c.hub.now()
	c.shard.urge(c.index)
}

// ended is what auth calls when the session is over. It marks and returns: when it has returned, no
// application byte goes to the kernel any more.
func (c *conn) ended(e auth.End) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.finish(goodbyeOf(e), e.Heard)
}

// close ends the connection for a reason of the hub's own.
func (c *conn) close(g goodbye) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.finish(g, "local")
}

// finish sets the mark, once, and drops what waits; the caller holds mu.
func (c *conn) finish(g goodbye, heard string) {
	if c.end != nil {
		return
	}
	if g.at.IsZero() {
		g.at = time.Now()
	}
	c.end = &ending{goodbye: g, heard: heard}
	if g.cut {
		c.out = nil
	}
	c.inbox = nil
	if c.shard != nil {
		c.shard.urge(c.index)
	}
}

// over says whether the connection has been marked.
func (c *conn) over() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.end != nil
}

// identity is who the connection speaks for now; renewing changes its deadline.
func (c *conn) identity() auth.Principal {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.principal
}
