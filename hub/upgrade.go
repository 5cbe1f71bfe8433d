package hub

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"math/rand/v2"
	"net/http"
	"strings"

	"github.com/coder/websocket"
	"github.com/google/uuid"

	"rosetree/auth"
	"rosetree/internal/api"
)

// protocol is the one subprotocol; a client that offers none is served it too.
const protocol = "rosetree.v1"

// Routes mounts the socket.
func (h *Hub) Routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /ws", h.serve)
}

// serve answers an upgrade: every refusal is a problem document before any switch of protocol.
func (h *Hub) serve(w http.ResponseWriter, r *http.Request) {
	c, err := h.welcome(w, r)
	if err != nil {
		h.metrics.upgrades.WithLabelValues(api.Answer(r, err).Code).Inc()
		api.WriteProblem(w, r, err)
		return
	}
	if c != nil {
		h.metrics.upgrades.WithLabelValues("ok").Inc()
	}
}

// welcome checks who asks, watches their session until Redis has acknowledged and the session was read
// again, and only then switches protocols. A connection is nil where the switch itself failed.
func (h *Hub) welcome(w http.ResponseWriter, r *http.Request) (*conn, error) {
	if err := checkUpgrade(r); err != nil {
		w.Header().Set("Upgrade", "websocket")
		return nil, err
	}
	leave, err := h.admit(r)
	if err != nil {
		return nil, err
	}
	defer leave()
	p, err := h.sessions.AuthenticateUpgrade(r)
	if err != nil {
		return nil, err
	}
	c := h.newConn(h.address(r), p)
	if err := h.enter(c); err != nil {
		return nil, err
	}
	if err := c.watch(r.Context()); err != nil {
		h.exit(c)
		return nil, err
	}
	return h.accept(w, r, c), nil
}

func (h *Hub) newConn(addr string, p auth.Principal) *conn {
	c := &conn{hub: h, id: h.newID(), addr: addr, opened: h.now(), principal: p,
		shard: h.shards[int(h.spread.Add(1))%len(h.shards)], tokens: float64(4 * max(h.cfg.MessagesPerSecond, 0))}
	c.tokensAt = c.opened
	c.readAt.Store(c.opened)
	return c
}

// newID is a UUIDv7 in the short form: 22 characters that also sort by time.
func (h *Hub) newID() string {
	id, err := uuid.NewV7()
	if err != nil { // no randomness: a counter still tells connections apart
		binary.BigEndian.PutUint64(id[8:], h.ids.Add(1))
	}
	return base64.RawURLEncoding.EncodeToString(id[:])
}

// watch subscribes to the end of the session.
func (c *conn) watch(ctx context.Context) error {
	unwatch, now, err := c.hub.sessions.Watch(ctx, c.principal, c.ended)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unwatch = unwatch
	c.principal.Expires, c.principal.Role = now.Expires, now.Role
	return nil
}

// accept switches protocols and starts the reader.
func (h *Hub) accept(w http.ResponseWriter, r *http.Request, c *conn) *conn {
	lent := &hijacker{ResponseWriter: w, c: c}
	ws, err := websocket.Accept(lent, r, &websocket.AcceptOptions{
		Subprotocols:       []string{protocol},
		InsecureSkipVerify: true, // the origin was checked with the credential, more strictly than Accept does
		CompressionMode:    websocket.CompressionDisabled,
		OnPingReceived:     func(context.Context, []byte) bool { return c.allow() },
	})
	if err != nil { // Accept has answered, where it could
		h.metrics.upgrades.WithLabelValues("bad_request").Inc()
		c.unwatch()
		h.exit(c)
		if c.socket != nil {
			_ = c.socket.Conn.Close()
		}
		return nil
	}
	ws.SetReadLimit(-1) // receive counts, and says bye before it closes
	c.ws = ws
	c.takePlace()
	h.socketsChanged(c.identity())
	h.upgraded.Add(1)
	go c.read()
	return c
}

// takePlace gives the connection its place in a shard and its first message.
func (c *conn) takePlace() {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.hub.now()
	c.wire = newWire(c.socket.Conn, c.taken)
	period := c.hub.cfg.Heartbeat.Milliseconds()
	c.flush.sentAt, c.flush.pingAt = now, now+rand.Int64N(period)
	c.shard.add(c)
	c.queue(welcomeMessage(c))
	if c.crowded {
		c.finish(goodbye{code: codeTooManySockets, reason: "too_many_connections"}, "local")
	}
}

// taken tells the flusher that a write which waited for the peer is done.
func (c *conn) taken() {
	c.mu.Lock()
	defer c.mu.Unlock()
	f, now := &c.flush, c.hub.now()
	if f.stuckAt != 0 && now-f.stuckAt > longestRetry {
		f.aliveAt = now // it reads, however slowly
	}
	f.retryAt, f.stuckAt = 0, 0
	c.shard.urge(c.index)
}

// checkUpgrade refuses what is no WebSocket handshake of this protocol.
func checkUpgrade(r *http.Request) error {
	h := r.Header
	switch {
	case !hasToken(h, "Connection", "upgrade") || !hasToken(h, "Upgrade", "websocket"):
		return api.BadRequest("this is a WebSocket: connect with a WebSocket client (Upgrade: websocket)")
	case h.Get("Sec-WebSocket-Version") != "13":
		return api.BadRequest("Sec-WebSocket-Version must be 13")
	case !validKey(h["Sec-Websocket-Key"]):
		return api.BadRequest("Sec-WebSocket-Key must be 16 bytes in base64, once")
	case len(h["Sec-Websocket-Protocol"]) > 0 && !hasToken(h, "Sec-WebSocket-Protocol", protocol):
		return api.BadRequest("offer the subprotocol %s", protocol)
	}
	return nil
}

func validKey(keys []string) bool {
	if len(keys) != 1 {
		return false
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(keys[0]))
	return err == nil && len(key) == 16
}

func hasToken(h http.Header, name, token string) bool {
	for _, value := range h.Values(name) {
		for part := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(part), token) {
				return true
			}
		}
	}
	return false
}
