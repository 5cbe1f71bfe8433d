package auth

import (
	"context"
	_ "embed"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
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
		if err := w.readAgain(ctx, missing, heard); err != nil {
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

//go:embed scripts/alive.lua
var aliveLua string

var aliveScript = redis.NewScript(aliveLua)

// confirmBatch bounds how long one script holds up other clients of Redis: 3 µs a session.
const confirmBatch = 100

// readAll reads every session of n and ends those that are over.
func (w *watcher) readAll(ctx context.Context, n *node, heard string, spread time.Duration) error {
	ids := n.ids()
	for batch := range slices.Chunk(ids, confirmBatch) {
		doubtful := batch
		if n.many {
			var err error
			if doubtful, err = w.confirm(ctx, batch, heard); err != nil {
				return err
			}
		}
		if err := w.readAgain(ctx, doubtful, heard); err != nil {
			return err
		}
		if spread > 0 {
			pause(ctx, spread*time.Duration(len(batch))/time.Duration(len(ids)))
		}
	}
	return ctx.Err()
}

// confirm has Redis compare the sessions with what this server knows of them, which costs a sixth of reading them here,
// and names those that differ.
func (w *watcher) confirm(ctx context.Context, ids []SessionID, heard string) (doubtful []SessionID, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	known := make([]Principal, 0, len(ids))
	keys, args := make([]string, 0, 2*len(ids)), make([]any, 0, 2*len(ids))
	for _, id := range ids {
		if p, ok := w.lookup(id); ok {
			known = append(known, p)
			keys = append(keys, sessionKey(id), epochKey(utagOf(id)))
			args = append(args, string(p.User), string(p.Role))
		}
	}
	left, err := aliveScript.Run(ctx, w.rdb, keys, args...).Int64Slice()
	if err != nil {
		return nil, err
	}
	for i, p := range known {
		if left[i] <= 0 {
			doubtful = append(doubtful, p.Session)
			continue
		}
		h := held{alive: true, user: p.User, role: p.Role, issued: p.IssuedAt, authAt: p.AuthAt,
			expires: time.Now().Add(time.Duration(left[i]) * time.Millisecond)}
		w.judge(p.Session, h, "", heard)
	}
	return doubtful, nil
}

// readAgain reads sessions and ends those that are over.
func (w *watcher) readAgain(ctx context.Context, ids []SessionID, heard string) error {
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
	}
	return ctx.Err()
}
