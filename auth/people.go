package auth

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/singleflight"

	"rosetree/internal/api"
)

var errDisabled = api.Forbidden("this account is disabled")

// peopleFresh is how long a server may not know that an account was disabled or given another role; the
// revocation that goes with it is known at once.
const peopleFresh = time.Second

// people answers "does this account exist, is it active, what may it do" for credentials that do not say it themselves.
type people struct {
	auth   *Auth
	flight singleflight.Group

	mu   sync.Mutex
	seen map[UserID]person // guarded by mu
}

type person struct {
	user User
	at   time.Time
}

func newPeople(a *Auth) *people { return &people{auth: a, seen: map[UserID]person{}} }

// active is the account, where it may act.
func (p *people) active(ctx context.Context, id UserID) (User, error) {
	return p.find(ctx, id, func(ctx context.Context) (User, error) { return p.auth.User(ctx, id) })
}

// known is the account that a legacy token is about. The first contact makes it: one, however many come at once.
func (p *people) known(ctx context.Context, c legacyClaims) (User, error) {
	return p.find(ctx, UserID(c.Subject), func(ctx context.Context) (User, error) { return p.auth.provision(ctx, c) })
}

func (p *people) find(ctx context.Context, id UserID, read func(context.Context) (User, error)) (User, error) {
	u, ok := p.cached(id)
	if !ok {
		v, err, _ := p.flight.Do(string(id), func() (any, error) {
			u, err := read(context.WithoutCancel(ctx)) // others wait for it too
			if err == nil {
				p.keep(u)
			}
			return u, err
		})
		if err != nil {
			return User{}, err
		}
		u = v.(User)
	}
	if u.Status != "active" {
		return User{}, errDisabled
	}
	return u, nil
}

func (p *people) cached(id UserID) (User, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e, ok := p.seen[id]
	return e.user, ok && time.Since(e.at) < peopleFresh
}

func (p *people) keep(u User) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.seen) >= 10_000 {
		clear(p.seen) // it refills within a second; an eviction order would cost more than it saves
	}
	p.seen[u.ID] = person{u, time.Now()}
}

const selectUser = `SELECT ` + userColumns + ` FROM app.users u WHERE u.id = $1::uuid`

// provision makes the account of a legacy identity where there is none: id and role are the issuer's. ON CONFLICT makes parallel
// first contacts, on any number of servers, one account; who loses reads what the winner wrote.
func (a *Auth) provision(ctx context.Context, c legacyClaims) (User, error) {
	if u, err := a.User(ctx, UserID(c.Subject)); err == nil {
		return u, nil
	} else if err != error(errNoUser) {
		return User{}, err
	}
	role := RoleUser
	if c.AppMetadata.Role == string(RoleAdmin) {
		role = RoleAdmin
	}
	err := a.rows.Tx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `INSERT INTO app.users (id, email, display_name, role) VALUES ($1::uuid, $2, $3, $4) ON CONFLICT (id) DO NOTHING`,
			c.Subject, c.Email, shorten(c.Metadata.Name, 100), role)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		if c.Email != "" { // no password, but the address is taken; where somebody has it already they stay two accounts
			_, err = tx.Exec(ctx, `INSERT INTO app.credentials (user_id, email_key) VALUES ($1::uuid, $2) ON CONFLICT DO NOTHING`, c.Subject, emailKey(c.Email))
			if err != nil {
				return err
			}
		}
		var b pgx.Batch
		AuditEntry{Actor: c.Subject, Action: "user.provision", Subject: c.Subject, Outcome: "ok", Detail: map[string]any{"role": role}}.Queue(&b)
		return tx.SendBatch(ctx, &b).Close()
	})
	if err != nil {
		return User{}, fmt.Errorf("auth: provision: %w", err)
	}
	return a.User(ctx, UserID(c.Subject))
}

func shorten(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most])
	}
	return s
}
