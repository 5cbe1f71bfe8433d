package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"rosetree/internal/api"
)

var (
	errCohortOff  = api.Forbidden("this account is not switched to sessions; go on with the legacy token")
	errNotLegacy  = api.Conflict("what you hold is a session already")
	errBeenRotate = api.Conflict("this legacy session was exchanged before, and its session has another secret since; log in again")
)

// exchangeRequest may say what the session should be called in lists.
type exchangeRequest struct {
	Transport string `json:"transport"`
	Device    Device `json:"device"`
}

// exchange gives a session for a legacy token, once: a hundred upgrades at the same time get the same one.
func (a *Auth) exchange(w http.ResponseWriter, r *http.Request) error {
	var in exchangeRequest
	if err := a.begin(w, r, &in); err != nil {
		return err
	}
	login := loginRequest{Email: "-", Password: "-", Transport: in.Transport, Device: in.Device}
	if err := login.check(r); err != nil {
		return err
	}
	p, err := a.Authenticate(r)
	if err != nil {
		return err
	}
	if p.Via != ViaLegacy || isSessionID(string(p.Session)) {
		return errNotLegacy
	}
	switches, err := a.switches.now()
	if err != nil {
		return err
	}
	if !switches.issuesSession(p.User) {
		return errCohortOff
	}
	u, err := a.people.active(r.Context(), p.User)
	if err != nil {
		return err
	}
	g, err := a.exchanged(r.Context(), u, p, a.originOf(r, in.Device))
	if err != nil {
		return err
	}
	return a.answerGrant(w, r, http.StatusOK, u, g, login.Transport)
}

// exchanged opens the session, or finds the one that was opened for the same token.
func (a *Auth) exchanged(ctx context.Context, u User, p Principal, from origin) (grant, error) {
	ends, once, err := a.legacyLife(ctx, p)
	if err != nil {
		return grant{}, err
	}
	now := a.ends.denied.issueTime(u.ID, time.Now()).Truncate(time.Millisecond)
	s := Session{User: u.ID, Role: u.Role, IssuedAt: now, AuthAt: p.AuthAt, SeenAt: now, Ends: ends, Idle: a.cfg.SessionIdleTTL,
		Device: from.device, UserAgent: shorten(from.userAgent, 256), IP: from.ip, Legacy: p.Session}
	t := a.keys.exchangeToken(u.ID, once)
	g, err := a.open(ctx, u, s, t, once, "exchange")
	switch {
	case errors.Is(err, errExchangedOver):
		return grant{}, errSessionOver // an ended session does not come back because its legacy token still lives
	case !errors.Is(err, errExchanged):
		return g, err
	}
	live, err := a.readSession(ctx, t, from.ip)
	if errors.Is(err, errNoSession) {
		return grant{}, errBeenRotate
	}
	if err != nil {
		return grant{}, errRedisDown
	}
	return a.granted(u, live, t)
}

// exchangeToken is the same for the same legacy session: whoever asks again, because the answer was lost or a second request was
// under way, gets what the first one got. It cannot be computed without our key.
func (k keyring) exchangeToken(user UserID, once SessionID) token {
	text := string(user) + "\x00" + string(once)
	return token{SessionID(utag(k.tags[0], user) + sign(k.exchange, "id\x00"+text)[:sessionIDLen-utagLen]), sign(k.exchange, "secret\x00"+text)}
}

// legacyLife is until when the session for a legacy token may live, and under what name it is exchanged once. A legacy session that
// we began is known by its id and has its own end; of any other only the token is known.
func (a *Auth) legacyLife(ctx context.Context, p Principal) (ends time.Time, once SessionID, err error) {
	var b pgx.Batch
	found := false
	b.Queue(`SELECT expires_at FROM app.sessions WHERE id = $1 AND user_id = $2::uuid AND via = 'legacy'`, string(p.Session), string(p.User)).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			found = true
			if err := rows.Scan(&ends); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	if err := a.rows.Do(ctx, &b); err != nil {
		return time.Time{}, "", fmt.Errorf("auth: read legacy session: %w", err)
	}
	if found {
		return ends, p.Session, nil
	}
	return p.Expires, p.Session + "@" + SessionID(strconv.FormatInt(p.IssuedAt.Unix(), 36)), nil
}

// refresh renews what the caller holds: with a session the tokens beside it, without one the legacy token.
func (a *Auth) refresh(w http.ResponseWriter, r *http.Request) error {
	if err := emptyBody(w, r); err != nil {
		return err
	}
	p, err := a.Authenticate(r)
	if err != nil {
		return err
	}
	u, err := a.people.active(r.Context(), p.User)
	if err != nil {
		return err
	}
	g, err := a.renewed(r, p, u)
	if err != nil {
		return err
	}
	bearer, _ := bearerOf(r)
	out := struct {
		Auth   Via         `json:"auth"`
		Tokens *tokensView `json:"tokens,omitempty"`
	}{Auth: g.Via}
	if bearer != "" {
		out.Tokens = &tokensView{Access: g.Access, ExpiresAt: g.Expires.UTC(), Fallback: g.Fallback, Legacy: g.Legacy}
	} else {
		plain := a.where.plainLoopback(r)
		setCookie(w, cookieName(plain), g.Access, g.Expires)
		a.renewCookies(w, plain, g)
	}
	api.WriteJSON(w, http.StatusOK, out)
	return nil
}

func (a *Auth) renewed(r *http.Request, p Principal, u User) (grant, error) {
	c, err := a.where.credentialOf(r)
	if err != nil {
		return grant{}, err
	}
	switch {
	case p.Degraded:
		return grant{}, errRedisDown // a receipt does not renew itself: it must end while Redis is out
	case p.Via == ViaSession:
		t, err := parseToken(c.raw)
		if err != nil {
			return grant{}, errBadCredential
		}
		s, err := a.readSession(r.Context(), t, p.IP)
		if err != nil {
			return grant{}, errRedisDown
		}
		return a.granted(u, s, t)
	case !a.legacy.canSign():
		return grant{}, api.Unavailable("this server cannot sign legacy tokens; refresh where your account was made", time.Minute)
	}
	return a.renewedLegacy(u, p)
}

func (a *Auth) renewedLegacy(u User, p Principal) (grant, error) {
	ends := p.AuthAt.Add(a.cfg.SessionAbsoluteTTL)
	if !ends.After(time.Now()) {
		return grant{}, endProblem(End{Reason: EndExpired})
	}
	now := a.ends.denied.issueTime(u.ID, time.Now())
	g := grant{Via: ViaLegacy}
	var err error
	if g.Access, g.Expires, err = a.legacy.sign(u, p.Session, now, p.AuthAt, ends); err != nil {
		return grant{}, fmt.Errorf("auth: sign legacy token: %w", err)
	}
	g.Session = Session{ID: p.Session, Ends: ends}
	return g, nil
}
