package hub

import (
	"net"
	"net/http"
	"net/netip"
	"time"

	"rosetree/auth"
	"rosetree/internal/api"
)

// peerAddress is the address of the TCP connection.
func peerAddress(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// countable is the key under which an address is counted: an IPv6 client owns a whole /64, and
// loopback is a proxy that speaks for many.
func countable(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil || ip.IsLoopback() {
		return ""
	}
	if ip.Is6() && !ip.Is4In6() {
		network, _ := ip.Prefix(64)
		return network.String()
	}
	return ip.Unmap().String()
}

// countKey is something that open sockets are counted by.
type countKey struct {
	what countWhat
	name string
}

type countWhat uint8

const (
	countNothing countWhat = iota
	countUser
	countSession
	countVia
	countAddress
)

func countKeys(p auth.Principal, address string) [4]countKey {
	keys := [4]countKey{{countUser, string(p.User)}, {countSession, string(p.Session)}, {countVia, string(p.Via)}}
	if address != "" {
		keys[3] = countKey{countAddress, address}
	}
	return keys
}

// enter counts c in, or says which limit it breaks: the address's before the switch of protocol, the
// user's as a close code, because a browser cannot read why an upgrade was refused.
func (h *Hub) enter(c *conn) error {
	keys := countKeys(c.principal, countable(c.addr))
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.draining || h.moving {
		return errDraining()
	}
	if limit := h.cfg.SocketsPerAddress; limit >= 0 && keys[3].what == countAddress && h.counts[keys[3]] >= limit {
		return api.RateLimited(30 * time.Second)
	}
	h.open[c] = struct{}{}
	h.count(c, keys)
	limit := h.cfg.SocketsPerUser
	c.crowded = limit >= 0 && h.counts[keys[0]] > limit
	return nil
}

// count replaces what c is counted under; the caller holds mu.
func (h *Hub) count(c *conn, keys [4]countKey) {
	for _, k := range c.counted {
		if h.counts[k]--; h.counts[k] <= 0 {
			delete(h.counts, k)
		}
	}
	c.counted = keys
	for _, k := range keys {
		if k.what != countNothing {
			h.counts[k]++
		}
	}
}

// recount counts c under another identity of the same user.
func (h *Hub) recount(c *conn, p auth.Principal) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, open := h.open[c]; open {
		h.count(c, countKeys(p, countable(c.addr)))
	}
}

// exit counts c out.
func (h *Hub) exit(c *conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.open, c)
	h.count(c, [4]countKey{})
	if h.draining && len(h.open) == 0 {
		h.emptied()
	}
}

// allow takes a token of the client's message rate; the reader calls it.
func (c *conn) allow() bool {
	rate := c.hub.cfg.MessagesPerSecond
	if rate < 0 {
		return true
	}
	now, full := c.hub.now(), float64(4*rate)
	c.tokens = min(full, c.tokens+float64(now-c.tokensAt)*float64(rate)/1000)
	c.tokensAt = now
	if c.tokens < 1 {
		c.close(goodbye{code: codeRateLimited, reason: "rate_limited", retry: 5 * time.Second})
		return false
	}
	c.tokens--
	return true
}
