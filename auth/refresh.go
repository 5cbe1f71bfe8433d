package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"rosetree/internal/api"
)

// A refresh token comes with a legacy log-in: its access token lives an hour, and a client that slept longer must not be signed out.
// It is "rtr1." + the legacy session's id + "." + a secret whose hash stands in the durable record. It is worth what a session's
// token is worth: it ends with the session's absolute life, at a logout, a revocation and a change of password, and it is taken at
// POST /api/auth/refresh alone. It is not replaced at each use: an answer that is lost on the way would sign the client out.
const refreshPrefix = "rtr1."

func refreshText(t token) string { return refreshPrefix + string(t.id) + "." + t.secret }

// parseRefresh checks the form before any part of s may touch PostgreSQL or a log.
func parseRefresh(s string) (token, error) {
	rest, ours := strings.CutPrefix(s, refreshPrefix)
	id, secret, _ := strings.Cut(rest, ".")
	if u, err := uuid.Parse(id); !ours || err != nil || u.String() != id || len(secret) != secretLen || !isBase64URL(secret) {
		return token{}, errMalformedToken
	}
	return token{SessionID(id), secret}, nil
}

type refreshRequest struct {
	Refresh string `json:"refresh"`
}

type refreshView struct {
	Auth   Via         `json:"auth"`
	Tokens *tokensView `json:"tokens,omitempty"`
}

// refresh renews what the caller holds: with a session the tokens beside it, without one the legacy token. A refresh token serves
// where the access token has ended.
func (a *Auth) refresh(w http.ResponseWriter, r *http.Request) error {
	var in refreshRequest
	if err := a.begin(w, r, &in); err != nil {
		return err
	}
	g, cookie, err := a.renewed(r, in)
	if err != nil {
		return err
	}
	out := refreshView{Auth: g.Via}
	if cookie {
		plain := a.where.plainLoopback(r)
		setCookie(w, cookieName(plain), g.Access, g.Expires)
		a.renewCookies(w, plain, g)
	} else {
		out.Tokens = &tokensView{Access: g.Access, ExpiresAt: g.Expires.UTC(), Fallback: g.Fallback, Legacy: g.Legacy}
	}
	api.WriteJSON(w, http.StatusOK, out)
	return nil
}

// renewed says what the caller gets, and whether in cookies.
func (a *Auth) renewed(r *http.Request, in refreshRequest) (g grant, cookie bool, err error) {
	if in.Refresh != "" {
		g, err = a.renewedBy(r, in.Refresh, false)
		return g, false, err
	}
	c, err := a.where.credentialOf(r)
	if err != nil {
		return grant{}, false, err
	}
	cookie = c.cookie || c.form == formNone
	p, err := a.Authenticate(r)
	if err == nil {
		g, err = a.renewedFor(r.Context(), c, p)
		return g, cookie, err
	}
	held, _ := oneCookie(r, refreshCookieName(a.where.plainLoopback(r)))
	if held == "" || !cookie || api.ProblemOf(err).Code != "unauthenticated" {
		return grant{}, cookie, err
	}
	g, err = a.renewedBy(r, held, true)
	return g, true, err
}

// renewedFor renews for who holds a credential that still works.
func (a *Auth) renewedFor(ctx context.Context, c credential, p Principal) (grant, error) {
	u, err := a.people.active(ctx, p.User)
	switch {
	case err != nil:
		return grant{}, err
	case p.Degraded:
		return grant{}, errRedisDown // a receipt does not renew itself: it must end while Redis is out
	case p.Via == ViaLegacy:
		return a.renewedLegacy(ctx, u, p, c.cookie)
	}
	t, err := parseToken(c.raw)
	if err != nil {
		return grant{}, errBadCredential
	}
	s, err := a.readSession(ctx, t, p.IP)
	if err != nil {
		return grant{}, redisProblem(err)
	}
	return a.granted(u, s, t)
}

// renewedBy renews for who holds a refresh token.
func (a *Auth) renewedBy(r *http.Request, text string, cookie bool) (grant, error) {
	ctx, ip := r.Context(), a.where.clientIP(r).String()
	t, err := parseRefresh(text)
	if err != nil {
		return grant{}, errBadCredential
	}
	p, err := a.refreshed(ctx, t, ip)
	if err == nil {
		err = a.admit(p)
	}
	if err != nil {
		return grant{}, err
	}
	u, err := a.people.active(ctx, p.User)
	if err != nil {
		return grant{}, err
	}
	a.touched.note(Session{ID: p.Session, SeenAt: a.clock.now(), IP: ip})
	return a.renewedLegacy(ctx, u, p, cookie)
}

// refreshed is who holds t. What was revoked is asked by the same rules as for every other credential.
func (a *Auth) refreshed(ctx context.Context, t token, ip string) (Principal, error) {
	switches, err := a.switches.now()
	if err == nil && !a.ends.ledger.isLoaded() {
		err = errStarting
	}
	if err != nil {
		return Principal{}, err
	}
	if !switches.LegacyEnabled {
		return Principal{}, errBadCredential
	}
	records, err := a.records(ctx, `id = $1 AND via = 'legacy' AND `+isLive, string(t.id))
	if err != nil {
		return Principal{}, err
	}
	if len(records) == 0 || records[0].verifier == "" || !t.matches(records[0].verifier) {
		return Principal{}, a.whyGone(ctx, t, ip)
	}
	s := records[0]
	return Principal{User: s.User, Role: RoleUser, Session: s.ID, Via: ViaLegacy, IssuedAt: s.IssuedAt, AuthAt: s.AuthAt, Expires: s.Ends, IP: ip}, nil
}

// renewedLegacy makes another access token. A browser whose user's cohort is switched gets the session instead, once: its cookies
// are ours to change, while a program of before understands nothing but its tokens.
func (a *Auth) renewedLegacy(ctx context.Context, u User, p Principal, cookie bool) (grant, error) {
	switches, err := a.switches.now()
	if err != nil {
		return grant{}, err
	}
	began, ours, err := a.legacyRecord(ctx, p)
	if err != nil {
		return grant{}, err
	}
	if cookie && switches.issuesSession(u.ID) && !isSessionID(string(p.Session)) {
		g, err := a.exchanged(ctx, u, p, origin{began.Device, began.UserAgent, p.IP})
		if !errors.Is(err, errRedisDown) {
			return g, err
		}
	}
	if !a.legacy.canSign() {
		return grant{}, api.Unavailable("this server cannot sign legacy tokens; refresh where your account was made", time.Minute)
	}
	ends := began.Ends
	if !ours {
		ends = p.AuthAt.Add(a.cfg.SessionAbsoluteTTL)
	}
	if !ends.After(a.clock.now()) {
		return grant{}, endProblem(End{Reason: EndExpired})
	}
	g := grant{Via: ViaLegacy, Session: Session{ID: p.Session, Ends: ends}}
	if g.Access, g.Expires, err = a.legacy.sign(u, p.Session, a.ends.denied.issueTime(u.ID, a.clock.now()), p.AuthAt, ends); err != nil {
		return grant{}, fmt.Errorf("auth: sign legacy token: %w", err)
	}
	return g, nil
}

// proveLegacy notes that the password behind a legacy session of ours was proven again, and gives it other tokens that say so.
func (a *Auth) proveLegacy(ctx context.Context, p Principal, ip string) (g grant, u User, err error) {
	if u, err = a.people.active(ctx, p.User); err != nil {
		return grant{}, u, err
	}
	t := token{p.Session, randomText(32)}
	s := Session{ID: p.Session, User: p.User, AuthAt: a.clock.now()}
	var b pgx.Batch
	b.Queue(`UPDATE app.sessions SET verifier = $3, auth_at = $4 WHERE id = $1 AND user_id = $2::uuid AND via = 'legacy' AND ended_at IS NULL
		RETURNING device_name, platform, user_agent, created_at, expires_at`, string(t.id), string(p.User), t.verifier(), s.AuthAt).QueryRow(func(row pgx.Row) error {
		return row.Scan(&s.Device.Name, &s.Device.Platform, &s.UserAgent, &s.IssuedAt, &s.Ends)
	})
	AuditEntry{Actor: string(p.User), Action: "password.prove", Subject: string(p.Session), IP: ip, Outcome: "ok"}.Queue(&b)
	if err := a.rows.Do(ctx, &b); err != nil {
		return grant{}, u, fmt.Errorf("auth: step-up: %w", err)
	}
	s.SeenAt, s.Idle, s.IP = s.AuthAt, s.Ends.Sub(s.AuthAt), ip
	g = grant{Via: ViaLegacy, Session: s, Refresh: refreshText(t)}
	g.Access, g.Expires, err = a.legacy.sign(u, s.ID, a.ends.denied.issueTime(u.ID, s.AuthAt), s.AuthAt, s.Ends)
	return g, u, err
}
