package auth

import (
	"context"
	"fmt"
	"time"
)

// probe decides whether a Redis master may be trusted again: it takes a write, the ledger's revocations have been brought
// to it, and every session with sockets here has been read.
func (rv *revoker) probe(ctx context.Context, n *node) error {
	if err := rv.writes(ctx, n); err != nil {
		return err
	}
	rv.behind.Store(false) // a revocation that fails from here on sets it again
	if err := rv.replay(ctx); err != nil {
		rv.behind.Store(true)
		return err
	}
	return rv.watch.readAll(ctx, n, "gap", 0)
}

// writes sets and deletes a key, as a request would.
func (rv *revoker) writes(ctx context.Context, n *node) error {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	key := n.canary() + rv.watch.cfg.Server + ":probe"
	pipe := rv.rdb.Pipeline()
	pipe.Set(ctx, key, 1, time.Second)
	pipe.Del(ctx, key)
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("auth: probe: %w", err)
	}
	return nil
}

const behindCheck = 250 * time.Millisecond

// keepUp brings Redis the revocations that failed there, as soon as it takes them. A Redis that was only slow opens no
// breaker and loses no subscription, so nothing else would.
func (rv *revoker) keepUp(ctx context.Context) {
	tick := time.NewTicker(behindCheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if !rv.behind.Swap(false) {
			continue
		}
		if err := rv.replay(ctx); err != nil {
			rv.behind.Store(true)
		}
	}
}

const deafCheck = 100 * time.Millisecond

// endDeaf closes the sockets of sessions whose end this server could not hear for MaxBlind: neither from the Redis that
// holds them nor from the ledger. A legacy token has only the ledger.
func (rv *revoker) endDeaf(ctx context.Context) {
	started := time.Now() // nothing can have been heard before
	tick := time.NewTicker(deafCheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		ledger := rv.ledger.proven()
		for _, n := range rv.watch.place.all() {
			heard, _ := n.proven()
			if rv.isDeaf(started, ledger, heard) {
				rv.watch.endAll(idsOf(n.all()), EndUnavailable)
			}
		}
		if rv.isDeaf(started, ledger) {
			rv.watch.endAll(rv.watch.elsewhere(), EndUnavailable)
		}
	}
}

// deafSlack is how old the newest proof may be while everything is well: the feed reads once a second.
const deafSlack = feedFresh

func (rv *revoker) isDeaf(proofs ...time.Time) bool {
	newest := proofs[0]
	for _, p := range proofs[1:] {
		if p.After(newest) {
			newest = p
		}
	}
	return time.Since(newest) > deafSlack+rv.maxBlind
}

func (w *watcher) endAll(ids []SessionID, reason EndReason) {
	for _, id := range ids {
		w.end(id, End{Reason: reason, By: "system", At: time.Now(), Heard: "timer"})
	}
}

// endWhere ends the watched sessions that which picks, and says how many.
func (w *watcher) endWhere(which func(Principal) bool, reason EndReason) int {
	ids := w.where(which)
	w.endAll(ids, reason)
	return len(ids)
}

func (w *watcher) where(which func(Principal) bool) (ids []SessionID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, s := range w.sessions {
		if which(s.now) {
			ids = append(ids, id)
		}
	}
	return ids
}

// elsewhere are the watched sessions about which Redis is not consulted.
func (w *watcher) elsewhere() (ids []SessionID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, s := range w.sessions {
		if s.node == nil {
			ids = append(ids, id)
		}
	}
	return ids
}
