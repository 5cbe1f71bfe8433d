package portfolio

import (
	"context"
	"slices"
	"time"

	"rosetree/auth"
	"rosetree/prices"
)

// Viewer is told what becomes of a watched portfolio; the hub implements it. Calls come one at a
// time, must not block and must not call Stop; what they are given is shared and must not be changed. A
// Valuation's list of holdings is used again after the call; the figures in it may be kept.
type Viewer interface {
	Snapshot(Snapshot)   // first, before Watch returns, unless the viewer's version was recovered
	Change(Change)       // ordered: every committed version is reflected, several may be joined
	Valuation(Valuation) // merge: only what changed since the last one
	Gone(err error)      // the portfolio was deleted or may no longer be seen; nothing follows
}

// Watching is one viewer's place at a portfolio.
type Watching struct {
	live   *live
	viewer Viewer
	share  *share // nil for the owner
}

// Watch shows portfolio id to v until Stop. Where since is the current version, v is not sent a
// snapshot and recovered is true. What is not p's, and not shared with p, is not_found.
func (s *Service) Watch(ctx context.Context, p auth.Principal, id ID, since int64, v Viewer) (w *Watching, recovered bool, err error) {
	l, sh, err := s.open(ctx, p, id, since)
	if err != nil {
		return nil, false, err
	}
	w = &Watching{live: l, viewer: v, share: sh}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone != nil { // between open and here; not_found, or the caller tries again
		return nil, false, l.gone
	}
	recovered = since != 0 && since == l.settings.version
	if !recovered {
		v.Snapshot(w.snapshot(l))
	}
	l.viewers = append(l.viewers, w)
	if l.book == nil {
		l.revalue()
	}
	return w, recovered, nil
}

// Stop ends the watching; no callback runs after it returned.
func (w *Watching) Stop() {
	w.live.mu.Lock()
	defer w.live.mu.Unlock()
	w.live.viewers = slices.DeleteFunc(w.live.viewers, func(o *Watching) bool { return o == w })
}

func (w *Watching) snapshot(l *live) Snapshot {
	holdings, totals := l.view().show(false, false)
	if w.hides() {
		holdings, totals = hideHoldings(holdings), hideTotals(totals)
	}
	return Snapshot{Version: l.settings.version, Holdings: holdings, Totals: totals}
}

func (w *Watching) hides() bool { return w.share != nil && w.share.hide }

// changed tells the viewers what a new version, or a new day, made of the holdings; mu is held.
func (l *live) changed(touched []prices.Symbol, whole bool) {
	before := l.open
	v := l.view()
	list := v.all()
	holdings, totals := v.showOf(list, false, false)
	l.open = make(map[prices.Symbol]bool, len(holdings))
	c := Change{Version: l.settings.version, Totals: totals, Holdings: []Holding{}, Removed: []prices.Symbol{}}
	for _, h := range holdings {
		l.open[h.Symbol] = true
		if whole || !before[h.Symbol] || slices.Contains(touched, h.Symbol) {
			c.Holdings = append(c.Holdings, h)
		}
	}
	for symbol := range before {
		if !l.open[symbol] {
			c.Removed = append(c.Removed, symbol)
		}
	}
	slices.Sort(c.Removed)
	l.revalueOf(v, list)
	if len(l.viewers) == 0 {
		return
	}
	l.service.metrics.changes.Inc()
	var hidden *Change
	for _, w := range l.viewers {
		if !w.hides() {
			w.viewer.Change(c)
			continue
		}
		if hidden == nil {
			h := c
			h.Holdings, h.Totals = hideHoldings(c.Holdings), hideTotals(c.Totals)
			hidden = &h
		}
		w.viewer.Change(*hidden)
	}
	l.synced()
}

// synced measures how long the news of a commit took to the viewers; mu is held.
func (l *live) synced() {
	if l.newsFrom > 0 {
		l.service.metrics.sync.Observe(max(0, time.Since(time.UnixMilli(l.newsFrom)).Seconds()))
	}
	l.newsFrom = 0
}
