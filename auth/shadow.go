package auth

import (
	"context"
	"errors"
	"time"
)

// The shadow compares the two paths after the answer: what the legacy path said of a token with what the session that was
// made for the same legacy session says (sessions migrate-legacy makes them before anybody is switched). It never delays or
// changes an answer: its queue is short, and what does not fit is dropped.
const shadowQueue = 256

// verdict is what the legacy path decided.
type verdict struct {
	who      Principal
	accepted bool
}

type shadow struct {
	queue chan verdict
	find  func(context.Context, Principal) (Session, error) // errNoSession where there is none
	met   *metrics
}

func newShadow(find func(context.Context, Principal) (Session, error), met *metrics) *shadow {
	return &shadow{queue: make(chan verdict, shadowQueue), find: find, met: met}
}

func (s *shadow) compare(p Principal, accepted bool) {
	select {
	case s.queue <- verdict{p, accepted}:
	default:
		s.met.shadow.WithLabelValues("dropped").Inc()
	}
}

func (s *shadow) run(ctx context.Context) error {
	for {
		select {
		case v := <-s.queue:
			s.met.shadow.WithLabelValues(s.result(ctx, v)).Inc()
		case <-ctx.Done():
			return nil
		}
	}
}

// shadowSlack is how far the two ends may be apart: a token's is in whole seconds.
const shadowSlack = 2 * time.Second

func (s *shadow) result(ctx context.Context, v verdict) string {
	found, err := s.find(ctx, v.who)
	switch {
	case errors.Is(err, errNoSession):
		return "absent"
	case err != nil:
		return "failed"
	case !v.accepted:
		return "accepts_more"
	case found.User != v.who.User || found.Role != v.who.Role:
		return "mismatch"
	case found.Ends.Add(shadowSlack).Before(v.who.Expires):
		return "mismatch"
	}
	return "match"
}

// twinOf finds the session that stands for a legacy one.
func (a *Auth) twinOf(ctx context.Context, p Principal) (Session, error) {
	id := p.Session
	if !isSessionID(string(id)) {
		id = a.keys.exchangeToken(p.User, p.Session).id
	}
	return a.lookUp(ctx, id)
}
