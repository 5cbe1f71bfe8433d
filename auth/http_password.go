package auth

import (
	"context"
	"fmt"
	"net/http"

	"github.com/jackc/pgx/v5"

	"rosetree/internal/api"
)

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
	err := a.prove(r.Context(), shown{password, stored, p.User, true}, []bucket{{"stepup", string(p.User), stepUpRate}})
	if err == error(errWrongPassword) {
		a.refusals.add(r.Context(), AuditEntry{Actor: string(p.User), Action: "password.prove", Subject: string(p.Session), IP: a.where.clientIP(r).String()}, "wrong password")
		return api.Invalid(field, "is wrong")
	}
	return err
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
	hash, err := a.hashes.hash(r.Context(), true, in.New)
	if err != nil {
		return err
	}
	if err := a.setPassword(r.Context(), p, hash, a.where.clientIP(r).String()); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *Auth) setPassword(ctx context.Context, p Principal, hash, ip string) error {
	by := p.asUser()
	by.IP = ip
	_, err := a.ends.revokeWith(ctx, Target{Kind: KindUser, User: p.User, Keep: p.Session}, by, Reason{Text: "password changed"}, func(b *pgx.Batch) {
		b.Queue(`UPDATE app.credentials SET password_hash = $2, changed_at = clock_timestamp() WHERE user_id = $1::uuid`, string(p.User), hash)
		AuditEntry{Actor: string(p.User), Action: "password.change", Subject: string(p.User), IP: ip, Outcome: "ok"}.Queue(b)
	})
	if err != nil {
		return fmt.Errorf("auth: change password: %w", err)
	}
	return nil
}
