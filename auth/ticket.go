package auth

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"rosetree/internal/api"
)

// A ticket opens one socket: for clients that can set neither a header nor a cookie on an upgrade. It is used once, lives half a
// minute and is bound to the session and the origin for which it was made. Redis holds its hash.
const (
	ticketLife     = 30 * time.Second
	ticketProtocol = "rosetree.ticket."
)

type ticket struct {
	Who    Principal `json:"who"`
	Origin string    `json:"origin"` // "" where it was asked for without one
	Until  time.Time `json:"until"`  // Redis forgets it then, unless its clock is set back; zero: made by a server of the release before
}

// TicketAnswer is what a client gets.
type TicketAnswer struct {
	Ticket    string `json:"ticket"`
	ExpiresIn int    `json:"expires_in"` // seconds
}

// ticketTag is the ticket's hash: it also says which master of a cluster holds it.
func ticketTag(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func ticketKey(tag string) string { return ticketPrefix + "{" + tag + "}" }

func (a *Auth) makeTicket(ctx context.Context, p Principal, origin string) (TicketAnswer, error) {
	text := randomText(32)
	p.Expires = a.clock.of(p.Expires)
	value, err := json.Marshal(ticket{p, origin, a.clock.now().Add(ticketLife)})
	if err != nil {
		return TicketAnswer{}, err
	}
	tag := ticketTag(text)
	err = a.ends.breaker(tag).do(ctx, func(ctx context.Context) error { return a.rdb.Set(ctx, ticketKey(tag), value, ticketLife).Err() })
	if err != nil {
		return TicketAnswer{}, redisProblem(err)
	}
	return TicketAnswer{text, int(ticketLife / time.Second)}, nil
}

var errTicket = api.Unauthenticated("the ticket is not valid: it works once, for 30 seconds, from the origin that asked for it")

// redeem uses a ticket up. GETDEL is atomic: of a hundred at once, one gets it.
func (a *Auth) redeem(ctx context.Context, text, origin string) (Principal, error) {
	if len(text) != secretLen || !isBase64URL(text) {
		return Principal{}, errTicket
	}
	var value string
	tag := ticketTag(text)
	err := a.ends.breaker(tag).do(ctx, func(ctx context.Context) (err error) {
		value, err = a.rdb.GetDel(ctx, ticketKey(tag)).Result()
		return err
	})
	if errors.Is(err, redis.Nil) {
		return Principal{}, errTicket
	}
	if err != nil {
		return Principal{}, redisProblem(err)
	}
	var t ticket
	if err := json.Unmarshal([]byte(value), &t); err != nil {
		return Principal{}, fmt.Errorf("auth: ticket: %w", err)
	}
	if t.Origin != "" && t.Origin != origin || !t.Until.IsZero() && a.clock.now().After(t.Until.Add(clockTrust)) {
		return Principal{}, errTicket
	}
	t.Who.Expires = a.clock.here(t.Who.Expires)
	return a.Recheck(ctx, t.Who)
}

// ticketOf finds a ticket among the subprotocols that a client offers.
func ticketOf(r *http.Request) (text string, found bool) {
	for _, line := range r.Header.Values("Sec-WebSocket-Protocol") {
		for p := range strings.SplitSeq(line, ",") {
			if text, found = strings.CutPrefix(strings.TrimSpace(p), ticketProtocol); found {
				return text, true
			}
		}
	}
	return "", false
}

var (
	errNoOrigin    = api.Forbidden("a socket opened with a cookie needs an Origin")
	errWrongOrigin = api.Forbidden("pages of this origin may not open a socket here")
)

// AuthenticateUpgrade is Authenticate for the request that opens a socket. http.CrossOriginProtection lets GET pass, and so does
// every browser: a cookie counts only with an Origin that is allowed, whatever else says where the request comes from.
func (a *Auth) AuthenticateUpgrade(r *http.Request) (Principal, error) {
	origins := r.Header.Values("Origin")
	if len(origins) > 1 {
		return Principal{}, errWrongOrigin
	}
	origin := r.Header.Get("Origin")
	if len(origins) == 1 && !a.where.allowedOrigin(r, origin) {
		return Principal{}, errWrongOrigin
	}
	c, err := a.where.credentialOf(r)
	if err != nil {
		return Principal{}, err
	}
	if text, found := ticketOf(r); found {
		return a.upgradeByTicket(r, c, text, origin)
	}
	if c.cookie && len(origins) == 0 {
		return Principal{}, errNoOrigin
	}
	if c.cookie && !a.sentFromHere(r, origin) {
		return Principal{}, errWrongOrigin
	}
	return a.authenticate(r.Context(), c, a.where.clientIP(r).String())
}

// sentFromHere believes the browser where it says that a page elsewhere opened the socket.
func (a *Auth) sentFromHere(r *http.Request, origin string) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	if site == "" || site == "same-origin" {
		return true
	}
	normal, err := parseOrigin(origin)
	return err == nil && slices.Contains(a.where.origins, normal)
}

// upgradeByTicket: a header beside the ticket is a second credential. A cookie is not: the browser adds it by itself; it must be
// the same user's session, or none.
func (a *Auth) upgradeByTicket(r *http.Request, c credential, text, origin string) (Principal, error) {
	if c.form != formNone && !c.cookie {
		return Principal{}, errTwoCredentials
	}
	p, err := a.redeem(r.Context(), text, origin)
	if err != nil {
		return Principal{}, err
	}
	if t, err := parseToken(c.raw); err == nil && p.Via == ViaSession && t.id != p.Session {
		return Principal{}, errTwoCredentials
	}
	return p, a.admit(p)
}
