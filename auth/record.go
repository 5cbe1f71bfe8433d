package auth

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// sessionRecord is a session as PostgreSQL remembers it.
type sessionRecord struct {
	Session
	via Via
}

// isLive is what the record knows; Redis may know that the session is gone.
const isLive = `ended_at IS NULL AND expires_at > now() AND last_seen_at + idle_ms * interval '1 ms' > now()`

const selectRecords = `SELECT id, user_id::text, via, device_name, platform, user_agent, ip, created_at, last_seen_at, expires_at,
	verifier, auth_at, idle_ms, legacy_id FROM app.sessions WHERE `

func scanRecord(row pgx.CollectableRow) (r sessionRecord, err error) {
	var idle int64
	err = row.Scan(&r.ID, &r.User, &r.via, &r.Device.Name, &r.Device.Platform, &r.UserAgent, &r.IP, &r.IssuedAt, &r.SeenAt, &r.Ends,
		&r.verifier, &r.AuthAt, &idle, &r.Legacy)
	r.Idle = time.Duration(idle) * time.Millisecond
	return r, err
}

func (a *Auth) records(ctx context.Context, where string, args ...any) (all []sessionRecord, err error) {
	var b pgx.Batch
	b.Queue(selectRecords+where, args...).Query(func(rows pgx.Rows) (err error) {
		all, err = pgx.CollectRows(rows, scanRecord)
		return err
	})
	if err := a.rows.Do(ctx, &b); err != nil {
		return nil, fmt.Errorf("auth: read sessions: %w", err)
	}
	return all, nil
}

// liveViews shows records as Redis has them now, and leaves out the sessions that Redis has no more. While Redis is out
// the records are all there is to show.
func (a *Auth) liveViews(ctx context.Context, records []sessionRecord, current SessionID) ([]sessionView, error) {
	live, asked, err := a.liveNow(ctx, records)
	if err != nil {
		return nil, err
	}
	views := make([]sessionView, 0, len(records))
	for _, r := range records {
		s, alive := live[r.ID]
		switch {
		case r.via != ViaSession || !asked:
			views = append(views, a.view(r.Session, r.via, current))
		case alive:
			views = append(views, a.view(s, r.via, current))
		}
	}
	return views, nil
}

// readMany asks for sessions of several users, who may be on several masters: with one of them out, none is asked.
func (a *Auth) readMany(ctx context.Context, ids []SessionID) ([]Session, error) {
	for _, id := range ids {
		if a.ends.breaker(utagOf(id)).isOut() {
			return nil, errRedisOut
		}
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	return a.sessions.many(ctx, ids)
}

func (a *Auth) liveNow(ctx context.Context, records []sessionRecord) (live map[SessionID]Session, asked bool, err error) {
	var ids []SessionID
	for _, r := range records {
		if r.via == ViaSession && isSessionID(string(r.ID)) {
			ids = append(ids, r.ID)
		}
	}
	found, err := a.readMany(ctx, ids)
	if err != nil {
		return nil, false, ctx.Err()
	}
	live = make(map[SessionID]Session, len(found))
	for _, s := range found {
		live[s.ID] = s
	}
	return live, true, nil
}
