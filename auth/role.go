package auth

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"rosetree/internal/api"
)

// SetRole gives an account another role. Its sessions have it at once, and their sockets connect again; where Redis cannot be told,
// they end instead: nobody keeps a right that was taken away. Redis forgets the old right before PostgreSQL does and learns the
// new one after: a crash between leaves sessions with too few rights, never with too many.
func (a *Auth) SetRole(ctx context.Context, user UserID, role Role, by Actor) error {
	if role != RoleUser && role != RoleAdmin && role != RoleFeed {
		return api.Invalid("role", "must be user, admin or feed")
	}
	u, err := a.User(ctx, user)
	if err != nil {
		return err
	}
	if u.Role != RoleUser && u.Role != role {
		if err := a.ends.changeRole(ctx, user, RoleUser); err != nil {
			return a.endForRole(ctx, user, role, by, err)
		}
	}
	if err := a.updateUser(ctx, updateRole, user, string(role), by, "user.role"); err != nil || role == RoleUser {
		return err
	}
	if err := a.ends.changeRole(ctx, user, role); err != nil {
		a.log.Warn("role: Redis cannot be told; the sessions have the new one after the next log-in", "user", user, "cause", err)
	}
	return nil
}

const updateRole = `UPDATE app.users SET role = $2 WHERE id = $1::uuid`

// endForRole takes a right away from sessions that cannot be told of it: they end, in the transaction of the change.
func (a *Auth) endForRole(ctx context.Context, user UserID, role Role, by Actor, cause error) error {
	a.log.Warn("role: Redis cannot be told; the sessions end", "user", user, "cause", cause)
	_, err := a.ends.revokeWith(ctx, Target{Kind: KindUser, User: user}, by, Reason{Text: "role changed"}, func(b *pgx.Batch) {
		b.Queue(updateRole, string(user), string(role))
		userLine("user.role", user, string(role), by).Queue(b)
	})
	a.people.forget(user)
	return err
}

// SetStatus disables an account, which ends all its sessions, or enables it again.
func (a *Auth) SetStatus(ctx context.Context, user UserID, status string, by Actor) error {
	if status != "active" && status != "disabled" {
		return api.Invalid("status", "must be active or disabled")
	}
	const update = `UPDATE app.users SET status = $2 WHERE id = $1::uuid`
	if status == "active" {
		return a.updateUser(ctx, update, user, status, by, "user.status")
	}
	if _, err := a.User(ctx, user); err != nil {
		return err
	}
	_, err := a.ends.revokeWith(ctx, Target{Kind: KindUser, User: user}, by, Reason{Text: "account disabled"}, func(b *pgx.Batch) {
		b.Queue(update, string(user), status)
		userLine("user.status", user, status, by).Queue(b)
	})
	a.people.forget(user)
	return err
}

func userLine(action string, user UserID, value string, by Actor) AuditEntry {
	return AuditEntry{Actor: by.String(), Action: action, Subject: string(user), IP: by.IP, Outcome: "ok", Detail: map[string]any{"to": value}}
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
		userLine(action, user, value, by).Queue(&b)
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
