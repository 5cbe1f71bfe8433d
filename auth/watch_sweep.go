package auth

import (
	"context"
	"slices"
	"time"
)

// sweepBatch is how many keys one command or pipeline asks about.
const sweepBatch = 500

// poll asks about every session again and again while the node is blind: at once when it becomes blind, then
// at each tick.
func (n *node) poll(ctx context.Context, blind <-chan struct{}) {
	tick := time.NewTicker(n.w.cfg.PollEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-blind:
		case <-tick.C:
		}
		if !n.staysBlind() {
			continue
		}
		began := time.Now()
		if n.w.existAll(ctx, n, "poll", 0) == nil {
			n.prove(began)
		}
	}
}

// sweep finds what makes no event: lost and flushed keys soon, overwritten ones and newer epochs a little later.
// It spreads its questions over half of its interval.
func (n *node) sweep(ctx context.Context) {
	cfg := n.w.cfg
	tick := time.NewTicker(cfg.SweepEvery)
	defer tick.Stop()
	read := time.Now().Add(cfg.ReadEvery)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if time.Now().Before(read) {
			_ = n.w.existAll(ctx, n, "sweep", cfg.SweepEvery/2) // an unreachable Redis is the canary's business
			continue
		}
		_ = n.w.readAll(ctx, n, "sweep", cfg.SweepEvery/2)
		read = time.Now().Add(cfg.ReadEvery)
	}
}

// existAll ends the sessions of n whose keys are gone.
func (w *watcher) existAll(ctx context.Context, n *node, heard string, spread time.Duration) error {
	ids := n.ids()
	for batch := range slices.Chunk(ids, sweepBatch) {
		missing, err := n.missing(ctx, batch)
		if err != nil {
			return err
		}
		if err := w.readAgain(ctx, missing, heard, 0); err != nil {
			return err
		}
		if spread > 0 {
			pause(ctx, spread*sweepBatch/time.Duration(max(len(ids), sweepBatch)))
		}
	}
	return ctx.Err()
}

// missing names those of ids that have no key.
func (n *node) missing(ctx context.Context, ids []SessionID) ([]SessionID, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	if n.many {
		keys := make([]string, len(ids))
		for i, id := range ids {
			keys[i] = sessionKey(id)
		}
		found, err := n.w.rdb.Exists(ctx, keys...).Result()
		if err != nil || found == int64(len(ids)) {
			return nil, err
		}
	}
	pipe := n.w.rdb.Pipeline()
	for _, id := range ids {
		pipe.Exists(ctx, sessionKey(id))
	}
	cmds, err := pipe.Exec(ctx)
	if err != nil {
		return nil, err
	}
	var missing []SessionID
	for i, cmd := range cmds {
		if found, ok := cmd.(interface{ Val() int64 }); ok && found.Val() == 0 {
			missing = append(missing, ids[i])
		}
	}
	return missing, nil
}

// readAll reads every session of n and ends those that are over.
func (w *watcher) readAll(ctx context.Context, n *node, heard string, spread time.Duration) error {
	return w.readAgain(ctx, n.ids(), heard, spread)
}

func (w *watcher) readAgain(ctx context.Context, ids []SessionID, heard string, spread time.Duration) error {
	for batch := range slices.Chunk(ids, readBatch) {
		var gone []SessionID
		for i, a := range readSessions(ctx, w.rdb, batch, false) {
			switch {
			case a.err != nil:
				return a.err
			case !a.held.alive:
				gone = append(gone, batch[i])
			default:
				w.judge(batch[i], a.held, "", heard)
			}
		}
		for i, a := range readSessions(ctx, w.rdb, gone, true) {
			if a.err != nil {
				return a.err
			}
			w.judge(gone[i], a.held, "", heard)
		}
		if spread > 0 {
			pause(ctx, spread*time.Duration(len(batch))/time.Duration(len(ids)))
		}
	}
	return ctx.Err()
}
