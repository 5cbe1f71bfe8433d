package auth

import (
	"context"
	"errors"
	"net/http"
	"time"

	"rosetree/internal/api"
)

// clockSlack is how far Redis' clock may be ahead of ours when a key's end is told from a deletion.
const clockSlack = time.Second

// recheck reads p's session again and says who p is now. What it finds to be over ends for every socket.
func (w *watcher) recheck(ctx context.Context, p Principal) (Principal, error) {
	now, e, err := w.ask(ctx, p)
	if err != nil {
		return Principal{}, err
	}
	if e != nil {
		w.end(p.Session, *e)
		return Principal{}, endProblem(*e)
	}
	w.learn(now)
	return now, nil
}

// ask reads p's session. A non-nil End says that it is over.
func (w *watcher) ask(ctx context.Context, p Principal) (Principal, *End, error) {
	if e, denied := w.denied.check(p); denied {
		e.Heard = "local"
		return Principal{}, &e, nil
	}
	if !w.inRedis(p) {
		return w.askClock(p)
	}
	h, err := w.reads.read(ctx, p.Session)
	if err != nil && ctx.Err() == nil { // a read does no harm twice
		h, err = w.reads.read(ctx, p.Session)
	}
	if errors.Is(ctx.Err(), context.Canceled) { // who asked went away
		return Principal{}, nil, ctx.Err()
	}
	if err != nil {
		if p.Via != ViaSession { // it was accepted without Redis, on the ledger's word, which was asked above
			return w.askClock(p)
		}
		return Principal{}, nil, api.Unavailable("sessions cannot be checked right now; try again", time.Second)
	}
	if e := w.verdict(p, h, ""); e != nil {
		e.Heard = "local"
		return Principal{}, e, nil
	}
	return p.refreshed(h), nil, nil
}

func (w *watcher) askClock(p Principal) (Principal, *End, error) {
	if !p.Expires.IsZero() && !time.Now().Before(p.Expires) {
		return Principal{}, &End{Reason: EndExpired, By: "system", At: p.Expires, Heard: "timer"}, nil
	}
	return p, nil, nil
}

// refreshed is p with the deadlines that Redis holds now. A token beside a session ends by itself, and with it.
func (p Principal) refreshed(h held) Principal {
	if p.Via != ViaSession {
		if h.expires.Before(p.Expires) {
			p.Expires = h.expires
		}
		return p
	}
	p.Expires, p.AuthAt, p.IssuedAt = h.expires, h.authAt, h.issued
	return p
}

// answerHint handles the read that an event led to.
func (w *watcher) answerHint(id SessionID, event string, h held, err error) {
	if err == nil {
		w.judge(id, h, event, "keyspace")
		return
	}
	p, ok := w.lookup(id)
	if !ok {
		return
	}
	if event == eventMoved { // by ourselves, and no evidence of anything: a fail-over is going on
		time.AfterFunc(movedPause, func() { w.reads.look(id, eventMoved) })
		return
	}
	// Evidence of a deletion and none of life: fail closed.
	e := w.ending(p, held{}, event)
	e.Heard = "keyspace"
	w.end(id, e)
}

// judge ends a watched session where a read says so.
func (w *watcher) judge(id SessionID, h held, event, heard string) {
	p, ok := w.lookup(id)
	if !ok {
		return
	}
	e := w.verdict(p, h, event)
	if e == nil {
		if event != "" {
			w.met.falseAlarms.Inc()
		}
		w.learn(p.refreshed(h))
		return
	}
	e.Heard = heard
	w.end(id, *e)
}

// verdict says whether p's session is over, given what Redis holds. nil: it lives.
func (w *watcher) verdict(p Principal, h held, event string) *End {
	if !h.alive || h.user != p.User {
		e := w.ending(p, h, event)
		return &e
	}
	if h.role != p.Role && !p.Degraded { // a degraded caller never has more than the user's role
		return &End{Reason: EndRoleChanged, By: "system", At: time.Now()}
	}
	if e, denied := w.denied.check(p.refreshed(h)); denied {
		return &e
	}
	return nil
}

// ending finds out why a session is gone: the note of whoever ended it, the ledger, the clock; else it was revoked.
func (w *watcher) ending(p Principal, h held, event string) End {
	if h.ending.Reason != "" {
		return h.ending
	}
	if e, denied := w.denied.check(p); denied {
		return e
	}
	now := time.Now()
	if event == "expired" || !p.Expires.IsZero() && now.After(p.Expires.Add(-clockSlack)) {
		return End{Reason: EndExpired, By: "system", At: now}
	}
	return End{Reason: EndRevoked, By: "system", At: now}
}

// endProblem is what a request with an ended session is told.
func endProblem(e End) *api.Problem {
	p := &api.Problem{Status: http.StatusUnauthorized, Code: "session_revoked", Message: "this session was ended; log in again"}
	switch e.Reason {
	case EndExpired:
		p.Code, p.Message = "session_expired", "this session has expired; log in again"
	case EndRoleChanged:
		p.Code, p.Message = "unauthenticated", "the rights of this session have changed; connect again"
	case EndLockedDown:
		return &api.Problem{Status: http.StatusForbidden, Code: "locked_down", Message: "the service is locked down; only administrators may act"}
	case EndUnavailable:
		return api.Unavailable("sessions cannot be checked right now; try again", time.Second)
	}
	return p
}
