package auth

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	touchFlush = 5 * time.Second
	touchMost  = 50_000
)

// touches carries "last seen" from Redis to the durable record, many sessions in one statement: lists of a hundred thousand
// sessions are sorted by it, and a restore knows from it which sessions still lived.
type touches struct {
	rows Rows
	log  *slog.Logger

	mu   sync.Mutex
	seen map[SessionID]touch // guarded by mu
}

type touch struct {
	at time.Time
	ip string
}

func newTouches(rows Rows, log *slog.Logger) *touches {
	return &touches{rows: rows, log: log, seen: map[SessionID]touch{}}
}

func (t *touches) note(s Session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.seen) < touchMost { // while PostgreSQL is away; what is lost is a time in a list
		t.seen[s.ID] = touch{s.SeenAt, s.IP}
	}
}

func (t *touches) run(ctx context.Context) error {
	tick := time.NewTicker(touchFlush)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return t.flush(context.WithoutCancel(ctx))
		}
		if err := t.flush(ctx); err != nil {
			t.log.Warn("sessions: last seen", "cause", err)
		}
	}
}

const updateSeen = `UPDATE app.sessions s SET last_seen_at = t.seen, ip = t.ip
	FROM unnest($1::text[], $2::timestamptz[], $3::text[]) AS t (id, seen, ip)
	WHERE s.id = t.id AND s.last_seen_at < t.seen`

func (t *touches) flush(ctx context.Context) error {
	t.mu.Lock()
	seen := t.seen
	t.seen = map[SessionID]touch{}
	t.mu.Unlock()
	if len(seen) == 0 {
		return nil
	}
	var ids, ips []string
	var times []time.Time
	for id, s := range seen {
		ids, times, ips = append(ids, string(id)), append(times, s.at), append(ips, s.ip)
	}
	var b pgx.Batch
	b.Queue(updateSeen, ids, times, ips)
	return t.rows.Do(ctx, &b)
}
