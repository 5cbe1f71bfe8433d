package auth

import (
	"context"
	"fmt"
	"net/http"

	"github.com/jackc/pgx/v5"

	"rosetree/internal/api"
)

// eraseRequest proves that the owner means it: by the password, or, where the account has none, by its e-mail address.
type eraseRequest struct {
	Password string `json:"password"`
	Confirm  string `json:"confirm"`
}

// erase deletes the caller's account and everything in it. Sessions end first: if the deletion then fails, the owner
// logs in again and repeats it, while the other order would leave sessions of nobody.
func (a *Auth) erase(w http.ResponseWriter, r *http.Request) error {
	p, err := a.Authenticate(r)
	if err != nil {
		return err
	}
	if p.Degraded {
		return errDegraded
	}
	var in eraseRequest
	if err := a.begin(w, r, &in); err != nil {
		return err
	}
	if err := a.proveErase(r, p, in); err != nil {
		return err
	}
	by := p.asUser()
	by.IP = a.where.clientIP(r).String()
	if err := a.eraseUser(r.Context(), p.User, by); err != nil {
		return err
	}
	a.forgetCookies(w, r)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *Auth) proveErase(r *http.Request, p Principal, in eraseRequest) error {
	u, err := a.people.active(r.Context(), p.User)
	if err != nil {
		return err
	}
	if in.Confirm != u.Email {
		return api.Invalid("confirm", "must be the account's e-mail address")
	}
	hasPassword := false
	var b pgx.Batch
	b.Queue(`SELECT EXISTS (SELECT FROM app.credentials WHERE user_id = $1::uuid AND password_hash <> '')`, string(p.User)).
		QueryRow(func(row pgx.Row) error { return row.Scan(&hasPassword) })
	if err := a.rows.Do(r.Context(), &b); err != nil {
		return fmt.Errorf("auth: read credentials: %w", err)
	}
	if !hasPassword { // whose password is elsewhere proves it there, by a log-in of the last minutes
		return a.requireStepUp(r.Context(), p)
	}
	return a.proveOwn(r, p, "password", in.Password)
}

// eraseUser deletes an account: credentials, sessions, portfolios, ledger, watch lists, alerts, shares. What stays is
// the audit log and the revocation that ended the sessions; both name the user by id alone.
func (a *Auth) eraseUser(ctx context.Context, user UserID, by Actor) error {
	if err := a.keepAnAdmin(ctx, user); err != nil {
		return err
	}
	if _, err := a.User(ctx, user); err != nil {
		return err
	}
	_, err := a.ends.revokeWith(ctx, Target{Kind: KindUser, User: user}, by, Reason{Text: "account deleted"}, func(b *pgx.Batch) {
		b.Queue(`DELETE FROM app.users WHERE id = $1::uuid`, string(user))
		AuditEntry{Actor: by.String(), Action: "user.erase", Subject: string(user), IP: by.IP, Outcome: "ok"}.Queue(b)
	})
	a.people.forget(user)
	return err
}

// keepAnAdmin refuses to delete the only administrator: nobody could then make another one.
func (a *Auth) keepAnAdmin(ctx context.Context, user UserID) error {
	var last bool
	var b pgx.Batch
	b.Queue(`SELECT EXISTS (SELECT FROM app.users WHERE id = $1::uuid AND role = 'admin')
		AND NOT EXISTS (SELECT FROM app.users WHERE role = 'admin' AND status = 'active' AND id <> $1::uuid)`, string(user)).
		QueryRow(func(row pgx.Row) error { return row.Scan(&last) })
	if err := a.rows.Do(ctx, &b); err != nil {
		return fmt.Errorf("auth: read administrators: %w", err)
	}
	if last {
		return api.Conflict("this is the only administrator: promote another one first")
	}
	return nil
}
