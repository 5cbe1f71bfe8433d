package auth

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"rosetree/internal/api"
)

// SetRole gives an account another role. Its sessions have it at once, and their sockets connect again; where Redis cannot be told,
// they end instead: nobody keeps a right that was taken away.
func (a *Auth) SetRole(ctx context.Context, user UserID, role Role, by Actor) error {
	if role != RoleUser && role != RoleAdmin && role != RoleFeed {
		return api.Invalid("role", "must be user, admin or feed")
	}
	err := a.updateUser(ctx, `UPDATE app.users SET role = $2 WHERE id = $1::uuid`, user, string(role), by, "user.role")
	if err != nil {
		return err
	}
	if err := a.ends.changeRole(ctx, user, role); err != nil {
		a.log.Warn("role: Redis cannot be told; the sessions end", "user", user, "cause", err)
		_, err = a.ends.revoke(ctx, Target{Kind: KindUser, User: user}, by, Reason{Text: "role changed"})
		return err
	}
	return nil
}

// SetStatus disables an account, which ends all its sessions, or enables it again.
func (a *Auth) SetStatus(ctx context.Context, user UserID, status string, by Actor) error {
	if status != "active" && status != "disabled" {
		return api.Invalid("status", "must be active or disabled")
	}
	err := a.updateUser(ctx, `UPDATE app.users SET status = $2 WHERE id = $1::uuid`, user, status, by, "user.status")
	if err != nil || status == "active" {
		return err
	}
	_, err = a.ends.revoke(ctx, Target{Kind: KindUser, User: user}, by, Reason{Text: "account disabled"})
	return err
}

func (a *Auth) updateUser(ctx context.Context, sql string, user UserID, value string, by Actor, action string) error {
	err := a.rows.Tx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, sql, string(user), value)
		if err != nil {
			return fmt.Errorf("auth: update user: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return errNoUser
		}
		var b pgx.Batch
		AuditEntry{Actor: by.String(), Action: action, Subject: string(user), IP: by.IP, Outcome: "ok", Detail: map[string]any{"to": value}}.Queue(&b)
		return tx.SendBatch(ctx, &b).Close()
	})
	a.people.forget(user)
	return err
}

func (p *people) forget(user UserID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.seen, user)
}
