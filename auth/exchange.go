package auth

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"rosetree/internal/api"
)

var (
	errCohortOff       = api.Forbidden("this account is not switched to sessions; go on with the legacy token")
	errNotLegacy       = api.Conflict("what you hold is a session already")
	errExchangedBefore = api.Conflict("this legacy session was exchanged before, and its session has another secret since; log in again")
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
	if err == nil {
		err = a.exchangeFor(w, r, p, login)
	}
	a.refused(r.Context(), "exchange", p.User, a.where.clientIP(r).String(), err)
	return err
}

func (a *Auth) exchangeFor(w http.ResponseWriter, r *http.Request, p Principal, in loginRequest) error {
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
	return a.answerGrant(w, r, http.StatusOK, u, g, in.Transport)
}

// exchanged opens the session, or finds the one that was opened for the same token.
func (a *Auth) exchanged(ctx context.Context, u User, p Principal, from origin) (grant, error) {
	ends, once, err := a.legacyLife(ctx, p)
	if err != nil {
		return grant{}, err
	}
	now := a.ends.denied.issueTime(u.ID, a.clock.now()).Truncate(time.Millisecond)
	s := Session{User: u.ID, Role: u.Role, IssuedAt: now, AuthAt: p.AuthAt, SeenAt: now, Ends: ends, Idle: a.cfg.SessionIdleTTL,
		Device: from.device, UserAgent: shorten(from.userAgent, 256), IP: from.ip, Legacy: p.Session}
	t := a.keys.exchangeToken(u.ID, once)
	g, err := a.open(ctx, proof{user: u, held: &p}, s, t, once, "exchange")
	switch {
	case errors.Is(err, errExchangedOver):
		return grant{}, errSessionOver // an ended session does not come back because its legacy token still lives
	case !errors.Is(err, errExchanged):
		return g, err
	}
	live, err := a.readSession(ctx, t, from.ip)
	if errors.Is(err, errNoSession) {
		return grant{}, errExchangedBefore
	}
	if err != nil {
		return grant{}, redisProblem(err)
	}
	if _, err := a.recordLate(ctx, proof{user: u, held: &p}, live, "exchange"); err != nil {
		return grant{}, err
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
	began, ours, err := a.legacyRecord(ctx, p)
	if err != nil || ours {
		return began.Ends, p.Session, err
	}
	return a.clock.of(p.Expires), p.Session + "@" + SessionID(strconv.FormatInt(p.IssuedAt.Unix(), 36)), nil
}

// legacyRecord finds the legacy session of p where we began it, or where it was handed over to us.
func (a *Auth) legacyRecord(ctx context.Context, p Principal) (began sessionRecord, ours bool, err error) {
	records, err := a.records(ctx, `id = $1 AND user_id = $2::uuid AND via = 'legacy'`, string(p.Session), string(p.User))
	if err != nil || len(records) == 0 {
		return sessionRecord{}, false, err
	}
	return records[0], true, nil
}
