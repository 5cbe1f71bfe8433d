package auth

import (
	"context"
	"time"

	"rosetree/internal/api"
)

// Watch registers a socket of p's session: the session's channel is subscribed and acknowledged, and then the session is read
// again. Only when it returns without error may data flow. end is called at most once; it must not block.
func (a *Auth) Watch(ctx context.Context, p Principal, end func(End)) (stop func(), now Principal, err error) {
	stop, now, err = a.ends.watch.watch(ctx, p, end)
	if err != nil {
		return nil, Principal{}, err
	}
	if err := a.admit(now); err != nil { // a lockdown came between, and its sockets are being closed already
		stop()
		return nil, Principal{}, err
	}
	return stop, now, nil
}

// Watched is for how many sockets of each session this server watches. Whoever keeps the sockets compares it with its own books.
func (a *Auth) Watched() map[SessionID]int { return a.ends.watch.counts() }

// Blind says whether this server cannot tell at the moment if p's session still lives: neither events nor polls
// come through. Account data should wait meanwhile.
func (a *Auth) Blind(p Principal) bool {
	if !isSessionID(string(p.Session)) {
		return !a.ends.ledger.fresh()
	}
	heard, live := a.ends.watch.place.nodeFor(utagOf(p.Session)).proven()
	return !live && time.Since(heard) > blindAfter
}

// blindAfter allows for a poll that is under way.
const blindAfter = time.Second

// Revoke ends what t names, everywhere. With a session ends the legacy session that was exchanged for it.
func (a *Auth) Revoke(ctx context.Context, t Target, by Actor, why Reason) (Receipt, error) {
	if t.Kind == KindSession {
		return a.endSession(ctx, t.Session, by, why)
	}
	return a.ends.revoke(ctx, t, by, why)
}

// Receipt is what each server did about a revocation.
func (a *Auth) Receipt(ctx context.Context, id int64) (Report, error) {
	return a.ends.receipts.report(ctx, id)
}

// consultsRedis: in rollback Redis is taken for broken, and tokens that do without it are not held against it.
func (a *Auth) consultsRedis(p Principal) bool {
	if p.Via == ViaSession {
		return true
	}
	switches, err := a.switches.now()
	return err == nil && !switches.Rollback
}

// follow closes the sockets that a switch shuts out.
func (a *Auth) follow(old, now Switches) {
	if now.Lockdown && !old.Lockdown {
		a.ends.watch.endWhere(func(p Principal) bool { return p.Role != RoleAdmin || p.Degraded }, EndLockedDown)
	}
	if old.LegacyEnabled && !now.LegacyEnabled { // who also holds a session comes back with it at once
		a.ends.watch.endWhere(func(p Principal) bool { return p.Via == ViaLegacy }, EndPathSwitched)
	}
}

// Recheck says who p is now. The socket's owner calls it when p's deadline has come: another device may have used the session.
func (a *Auth) Recheck(ctx context.Context, p Principal) (Principal, error) {
	now, err := a.ends.watch.recheck(ctx, p)
	if err != nil {
		return Principal{}, err
	}
	return now, a.admit(now)
}

// Renew takes a new credential on an open socket. It must be the same user's.
func (a *Auth) Renew(ctx context.Context, p Principal, token string) (Principal, error) {
	now, err := a.authenticate(ctx, credential{form: formOf(token), raw: token}, "")
	if err != nil {
		return Principal{}, err
	}
	if now.User != p.User {
		return Principal{}, api.Forbidden("the token belongs to another user")
	}
	return now, nil
}
