package auth

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// surroundings is what the server believes about how requests reach it.
type surroundings struct {
	proxies []netip.Prefix
	origins []string // allowed beside the server's own
}

func newSurroundings(c Config) (surroundings, error) {
	proxies, err := parseProxies(c.TrustedProxies)
	if err != nil {
		return surroundings{}, err
	}
	s := surroundings{proxies: proxies}
	for _, o := range c.AllowedOrigins {
		origin, err := parseOrigin(o)
		if err != nil {
			return surroundings{}, err
		}
		s.origins = append(s.origins, origin)
	}
	return s, nil
}

// clientIP is the address that a request came from. X-Forwarded-For is read from its end, and only as long as
// the hop that wrote an entry is a trusted proxy: whatever stands further left is the client's invention.
func (s surroundings) clientIP(r *http.Request) netip.Addr {
	addr := remoteAddr(r)
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		if !s.trusted(addr) {
			return addr
		}
		next, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			return addr
		}
		addr = next.Unmap()
	}
	return addr
}

func (s surroundings) trusted(addr netip.Addr) bool {
	return slices.ContainsFunc(s.proxies, func(p netip.Prefix) bool { return p.Contains(addr) })
}

func remoteAddr(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.IPv4Unspecified() // a unix socket: whoever is there shares one throttle
	}
	return ap.Addr().Unmap().WithZone("")
}

// prefix is what throttles count by: an IPv6 client owns at least a /64.
func prefix(a netip.Addr) string {
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return a.String()
	}
	return p.String()
}

// plainLoopback says whether the browser sees an http:// loopback origin: the one place where a cookie without Secure is right.
func (s surroundings) plainLoopback(r *http.Request) bool {
	return !s.secure(r) && isLoopbackHost(r.Host)
}

func (s surroundings) secure(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	return s.trusted(remoteAddr(r)) && strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

func isLoopbackHost(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.Trim(hostport, "[]")
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// allowedOrigin says whether a page of this origin may open a socket here. The server's own origin is https outside
// loopback, also where a proxy that we do not know of ends TLS.
func (s surroundings) allowedOrigin(r *http.Request, origin string) bool {
	own := "https"
	if s.plainLoopback(r) {
		own = "http"
	}
	normal, err := parseOrigin(origin)
	if err != nil {
		return false
	}
	return normal == originOf(own, r.Host) || slices.Contains(s.origins, normal)
}

// Address is the network address of r's client, as far as the proxies between are trusted.
func (a *Auth) Address(r *http.Request) string { return a.where.clientIP(r).String() }
