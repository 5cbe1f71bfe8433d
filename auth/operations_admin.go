package auth

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"rosetree/internal/api"
)

func (a *Auth) adminOperations() []api.Operation[Principal] {
	return []api.Operation[Principal]{
		api.Op("admin.session.list", http.MethodGet, "/api/admin/sessions", a.adminList),
		api.Op("admin.session.revoke", http.MethodDelete, "/api/admin/sessions/{id}", a.adminRevoke),
		api.Op("admin.session.revoke_all", http.MethodPost, "/api/admin/sessions/revoke-all", a.adminRevokeAll).WithStatus(http.StatusOK),
		api.Op("admin.user.revoke", http.MethodDelete, "/api/admin/users/{id}/sessions", a.adminRevokeUser),
		api.Op("admin.revocation.get", http.MethodGet, "/api/admin/revocations/{id}", a.adminReport),
		api.Op("admin.rollout.get", http.MethodGet, "/api/admin/rollout", a.rolloutGet),
		api.Op("admin.rollout.set", http.MethodPut, "/api/admin/rollout", a.rolloutSet),
		api.Op("admin.lockdown.set", http.MethodPut, "/api/admin/lockdown", a.lockdownSet),
		api.Op("admin.audit.list", http.MethodGet, "/api/admin/audit", a.auditList),
	}
}

// SessionFilter picks live sessions, newest use first.
type SessionFilter struct {
	Q      string `json:"q"`    // part of an e-mail address, a name, a device, an address, or a session's id
	User   string `json:"user"` // a user's id
	Auth   Via    `json:"auth"` // "session" or "legacy"; "": both
	Cursor string `json:"cursor"`
	Limit  int    `json:"limit"`
}

// OwnedSession is a live session and whose it is.
type OwnedSession struct {
	sessionView
	User      sessionUser `json:"user"`
	LastFrame *time.Time  `json:"last_frame_at"` // when one of its sockets was last heard; null without one
}

type sessionUser struct {
	ID          UserID `json:"id"`
	Email       string `json:"email"`
	DisplayName string `json:"display_name"`
	Role        Role   `json:"role"`
}

// SessionPage is a part of the list of live sessions.
type SessionPage struct {
	Sessions []OwnedSession `json:"sessions"`
	Next     string         `json:"next,omitempty"` // the cursor of the next page
}

// cursor is where a page ended. It is opaque to clients, and nothing but a position: whoever changes it sees another page.
type cursor struct {
	Seen time.Time `json:"s"`
	ID   SessionID `json:"i"`
}

func (c cursor) String() string {
	b, _ := json.Marshal(c) // a time and a string always encode
	return base64.RawURLEncoding.EncodeToString(b)
}

func parseCursor(s string) (c cursor, err error) {
	if s == "" {
		return cursor{Seen: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	if err != nil || c.Seen.IsZero() {
		return c, api.Invalid("cursor", "is not one that this list gave")
	}
	return c, nil
}

// The index on (last_seen_at, id) of live sessions makes a page cost the same at the beginning and after a hundred thousand.
const selectAdminPage = `SELECT s.id, s.last_seen_at, u.id::text, u.email, u.display_name, u.role
	FROM app.sessions s JOIN app.users u ON u.id = s.user_id
	WHERE s.ended_at IS NULL AND s.expires_at > now() AND s.last_seen_at + s.idle_ms * interval '1 ms' > now()
	  AND (s.last_seen_at, s.id) < ($1, $2)
	  AND ($3 = '' OR s.user_id::text = $3)
	  AND ($4 = '' OR s.id = $5 OR u.email ILIKE $4 OR u.display_name ILIKE $4 OR s.device_name ILIKE $4 OR s.ip ILIKE $4)
	  AND ($7 = '' OR s.via = $7)
	ORDER BY s.last_seen_at DESC, s.id DESC LIMIT $6`

func (a *Auth) adminList(ctx context.Context, p Principal, in SessionFilter) (SessionPage, error) {
	return a.LiveSessions(ctx, in, p.Session)
}

// LiveSessions lists everybody's. current is the caller's own, or "".
func (a *Auth) LiveSessions(ctx context.Context, in SessionFilter, current SessionID) (SessionPage, error) {
	from, err := parseCursor(in.Cursor)
	if err != nil {
		return SessionPage{}, err
	}
	if err := checkText("q", in.Q, 200); err != nil {
		return SessionPage{}, err
	}
	if in.Auth != "" && in.Auth != ViaSession && in.Auth != ViaLegacy {
		return SessionPage{}, api.Invalid("auth", "must be session or legacy")
	}
	limit := in.Limit
	if limit <= 0 || limit > 500 {
		limit = 100
	}
	owners, ids, last, err := a.adminIDs(ctx, in, from, limit)
	if err != nil {
		return SessionPage{}, err
	}
	page := SessionPage{Sessions: []OwnedSession{}}
	if len(ids) == limit {
		page.Next = last.String()
	}
	records, err := a.records(ctx, `id = ANY($1) ORDER BY last_seen_at DESC, id DESC`, ids)
	if err != nil {
		return page, err
	}
	views, err := a.liveViews(ctx, records, current)
	open := a.countEverywhere(ctx, views, true)
	for _, v := range views {
		page.Sessions = append(page.Sessions, OwnedSession{sessionView: v, User: owners[v.ID], LastFrame: open[v.ID].At})
	}
	return page, err
}

func (a *Auth) adminIDs(ctx context.Context, in SessionFilter, from cursor, limit int) (owners map[SessionID]sessionUser, ids []string, last cursor, err error) {
	pattern := ""
	if in.Q != "" {
		pattern = "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(in.Q) + "%"
	}
	owners = map[SessionID]sessionUser{}
	var b pgx.Batch
	b.Queue(selectAdminPage, from.Seen, string(from.ID), in.User, pattern, in.Q, limit, string(in.Auth)).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var u sessionUser
			if err := rows.Scan(&last.ID, &last.Seen, &u.ID, &u.Email, &u.DisplayName, &u.Role); err != nil {
				return err
			}
			owners[last.ID] = u
			ids = append(ids, string(last.ID))
		}
		return rows.Err()
	})
	return owners, ids, last, a.rows.Do(ctx, &b)
}

type adminRevokeInput struct {
	ID     string `json:"id"`
	Reason string `json:"reason"`
	Tell   bool   `json:"tell"` // the reason is shown to those whose sessions end, too
}

// mayAct asks for what every act on others needs: a recent proof of the password, and a reason for the audit log.
func (a *Auth) mayAct(ctx context.Context, p Principal, action string, in adminRevokeInput) error {
	if err := a.requireStepUp(ctx, p); err != nil {
		a.refused(ctx, action, p.User, p.IP, err)
		return err
	}
	if strings.TrimSpace(in.Reason) == "" {
		return api.Invalid("reason", "is missing: it stands in the audit log")
	}
	return checkText("reason", in.Reason, 300)
}

func (a *Auth) adminRevoke(ctx context.Context, p Principal, in adminRevokeInput) (Receipt, error) {
	if err := a.mayAct(ctx, p, "admin.session.revoke", in); err != nil {
		return Receipt{}, err
	}
	records, err := a.records(ctx, `id = $1 AND `+isLive, in.ID)
	if err != nil {
		return Receipt{}, err
	}
	if len(records) == 0 {
		return Receipt{}, errNoSuchSession
	}
	return a.endSession(ctx, records[0].ID, p.asAdmin(), Reason{Text: in.Reason, Tell: in.Tell})
}

func (a *Auth) adminRevokeUser(ctx context.Context, p Principal, in adminRevokeInput) (Receipt, error) {
	if err := a.mayAct(ctx, p, "admin.user.revoke", in); err != nil {
		return Receipt{}, err
	}
	if checkUserID(UserID(in.ID)) != nil {
		return Receipt{}, errNoUser
	}
	if _, err := a.User(ctx, UserID(in.ID)); err != nil {
		return Receipt{}, err
	}
	return a.ends.revoke(ctx, Target{Kind: KindUser, User: UserID(in.ID)}, p.asAdmin(), Reason{Text: in.Reason, Tell: in.Tell})
}

type revokeAllInput struct {
	Reason  string `json:"reason"`
	Tell    bool   `json:"tell"`    // the reason is shown to everybody
	Confirm string `json:"confirm"` // "all": yes, everybody is signed out
}

// adminRevokeAll signs everybody out, the caller too: it is for the day on which nobody knows whose sessions were stolen.
func (a *Auth) adminRevokeAll(ctx context.Context, p Principal, in revokeAllInput) (Receipt, error) {
	if err := a.mayAct(ctx, p, "admin.session.revoke_all", adminRevokeInput{Reason: in.Reason}); err != nil {
		return Receipt{}, err
	}
	if in.Confirm != "all" {
		return Receipt{}, api.Invalid("confirm", "must be all: this signs everybody out, you too")
	}
	return a.ends.revoke(ctx, Target{Kind: KindAll}, p.asAdmin(), Reason{Text: in.Reason, Tell: in.Tell})
}

type reportInput struct {
	ID int64 `json:"id"`
}

func (a *Auth) adminReport(ctx context.Context, _ Principal, in reportInput) (Report, error) {
	return a.ends.receipts.report(ctx, in.ID)
}

func (a *Auth) rolloutGet(context.Context, Principal, struct{}) (RolloutState, error) {
	return a.Rollout()
}

// Rollout is the switches' state, with the guard's last decision.
func (a *Auth) Rollout() (RolloutState, error) {
	s := a.switches.state.Load()
	if s == nil {
		return RolloutState{}, errStarting
	}
	return *s, nil
}

type rolloutInput struct {
	Override
	Reset   bool   `json:"reset"`
	Reason  string `json:"reason"`
	Version int64  `json:"version"` // what the caller has seen; 0: whatever it is
}

func (a *Auth) rolloutSet(ctx context.Context, p Principal, in rolloutInput) (RolloutState, error) {
	if err := a.mayAct(ctx, p, "admin.rollout.set", adminRevokeInput{Reason: in.Reason}); err != nil {
		return RolloutState{}, err
	}
	return a.TurnSwitches(ctx, in.Override, in.Reset, in.Reason, p.asAdmin(), in.Version)
}

type lockdownInput struct {
	Lockdown bool   `json:"lockdown"`
	Reason   string `json:"reason"`
}

func (a *Auth) lockdownSet(ctx context.Context, p Principal, in lockdownInput) (RolloutState, error) {
	if err := a.mayAct(ctx, p, "admin.lockdown.set", adminRevokeInput{Reason: in.Reason}); err != nil {
		return RolloutState{}, err
	}
	return a.TurnSwitches(ctx, Override{Lockdown: &in.Lockdown}, false, in.Reason, p.asAdmin(), 0)
}

// TurnSwitches changes the rollout on all servers, and returns what is in force on this one.
func (a *Auth) TurnSwitches(ctx context.Context, change Override, reset bool, reason string, by Actor, expect int64) (RolloutState, error) {
	var err error
	if reset {
		err = a.switches.reset(ctx, reason, by.String(), by.IP)
	} else {
		err = a.switches.set(ctx, change, reason, by.String(), by.IP, expect)
	}
	if err != nil {
		return RolloutState{}, err
	}
	return a.Rollout()
}

type auditPage struct {
	Entries []AuditEntry `json:"entries"`
	Next    int64        `json:"next,omitempty"` // "before" of the next page
}

func (a *Auth) auditList(ctx context.Context, _ Principal, in AuditFilter) (auditPage, error) {
	if in.Limit <= 0 || in.Limit > 1000 {
		in.Limit = 100
	}
	lines, err := a.auditLog(ctx, in)
	page := auditPage{Entries: lines}
	if page.Entries == nil {
		page.Entries = []AuditEntry{}
	}
	if len(lines) == in.Limit {
		page.Next = lines[len(lines)-1].ID
	}
	return page, err
}

// LiveCount is how many sessions live, and of how many users.
type LiveCount struct{ Sessions, Users int }

// CountLive counts by the durable record.
func (a *Auth) CountLive(ctx context.Context) (n LiveCount, err error) {
	var b pgx.Batch
	b.Queue(`SELECT count(*), count(DISTINCT user_id) FROM app.sessions WHERE ` + isLive).QueryRow(func(row pgx.Row) error {
		return row.Scan(&n.Sessions, &n.Users)
	})
	return n, a.rows.Do(ctx, &b)
}
