package hub

import (
	"context"
	"errors"
	"math"
	"time"

	"rosetree/auth"
	"rosetree/internal/api"
)

const (
	renewalNotice  = 2 * time.Minute // a client is told this long before its session ends
	recheckTimeout = 5 * time.Second
)

// watchExpiry looks at the session's deadline and says when to look again. A session that is used
// elsewhere lives on, so it is read again before the client is warned and before it is closed.
func (c *conn) watchExpiry(now int64) int64 {
	p := c.principal
	if p.Expires.IsZero() || c.rechecks {
		return math.MaxInt64
	}
	deadline := now + time.Until(p.Expires).Milliseconds()
	notice := deadline - c.notice().Milliseconds()
	switch {
	case now >= deadline:
		c.recheck()
		return now + recheckTimeout.Milliseconds()
	case now >= notice && !c.warned.Equal(p.Expires):
		c.recheck()
		return deadline
	case now >= notice:
		return deadline
	}
	return notice
}

// notice is shorter for sessions that live shortly.
func (c *conn) notice() time.Duration {
	opened := c.hub.start.Add(time.Duration(c.opened) * time.Millisecond)
	return min(renewalNotice, max(c.principal.Expires.Sub(opened)/4, 0))
}

// recheck reads the session again in the background; the caller holds mu.
func (c *conn) recheck() {
	c.rechecks = true
	p := c.principal
	c.hub.workers.Go(func() {
		c.hub.rechecking <- struct{}{}
		defer func() { <-c.hub.rechecking }()
		ctx, cancel := context.WithTimeout(context.Background(), recheckTimeout)
		defer cancel()
		now, err := c.hub.sessions.Recheck(ctx, p)
		c.rechecked(now, err)
	})
}

func (c *conn) rechecked(now auth.Principal, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rechecks = false
	due := !time.Now().Before(c.principal.Expires)
	switch {
	case err == nil && now.Expires.After(c.principal.Expires):
		c.principal.Expires = now.Expires
	case err != nil && !errors.Is(err, errUnavailable):
		c.finish(expiryOf(err), "timer")
	case due && err != nil:
		c.finish(goodbyeOf(auth.End{Reason: auth.EndUnavailable, By: "system"}), "timer")
	case due:
		c.finish(goodbyeOf(auth.End{Reason: auth.EndExpired, By: "system"}), "timer")
	default:
		c.warned = c.principal.Expires
		c.queue(reauthMessage(c.principal.Expires))
	}
	c.flush.timerAt = 0 // the deadline may have moved
	c.shard.urge(c.index)
}

// errUnavailable stands for "cannot be asked": no evidence of an end.
var errUnavailable = api.Unavailable("", 0)

func expiryOf(err error) goodbye {
	switch api.ProblemOf(err).Code {
	case "session_expired":
		return goodbyeOf(auth.End{Reason: auth.EndExpired, By: "system"})
	case "locked_down":
		return goodbyeOf(auth.End{Reason: auth.EndLockedDown, By: "system"})
	default:
		return goodbyeOf(auth.End{Reason: auth.EndRevoked, By: "system"})
	}
}

// renew takes a newer credential of the same user. Where it belongs to another session, that one is
// watched before the old one is let go.
func (c *conn) renew(token string) (auth.Principal, error) {
	c.hub.renewals.Add(1)
	defer c.hub.renewals.Add(-1)
	ctx, cancel := context.WithTimeout(context.Background(), recheckTimeout)
	defer cancel()
	old := c.identity()
	p, err := c.hub.sessions.Renew(ctx, old, token)
	if err != nil {
		return auth.Principal{}, err
	}
	if p.User != old.User {
		return auth.Principal{}, api.Forbidden("this credential is another user's")
	}
	var unwatch func()
	if p.Session != old.Session {
		if unwatch, p, err = c.hub.sessions.Watch(ctx, p, c.ended); err != nil {
			return auth.Principal{}, err
		}
	}
	if stop := c.adopt(p, unwatch); stop != nil {
		stop()
	}
	if p.Session != old.Session {
		c.hub.socketsChanged(old)
		c.hub.socketsChanged(p)
	}
	return p, nil
}

// adopt makes p the connection's identity and returns the watch that is no longer needed.
func (c *conn) adopt(p auth.Principal, unwatch func()) (stop func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end != nil {
		return unwatch
	}
	c.principal = p
	c.flush.timerAt = 0
	c.shard.urge(c.index)
	c.hub.recount(c, p)
	if unwatch == nil {
		return nil
	}
	stop, c.unwatch = c.unwatch, unwatch
	return stop
}
