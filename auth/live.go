package auth

import (
	"context"

	"rosetree/internal/api"
)

// Watch registers a socket of p's session: the session's channel is subscribed and acknowledged, and then the session is read
// again. Only when it returns without error may data flow. end is called at most once; it must not block.
func (a *Auth) Watch(ctx context.Context, p Principal, end func(End)) (stop func(), now Principal, err error) {
	return a.ends.watch.watch(ctx, p, end)
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
