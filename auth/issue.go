package auth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"rosetree/internal/api"
)

// grant is what a log-in gives: a session, or a legacy token where the user's cohort is not switched yet.
type grant struct {
	Via      Via
	Session  Session // on the legacy path: what its record says
	Access   string  // rt1.… or a JWT
	Expires  time.Time
	Fallback string // with a session: the receipt for the time when Redis is out
	Refresh  string // with a legacy token: what renews it after its end
	Legacy   string // with a session: a token that the program before this one understands, while the legacy path lives
}

// origin is where a log-in comes from.
type origin struct {
	device    Device
	userAgent string
	ip        string
}

// issue logs u in. The switches decide which path; the credential that is presented later decides by its form who verifies it.
func (a *Auth) issue(ctx context.Context, p proof, from origin, action string) (grant, error) {
	u := p.user
	switches, err := a.switches.now()
	if err != nil {
		return grant{}, err
	}
	if switches.Lockdown && u.Role != RoleAdmin {
		return grant{}, errLockedDown
	}
	if !switches.issuesSession(u.ID) {
		return a.issueLegacy(ctx, p, from, action)
	}
	now := a.ends.denied.issueTime(u.ID, a.clock.now()).Truncate(time.Millisecond)
	s := Session{User: u.ID, Role: u.Role, IssuedAt: now, AuthAt: now, SeenAt: now, Ends: now.Add(a.cfg.SessionAbsoluteTTL), Idle: a.cfg.SessionIdleTTL,
		Device: from.device, UserAgent: shorten(from.userAgent, 256), IP: from.ip}
	g, err := a.open(ctx, p, s, mintToken(a.keys.utag(u.ID)), "", action)
	a.guarded.record(isOurs(err), 0)
	if errors.Is(err, errRedisDown) && switches.LegacyEnabled && a.legacy.canSign() {
		return a.issueLegacy(ctx, p, from, action) // a log-in that the old path can still serve is no reason for a 503
	}
	for began := time.Now(); errors.Is(err, errRedisDown) && ctx.Err() == nil && time.Since(began) < loginPatience; {
		pause(ctx, commandTimeout)
		g, err = a.open(ctx, p, s, mintToken(a.keys.utag(u.ID)), "", action) // another token: what timed out may have happened
	}
	return g, err
}

// loginPatience is how long somebody who logs in waits for a Redis that stands still, rather than being told to try again.
const loginPatience = 2 * time.Second

const insertSession = `INSERT INTO app.sessions (id, user_id, via, device_name, platform, user_agent, ip, created_at, last_seen_at, expires_at, verifier, auth_at, idle_ms, legacy_id)
	VALUES ($1, $2::uuid, $3, $4, $5, $6, $7, $8, $8, $9, $10, $11, $12, $13)`

// An exchange that is asked for again while the first one is under way may record its session first.
const unlessRecorded = ` ON CONFLICT (id) DO NOTHING`

func (s Session) row(via Via) []any {
	return []any{string(s.ID), string(s.User), string(via), s.Device.Name, s.Device.Platform, s.UserAgent, s.IP,
		s.IssuedAt, s.Ends, s.verifier, s.AuthAt, s.Idle.Milliseconds(), string(s.Legacy)}
}

// open makes a session in Redis and then its record, the records' ends of those that gave way, and the line in the audit log, in one transaction.
// Its token is given out only after that: a session whose record fails is deleted again, and nobody has its secret.
func (a *Auth) open(ctx context.Context, p proof, s Session, t token, once SessionID, action string) (grant, error) {
	var gone []SessionID
	var answer error
	err := a.ends.breaker(utagOf(t.id)).do(ctx, func(ctx context.Context) error {
		if gone, answer = a.sessions.create(ctx, &s, t, once); errors.Is(answer, errExchanged) || errors.Is(answer, errExchangedOver) {
			return nil
		}
		return answer
	})
	if err != nil {
		if err = redisProblem(err); err == error(errRedisDown) {
			a.log.Warn("sessions: create", "cause", err)
		}
		return grant{}, err
	}
	if answer != nil {
		return grant{}, answer
	}
	if err := a.record(ctx, p, s, gone, action); err != nil {
		a.undo(ctx, s.ID, once) // nobody has its secret
		return grant{}, err
	}
	a.tell(SessionNews{Event: "started", ID: s.ID, User: s.User, At: s.IssuedAt.UTC()})
	return a.granted(p.user, s, t)
}

func (a *Auth) undo(ctx context.Context, id, once SessionID) {
	keys := []string{sessionKey(id)}
	if once != "" {
		keys = append(keys, exchangeKey(utagOf(id), once))
	}
	if err := a.rdb.Del(context.WithoutCancel(ctx), keys...).Err(); err != nil {
		a.log.Warn("sessions: one without a record stays until it idles out", "session", id, "cause", err)
	}
}

func (a *Auth) record(ctx context.Context, p proof, s Session, gone []SessionID, action string) error {
	var b pgx.Batch
	b.Queue(insertSession+unlessRecorded, s.row(ViaSession)...)
	for _, id := range gone {
		r, err := a.ends.row(Target{Kind: KindSession, Session: id}, Actor{As: "system"}, Reason{Code: EndReplaced})
		if err != nil {
			return err
		}
		b.Queue(insertRevocation, r.Kind, r.Subject, r.Keep, orNull(r.NotBefore), r.Reason, r.Actor, r.Until)
		sql, args := endRecords(r)
		b.Queue(sql, args...)
	}
	s.opened(action, len(gone)).Queue(&b)
	if err := a.recorded(ctx, p, &b); err != nil {
		return fmt.Errorf("auth: record session: %w", err)
	}
	return nil
}

// recordLate writes the record of a session that lives in Redis without one: whoever opened it was killed in between. It says
// whether there was none.
func (a *Auth) recordLate(ctx context.Context, p proof, s Session, action string) (late bool, err error) {
	err = a.rows.Tx(ctx, func(tx pgx.Tx) error {
		if err := p.holds(ctx, tx); err != nil {
			return err
		}
		made, err := tx.Exec(ctx, insertSession+unlessRecorded, s.row(ViaSession)...)
		if late = err == nil && made.RowsAffected() == 1; !late {
			return err
		}
		var b pgx.Batch
		s.opened(action, 0).Queue(&b)
		return tx.SendBatch(ctx, &b).Close()
	})
	if err != nil {
		return false, fmt.Errorf("auth: record session: %w", err)
	}
	return late, nil
}

func (s Session) opened(action string, replaced int) AuditEntry {
	return AuditEntry{Actor: string(s.User), Action: action, Subject: string(s.ID), IP: s.IP, Outcome: "ok",
		Detail: map[string]any{"auth": ViaSession, "device": s.Device.Name, "replaced": replaced}}
}

// granted adds what comes with a session.
func (a *Auth) granted(u User, s Session, t token) (grant, error) {
	g := grant{Via: ViaSession, Session: s, Access: t.String(), Expires: s.Ends}
	var err error
	if g.Fallback, _, err = a.keys.mintFallback(s, a.clock.now()); err != nil {
		return grant{}, fmt.Errorf("auth: sign fallback token: %w", err)
	}
	if switches, err := a.switches.now(); err == nil && switches.LegacyEnabled && a.legacy.canSign() {
		if g.Legacy, _, err = a.legacy.sign(u, s.ID, a.ends.denied.issueTime(u.ID, a.clock.now()), s.AuthAt, s.Ends); err != nil {
			return grant{}, fmt.Errorf("auth: sign legacy token: %w", err)
		}
	}
	return g, nil
}

// issueLegacy logs u in as the program before this one did. The record makes the token's session visible, revocable and migratable.
func (a *Auth) issueLegacy(ctx context.Context, p proof, from origin, action string) (grant, error) {
	u := p.user
	if !a.legacy.canSign() {
		return grant{}, api.Unavailable("log-ins by session are switched off and this server cannot sign legacy tokens; log in where your account was made", time.Minute)
	}
	now := a.ends.denied.issueTime(u.ID, a.clock.now())
	s := Session{ID: SessionID(newID()), User: u.ID, Role: u.Role, IssuedAt: now, AuthAt: now, SeenAt: now, Ends: now.Add(a.cfg.SessionAbsoluteTTL),
		Idle: a.cfg.SessionAbsoluteTTL, Device: from.device, UserAgent: shorten(from.userAgent, 256), IP: from.ip}
	t := token{s.ID, randomText(32)}
	s.verifier = t.verifier()
	var b pgx.Batch
	b.Queue(insertSession, s.row(ViaLegacy)...)
	AuditEntry{Actor: string(u.ID), Action: action, Subject: string(s.ID), IP: s.IP, Outcome: "ok",
		Detail: map[string]any{"auth": ViaLegacy, "device": s.Device.Name}}.Queue(&b)
	if err := a.recorded(ctx, p, &b); err != nil {
		return grant{}, fmt.Errorf("auth: record legacy session: %w", err)
	}
	a.tell(SessionNews{Event: "started", ID: s.ID, User: s.User, At: now.UTC()})
	g := grant{Via: ViaLegacy, Session: s, Refresh: refreshText(t)}
	var err error
	if g.Access, g.Expires, err = a.legacy.sign(u, s.ID, now, now, s.Ends); err != nil {
		return grant{}, fmt.Errorf("auth: sign legacy token: %w", err)
	}
	return g, nil
}
