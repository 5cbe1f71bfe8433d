package portfolio

import (
	"context"
	"time"

	"rosetree/auth"
	"rosetree/internal/api"
)

// Viewer is told what becomes of a watched portfolio; the hub implements it. Calls come one at a
// time, must not block, and what they are given is shared: it must not be changed.
type Viewer interface {
	Snapshot(Snapshot)   // first, before Watch returns, unless the viewer's version was recovered
	Change(Change)       // ordered: every committed version is reflected, several may be joined
	Valuation(Valuation) // merge: only what changed since the last one
	Gone(err error)      // the portfolio was deleted or may no longer be seen; nothing follows
}

// Service is the room's door: operations, and live portfolios.
type Service struct{}

// Watching is one viewer's place at a portfolio.
type Watching struct{ stop func() }

// Stop ends the watching; no callback runs after it returned.
func (w *Watching) Stop() { w.stop() }

// Watch shows portfolio id to v until Stop. Where since is the current version, v is not sent a
// snapshot and recovered is true. What is not p's, and not shared with p, is not_found.
func (s *Service) Watch(ctx context.Context, p auth.Principal, id ID, since int64, v Viewer) (w *Watching, recovered bool, err error) {
	return nil, false, api.Unavailable("portfolios are not served yet", time.Second)
}

// Operations are what clients can ask of the ledger.
func (s *Service) Operations() []api.Operation[auth.Principal] { return nil }
