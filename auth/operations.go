package auth

import (
	"context"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"rosetree/internal/api"
)

// Operations are what an authenticated caller may ask for, over HTTP and on the socket. auth.ticket has no path: over HTTP
// it is a route, because it needs the request's origin.
func (a *Auth) Operations() []api.Operation[Principal] {
	ops := []api.Operation[Principal]{
		api.Op("session.list", http.MethodGet, "/api/auth/sessions", a.listOwn),
		api.Op("session.rename", http.MethodPatch, "/api/auth/sessions/{id}", a.renameOwn),
		api.Op("session.revoke", http.MethodDelete, "/api/auth/sessions/{id}", a.revokeOwn),
		api.Op("session.revoke_others", http.MethodDelete, "/api/auth/sessions", a.revokeOthers),
		api.Op("auth.ticket", "", "", a.socketTicket),
	}
	for _, op := range a.adminOperations() {
		ops = append(ops, api.As(op, a.adminOnly(op.Name)))
	}
	return ops
}

type ownSessions struct {
	Sessions []sessionView  `json:"sessions"`
	Ended    []endedSession `json:"ended"`
}

// endedSession is what is remembered of a session that is over.
type endedSession struct {
	ID        SessionID `json:"id"`
	Device    Device    `json:"device"`
	IP        string    `json:"ip"`
	CreatedAt time.Time `json:"created_at"`
	EndedAt   time.Time `json:"ended_at"`
	Reason    string    `json:"reason"`
	By        string    `json:"by"`
}

func (a *Auth) listOwn(ctx context.Context, p Principal, _ struct{}) (ownSessions, error) {
	out := ownSessions{Sessions: []sessionView{}, Ended: []endedSession{}}
	records, err := a.records(ctx, `user_id = $1::uuid AND `+isLive+` ORDER BY last_seen_at DESC, id LIMIT 200`, string(p.User))
	if err != nil {
		return out, err
	}
	if out.Sessions, err = a.liveViews(ctx, records, p.Session); err != nil {
		return out, err
	}
	a.countEverywhere(ctx, out.Sessions, false)
	out.Ended, err = a.endedOf(ctx, p.User)
	return out, err
}

const selectEnded = `SELECT id, device_name, platform, ip, created_at, coalesce(ended_at, least(expires_at, last_seen_at + idle_ms * interval '1 ms')),
	coalesce(end_reason, 'session_expired'), coalesce(ended_by, 'system') FROM app.sessions
	WHERE user_id = $1::uuid AND NOT (` + isLive + `) ORDER BY created_at DESC LIMIT 20`

func (a *Auth) endedOf(ctx context.Context, user UserID) (ended []endedSession, err error) {
	var b pgx.Batch
	b.Queue(selectEnded, string(user)).Query(func(rows pgx.Rows) (err error) {
		ended, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (e endedSession, err error) {
			err = row.Scan(&e.ID, &e.Device.Name, &e.Device.Platform, &e.IP, &e.CreatedAt, &e.EndedAt, &e.Reason, &e.By)
			e.By = actorName(e.By)
			return e, err
		})
		return err
	})
	err = a.rows.Do(ctx, &b)
	if ended == nil {
		ended = []endedSession{}
	}
	return ended, err
}

type renameInput struct {
	ID     SessionID `json:"id"`
	Device struct {
		Name string `json:"name"`
	} `json:"device"`
	Name string `json:"name"` // the same, said shortly
}

func (a *Auth) renameOwn(ctx context.Context, p Principal, in renameInput) (sessionView, error) {
	name := orElse(in.Device.Name, in.Name)
	if name == "" {
		return sessionView{}, api.Invalid("device.name", "is missing")
	}
	if err := checkText("device.name", name, 100); err != nil {
		return sessionView{}, err
	}
	record, err := a.ownRecord(ctx, p, in.ID)
	if err != nil {
		return sessionView{}, err
	}
	var b pgx.Batch
	b.Queue(`UPDATE app.sessions SET device_name = $2 WHERE id = $1`, string(in.ID), name)
	AuditEntry{Actor: string(p.User), Action: "session.rename", Subject: string(in.ID), IP: p.IP, Outcome: "ok"}.Queue(&b)
	if err := a.rows.Do(ctx, &b); err != nil {
		return sessionView{}, err
	}
	if record.via == ViaSession {
		if err := a.ends.breaker(utagOf(in.ID)).do(ctx, func(ctx context.Context) error { return a.sessions.rename(ctx, in.ID, name) }); err != nil {
			a.log.Warn("sessions: the new name is in the record alone", "session", in.ID, "cause", err)
		}
	}
	a.tell(SessionNews{Event: "renamed", ID: in.ID, User: p.User, At: time.Now().UTC()})
	record.Device.Name = name
	views := []sessionView{a.view(record.Session, record.via, p.Session)}
	a.countEverywhere(ctx, views, false)
	return views[0], nil
}

var errNoSuchSession = api.NotFound("session")

// ownRecord finds a live session of the caller. Another user's does not exist.
func (a *Auth) ownRecord(ctx context.Context, p Principal, id SessionID) (sessionRecord, error) {
	records, err := a.records(ctx, `id = $1 AND user_id = $2::uuid AND `+isLive, string(id), string(p.User))
	if err != nil {
		return sessionRecord{}, err
	}
	if len(records) == 0 {
		return sessionRecord{}, errNoSuchSession
	}
	return records[0], nil
}

type sessionInput struct {
	ID SessionID `json:"id"`
}

// revokeOwn ends a session of the caller. To leave one's own needs nothing; whoever holds a stolen session must not be able to
// throw the owner's other devices out, so ending those needs a recent proof of the password.
func (a *Auth) revokeOwn(ctx context.Context, p Principal, in sessionInput) (api.None, error) {
	if _, err := a.ownRecord(ctx, p, in.ID); err != nil {
		return api.None{}, err
	}
	reason := Reason{Code: EndSignedOut}
	if in.ID != p.Session {
		if err := a.requireStepUp(ctx, p); err != nil {
			return api.None{}, err
		}
		reason = Reason{}
	}
	_, err := a.endSession(ctx, in.ID, p.asUser(), reason)
	return api.None{}, err
}

type othersInput struct {
	Others bool `json:"others"`
}

func (a *Auth) revokeOthers(ctx context.Context, p Principal, in othersInput) (api.None, error) {
	if !in.Others {
		return api.None{}, api.Invalid("others", "must be true: this ends all your sessions but this one")
	}
	if err := a.requireStepUp(ctx, p); err != nil {
		return api.None{}, err
	}
	_, err := a.ends.revoke(ctx, Target{Kind: KindUser, User: p.User, Keep: p.Session}, p.asUser(), Reason{})
	return api.None{}, err
}

func (p Principal) asUser() Actor  { return Actor{As: "user", User: p.User, IP: p.IP} }
func (p Principal) asAdmin() Actor { return Actor{As: "admin", User: p.User, IP: p.IP} }

func (a *Auth) socketTicket(ctx context.Context, p Principal, _ struct{}) (TicketAnswer, error) {
	return a.makeTicket(ctx, p, "")
}

// endSession ends a session, and with it the legacy session that was exchanged for it: its token would live on.
func (a *Auth) endSession(ctx context.Context, id SessionID, by Actor, why Reason) (Receipt, error) {
	session := Target{Kind: KindSession, Session: id}
	if legacy := a.legacyOf(ctx, id); legacy != "" {
		return a.ends.revokeBoth(ctx, Target{Kind: KindSession, Session: legacy}, session, by, why)
	}
	return a.ends.revoke(ctx, session, by, why)
}

// legacyOf asks the record; where that cannot be read, the session alone ends.
func (a *Auth) legacyOf(ctx context.Context, id SessionID) (legacy SessionID) {
	if !isSessionID(string(id)) {
		return ""
	}
	records, err := a.records(ctx, `id = $1`, string(id))
	if err != nil || len(records) == 0 {
		return ""
	}
	return records[0].Legacy
}
