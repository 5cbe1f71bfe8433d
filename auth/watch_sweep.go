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
	all := n.all()
	for batch := range slices.Chunk(all, sweepBatch) {
		missing, err := n.missing(ctx, batch)
		if err != nil {
			return err
		}
		if err := w.readAgain(ctx, missing, heard); err != nil {
			return err
		}
		if spread > 0 {
			pause(ctx, spread*sweepBatch/time.Duration(max(len(all), sweepBatch)))
		}
	}
	return ctx.Err()
}

// missing names those of all that have no key.
func (n *node) missing(ctx context.Context, all []*watched) ([]SessionID, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	if n.many {
		keys := make([]string, len(all))
		for i, s := range all {
			keys[i] = n.w.keyOf(s)
		}
		found, err := n.w.rdb.Exists(ctx, keys...).Result()
		if err != nil || found == int64(len(all)) {
			return nil, err
		}
	}
	pipe := n.w.rdb.Pipeline()
	for _, s := range all {
		pipe.Exists(ctx, n.w.keyOf(s))
	}
	cmds, err := pipe.Exec(ctx)
	if err != nil {
		return nil, err
	}
	var missing []SessionID
	for i, cmd := range cmds {
		if found, ok := cmd.(interface{ Val() int64 }); ok && found.Val() == 0 {
			missing = append(missing, all[i].id)
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
	all := n.all()
	for batch := range slices.Chunk(all, confirmBatch) {
		doubtful, err := w.doubtful(ctx, n, batch, heard)
		if err != nil {
			return err
		}
		if err := w.readAgain(ctx, doubtful, heard); err != nil {
			return err
		}
		if spread > 0 {
			pause(ctx, spread*time.Duration(len(batch))/time.Duration(len(all)))
		}
	}
	return ctx.Err()
}

// doubtful names those of all that must be read here. Where Redis can, it compares them with what this server knows of them,
// which costs a sixth of reading them: then they are those that differ.
func (w *watcher) doubtful(ctx context.Context, n *node, all []*watched, heard string) (ids []SessionID, err error) {
	if !n.many {
		return idsOf(all), nil
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	asked := make([]SessionID, 0, len(all))
	keys, args := make([]string, 0, 2*len(all)), make([]any, 0, 2*len(all))
	for _, s := range all {
		if p, ok := w.lookup(s.id); ok {
			asked = append(asked, s.id)
			keys = append(keys, w.keyOf(s), epochKey(utagOf(s.id)))
			args = append(args, string(p.User), string(p.Role))
		}
	}
	left, err := aliveScript.Run(ctx, w.rdb, keys, args...).Int64Slice()
	if err != nil {
		return nil, err
	}
	for i, id := range asked {
		if left[i] <= 0 {
			ids = append(ids, id)
		} else {
			w.confirm(id, time.Now().Add(time.Duration(left[i])*time.Millisecond), heard)
		}
	}
	return ids, nil
}

// confirm judges a session that Redis holds as this server knows it.
func (w *watcher) confirm(id SessionID, expires time.Time, heard string) {
	if p, ok := w.lookup(id); ok {
		w.judge(id, held{alive: true, user: p.User, role: p.Role, issued: p.IssuedAt, authAt: p.AuthAt, expires: expires}, "", heard)
	}
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
