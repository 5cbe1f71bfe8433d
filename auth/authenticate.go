package auth

import (
	"context"
	"errors"
	"net/http"
	"time"

	"rosetree/internal/api"
)

var (
	errLockedDown   = endProblem(End{Reason: EndLockedDown})
	errCrossOrigin  = api.Forbidden("a request from another origin may not use the cookie")
	errRedisDown    = api.Unavailable("sessions cannot be checked right now; try again", time.Second)
	errFallbackOnly = api.Unauthenticated("a fallback token counts only while sessions cannot be checked")
	errSessionOver  = endProblem(End{Reason: EndRevoked})
)

// Authenticate says who sent r, or why nobody did: unauthenticated, session_revoked, session_expired, locked_down, unavailable,
// bad_request for two credentials, forbidden for a cookie that another origin made the browser send.
func (a *Auth) Authenticate(r *http.Request) (Principal, error) {
	c, err := a.where.credentialOf(r)
	if err != nil {
		return Principal{}, err
	}
	if c.cookie && a.csrf.Check(r) != nil {
		return Principal{}, errCrossOrigin
	}
	return a.authenticate(r.Context(), c, a.where.clientIP(r).String())
}

// authenticate is the split path: the credential's form picks the verifier. What is issued is another question (issue.go).
func (a *Auth) authenticate(ctx context.Context, c credential, ip string) (Principal, error) {
	began := time.Now()
	var validated time.Duration
	p, err := a.verify(ctx, c, ip, &validated)
	p.IP = ip
	p.Expires = a.clock.here(p.Expires)
	if err == nil {
		err = a.admit(p)
	}
	a.met.checks.WithLabelValues(string(c.form), resultOf(err)).Observe(time.Since(began).Seconds())
	if c.form == formNone {
		return p, err
	}
	if c.form == formSession {
		a.guarded.record(isOurs(err), validated)
	}
	a.recent.record(isOurs(err), validated)
	return p, err
}

// verify picks the verifier. validated is how long Redis took to say what it knows of a session: what the plan's thresholds are about.
// Why a token does not count is looked up in PostgreSQL afterwards; were that part of it, whoever sends bad tokens would turn the switch.
func (a *Auth) verify(ctx context.Context, c credential, ip string, validated *time.Duration) (Principal, error) {
	if c.form == formNone {
		return Principal{}, errNoCredential
	}
	switches, err := a.switches.now()
	if err == nil && !a.ends.ledger.isLoaded() {
		err = errStarting // what was revoked before the start is not known yet
	}
	if err != nil {
		return Principal{}, err
	}
	switch c.form {
	case formSession:
		return a.verifySession(ctx, c, ip, validated)
	case formLegacy:
		if !switches.LegacyEnabled {
			return Principal{}, errBadCredential
		}
		return a.verifyLegacy(ctx, c.raw, switches)
	case formFallback:
		return a.verifyFallback(ctx, c.raw, switches)
	}
	return Principal{}, errBadCredential
}

// admit asks what may have changed since a credential was verified: the denylist, the lockdown and the end of the legacy path.
func (a *Auth) admit(p Principal) error {
	if e, denied := a.ends.denied.check(p); denied {
		return endProblem(e)
	}
	switches, err := a.switches.now()
	if err != nil {
		return err
	}
	if switches.Lockdown && (p.Role != RoleAdmin || p.Degraded) {
		return errLockedDown
	}
	if p.Via == ViaLegacy && !switches.LegacyEnabled {
		return errBadCredential
	}
	return nil
}

// redisProblem is what a caller is told where Redis gave no answer. Where the caller went away, that is no failure of Redis.
func redisProblem(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return errRedisDown
}

// verifySession asks Redis, and only where Redis cannot answer the fallback token that came along.
func (a *Auth) verifySession(ctx context.Context, c credential, ip string, validated *time.Duration) (Principal, error) {
	t, err := parseToken(c.raw)
	if err != nil {
		return Principal{}, errBadCredential
	}
	began := time.Now()
	s, err := a.readSession(ctx, t, ip)
	*validated = time.Since(began)
	switch {
	case err == nil:
		return s.principal(), nil
	case errors.Is(err, errNoSession):
		return Principal{}, a.whyGone(ctx, t, ip)
	case c.fallback != "":
		p, err := a.keys.verifyFallback(c.fallback, a.clock)
		if err != nil || p.Session != t.id {
			return Principal{}, errRedisDown
		}
		return a.acceptFallback(ctx, p)
	}
	return Principal{}, redisProblem(err)
}

// retryWithin is how soon a read must have failed to be tried again: after a connection that was closed, not after a time-out.
const retryWithin = 20 * time.Millisecond

// readSession goes through the breaker. A read has no effect that could happen twice.
func (a *Auth) readSession(ctx context.Context, t token, ip string) (Session, error) {
	check := func(ctx context.Context) (Session, error) { return a.sessions.check(ctx, t, ip) }
	began := time.Now()
	s, err := a.askRedis(ctx, utagOf(t.id), check)
	if err != nil && !errors.Is(err, errNoSession) && !errors.Is(err, errRedisOut) && time.Since(began) < retryWithin {
		s, err = a.askRedis(ctx, utagOf(t.id), check)
	}
	if err == nil && s.touched {
		a.touched.note(s)
	}
	return s, err
}

// verifyLegacy accepts the old program's tokens, and those of ours that speak its language. A token that is the companion of a session
// dies with the session.
func (a *Auth) verifyLegacy(ctx context.Context, raw string, switches Switches) (Principal, error) {
	claims, err := a.legacy.verify(ctx, raw)
	if unavailable, ok := errors.AsType[*jwksError](err); ok {
		a.log.Warn("legacy: keys cannot be fetched", "cause", unavailable)
		return Principal{}, api.Unavailable("the issuer's keys cannot be fetched right now; try again", 5*time.Second)
	}
	if err != nil {
		return Principal{}, errBadCredential
	}
	if e, denied := a.ends.denied.check(claims.principal(RoleUser)); denied {
		a.shadow.compare(claims.principal(RoleUser), false)
		return Principal{}, endProblem(e)
	}
	if id := claims.session(); isSessionID(string(id)) && !switches.Rollback {
		if err := a.companionLives(ctx, id); err != nil {
			return Principal{}, err
		}
	}
	u, err := a.people.known(ctx, claims)
	if err != nil {
		return Principal{}, err
	}
	p := claims.principal(u.Role)
	a.shadow.compare(p, true)
	return p, nil
}

// askRedis reads through the breaker. "No such session" is an answer and no failure.
func (a *Auth) askRedis(ctx context.Context, utag string, read func(context.Context) (Session, error)) (s Session, err error) {
	var answer error
	err = a.ends.breaker(utag).do(ctx, func(ctx context.Context) error {
		if s, answer = read(ctx); errors.Is(answer, errNoSession) {
			return nil
		}
		return answer
	})
	if err == nil {
		err = answer
	}
	return s, err
}

// lookUp reads a session by its id through the breaker.
func (a *Auth) lookUp(ctx context.Context, id SessionID) (Session, error) {
	return a.askRedis(ctx, utagOf(id), func(ctx context.Context) (Session, error) { return a.sessions.lookup(ctx, id) })
}

// companionLives: while Redis can be asked, the session decides; while not, the denylist has decided already.
func (a *Auth) companionLives(ctx context.Context, id SessionID) error {
	_, err := a.lookUp(ctx, id)
	if errors.Is(err, errNoSession) {
		return errSessionOver
	}
	return nil
}

// verifyFallback: a fallback token by itself counts in rollback and while Redis is out.
func (a *Auth) verifyFallback(ctx context.Context, raw string, switches Switches) (Principal, error) {
	p, err := a.keys.verifyFallback(raw, a.clock)
	if err != nil {
		return Principal{}, errBadCredential
	}
	if !switches.Rollback {
		if err := a.redisAnswers(ctx, p.Session); err != nil {
			return Principal{}, err
		}
	}
	return a.acceptFallback(ctx, p)
}

// redisAnswers refuses a receipt for a session that Redis can be asked about: nothing but the question tells whether it can.
func (a *Auth) redisAnswers(ctx context.Context, id SessionID) error {
	_, err := a.lookUp(ctx, id)
	switch {
	case err == nil:
		return errFallbackOnly
	case errors.Is(err, errNoSession):
		return errSessionOver
	}
	return nil
}

// acceptFallback accepts the receipt of a session without asking Redis, on two conditions that make it safe: what was revoked until
// two seconds ago is known here, and the account is active.
func (a *Auth) acceptFallback(ctx context.Context, p Principal) (Principal, error) {
	if !a.ends.ledger.fresh() {
		return Principal{}, errRedisDown
	}
	u, err := a.people.active(ctx, p.User)
	if err != nil {
		return Principal{}, err
	}
	if u.Role == RoleFeed {
		p.Role = RoleFeed
	}
	a.met.degraded.Inc()
	return p, nil
}

// isOurs says whether a failure is this server's and not the caller's.
func isOurs(err error) bool {
	if err == nil || errors.Is(err, errLockedDown) || errors.Is(err, context.Canceled) {
		return false
	}
	return api.ProblemOf(err).Status >= 500
}

func resultOf(err error) string {
	switch {
	case err == nil:
		return "ok"
	case isOurs(err):
		return "failed"
	}
	return "refused"
}
