package auth

import (
	"context"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"rosetree/internal/api"
)

// stepUpFresh is how long ago the password may have been proven for an act that ends sessions or turns a switch.
const stepUpFresh = 5 * time.Minute

var errStepUp = &api.Problem{Status: http.StatusForbidden, Code: "step_up_required", Message: "prove your password again: POST /api/auth/step-up"}

var errDegraded = api.Unavailable("this needs a session that can be checked; try again when the service has recovered", 5*time.Second)

// RequireAdmin lets administrators through who were fully authenticated.
func RequireAdmin(p Principal) (Principal, error) {
	switch {
	case p.Degraded && p.Via == ViaFallback:
		return p, errDegraded
	case p.Role != RoleAdmin:
		return p, api.Forbidden("only administrators may do this")
	}
	return p, nil
}

// requireStepUp refuses a caller who has not proven the password lately, or who was accepted without Redis. A socket knows its
// session as it was when it last read it; the proof may have come since, by HTTP.
func (a *Auth) requireStepUp(ctx context.Context, p Principal) error {
	switch {
	case p.Degraded:
		return errDegraded
	case a.clock.now().Sub(p.AuthAt) <= stepUpFresh:
		return nil
	case p.Via != ViaSession:
		return errStepUp
	}
	s, err := a.lookUp(ctx, p.Session)
	if err != nil || s.User != p.User || a.clock.now().Sub(s.AuthAt) > stepUpFresh {
		return errStepUp
	}
	return nil
}

type stepUpRequest struct {
	Password string `json:"password"`
}

// stepUp proves the password again. The session keeps its id, so its sockets stay; its secret is replaced, so that one
// that was stolen before does not gain what the owner has just proven.
func (a *Auth) stepUp(w http.ResponseWriter, r *http.Request) error {
	p, err := a.Authenticate(r)
	if err != nil {
		return err
	}
	var in stepUpRequest
	if err := a.begin(w, r, &in); err != nil {
		return err
	}
	if err := a.mayStepUp(r.Context(), p); err != nil {
		return err
	}
	if err := a.proveOwn(r, p, "password", in.Password); err != nil {
		return err
	}
	prove := a.proveSession
	if p.Via == ViaLegacy {
		prove = a.proveLegacy
	}
	g, u, err := prove(r.Context(), p, a.where.clientIP(r).String())
	if err != nil {
		return err
	}
	transport := "cookie"
	if bearer, _ := bearerOf(r); bearer != "" {
		transport = "bearer"
	}
	return a.answerGrant(w, r, http.StatusOK, u, g, transport)
}

// mayStepUp: only what we began ourselves can be given other tokens.
func (a *Auth) mayStepUp(ctx context.Context, p Principal) error {
	if p.Degraded {
		return errDegraded
	}
	if p.Via == ViaSession {
		return nil
	}
	_, ours, err := a.legacyRecord(ctx, p)
	if err == nil && (!ours || !a.legacy.canSign()) {
		return api.Forbidden("this token is not ours to renew; log in anew")
	}
	return err
}

func (a *Auth) proveSession(ctx context.Context, p Principal, ip string) (g grant, u User, err error) {
	t, err := a.rotate(ctx, p, ip)
	if err != nil {
		return grant{}, u, err
	}
	s, err := a.readSession(ctx, t, "")
	if err != nil {
		return grant{}, u, redisProblem(err)
	}
	if u, err = a.people.active(ctx, p.User); err != nil {
		return grant{}, u, err
	}
	g, err = a.granted(u, s, t)
	return g, u, err
}

// rotate gives a session another secret and the time of its proof, in Redis and in its record.
func (a *Auth) rotate(ctx context.Context, p Principal, ip string) (token, error) {
	t := token{p.Session, randomText(32)}
	now := a.clock.now()
	live := false
	err := a.ends.breaker(utagOf(t.id)).do(ctx, func(ctx context.Context) (err error) {
		live, err = a.sessions.rotate(ctx, t, now)
		return err
	})
	if err != nil {
		return token{}, redisProblem(err)
	}
	if !live {
		return token{}, errSessionOver
	}
	var b pgx.Batch
	b.Queue(`UPDATE app.sessions SET verifier = $2, auth_at = $3 WHERE id = $1`, string(t.id), t.verifier(), now)
	AuditEntry{Actor: string(p.User), Action: "password.prove", Subject: string(p.Session), IP: ip, Outcome: "ok"}.Queue(&b)
	if err := a.rows.Do(ctx, &b); err != nil {
		// The new secret is in force in Redis and must reach the client; only a restore would ask the record.
		a.log.Error("step-up: not recorded", "session", p.Session, "cause", err)
	}
	return t, nil
}
