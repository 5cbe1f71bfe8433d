package auth

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"rosetree/internal/api"
)

// stepUpFresh is how long ago the password may have been proven for an act that ends others' sessions or turns a switch.
const stepUpFresh = 15 * time.Minute

var errStepUp = &api.Problem{Status: http.StatusForbidden, Code: "step_up_required", Message: "prove your password again: POST /api/auth/step-up"}

// RequireStepUp refuses a caller who has not proven the password lately, or who was accepted without Redis.
func RequireStepUp(p Principal) error {
	switch {
	case p.Degraded:
		return errDegraded
	case time.Since(p.AuthAt) > stepUpFresh:
		return errStepUp
	}
	return nil
}

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
	if p.Via != ViaSession {
		return api.Forbidden("only a session can prove its password again; log in anew")
	}
	if err := a.proveOwn(r, p, "password", in.Password); err != nil {
		return err
	}
	t, err := a.rotate(r.Context(), p, a.where.clientIP(r).String())
	if err != nil {
		return err
	}
	bearer, err := bearerOf(r)
	if err != nil {
		return err
	}
	return a.answerRotated(w, r, p, t, bearer != "")
}

func (a *Auth) answerRotated(w http.ResponseWriter, r *http.Request, p Principal, t token, bearer bool) error {
	s, err := a.readSession(r.Context(), t, "")
	if err != nil {
		return errRedisDown
	}
	u, err := a.people.active(r.Context(), p.User)
	if err != nil {
		return err
	}
	g, err := a.granted(u, s, t)
	if err != nil {
		return err
	}
	transport := "cookie"
	if bearer {
		transport = "bearer"
	}
	return a.answerGrant(w, r, http.StatusOK, u, g, transport)
}

const selectOwnHash = `SELECT coalesce(password_hash, ''), email_key FROM app.credentials WHERE user_id = $1::uuid`

// proveOwn checks the caller's own password; wrong is a wrong field, and not a wrong caller.
func (a *Auth) proveOwn(r *http.Request, p Principal, field, password string) error {
	if password == "" {
		return api.Invalid(field, "is missing")
	}
	if len(password) > maxPassword {
		return api.Invalid(field, "must have at most %d bytes", maxPassword)
	}
	var stored, email string
	var b pgx.Batch
	b.Queue(selectOwnHash, string(p.User)).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			if err := rows.Scan(&stored, &email); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	if err := a.rows.Do(r.Context(), &b); err != nil {
		return fmt.Errorf("auth: read credentials: %w", err)
	}
	err := a.prove(r.Context(), password, stored, p.User, []bucket{{"stepup", string(p.User), stepUpRate}})
	if err == error(errWrongPassword) {
		a.note(r.Context(), AuditEntry{Actor: string(p.User), Action: "password.prove", Subject: string(p.Session), IP: a.where.clientIP(r).String(), Outcome: "refused"})
		return api.Invalid(field, "is wrong")
	}
	return err
}

// rotate gives a session another secret and the time of its proof, in Redis and in its record.
func (a *Auth) rotate(ctx context.Context, p Principal, ip string) (token, error) {
	t := token{p.Session, randomText(32)}
	now := time.Now()
	live := false
	err := a.ends.breaker(utagOf(t.id)).do(ctx, func(ctx context.Context) (err error) {
		live, err = a.sessions.rotate(ctx, t, now)
		return err
	})
	if err != nil {
		return token{}, errRedisDown
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

type passwordRequest struct {
	Current string `json:"current"`
	New     string `json:"new"`
}

// changePassword ends all the user's other sessions: whoever changes a password may have lost the old one.
func (a *Auth) changePassword(w http.ResponseWriter, r *http.Request) error {
	p, err := a.Authenticate(r)
	if err != nil {
		return err
	}
	if p.Degraded {
		return errDegraded
	}
	var in passwordRequest
	if err := a.begin(w, r, &in); err != nil {
		return err
	}
	u, err := a.people.active(r.Context(), p.User)
	if err != nil {
		return err
	}
	if err := a.proveOwn(r, p, "current", in.Current); err != nil {
		return err
	}
	if err := checkNewPassword("new", in.New, u.Email); err != nil {
		return err
	}
	if in.New == in.Current {
		return api.Invalid("new", "is the password that you have")
	}
	hash, err := a.hashes.hash(r.Context(), in.New)
	if err != nil {
		return err
	}
	if err := a.setPassword(r.Context(), p, hash, a.where.clientIP(r).String()); err != nil {
		return err
	}
	if _, err := a.ends.revoke(r.Context(), Target{Kind: KindUser, User: p.User, Keep: p.Session}, p.asUser(), Reason{Text: "password changed"}); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *Auth) setPassword(ctx context.Context, p Principal, hash, ip string) error {
	var b pgx.Batch
	b.Queue(`UPDATE app.credentials SET password_hash = $2, changed_at = now() WHERE user_id = $1::uuid`, string(p.User), hash)
	AuditEntry{Actor: string(p.User), Action: "password.change", Subject: string(p.User), IP: ip, Outcome: "ok"}.Queue(&b)
	if err := a.rows.Do(ctx, &b); err != nil {
		return fmt.Errorf("auth: change password: %w", err)
	}
	return nil
}
