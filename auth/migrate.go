package auth

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"rosetree/internal/api"
)

// MigrateLegacy makes a session for every live legacy session that has none, with its remaining life. Its client goes on with the
// legacy token; when it exchanges that, it gets this session. Running it again makes nothing twice.
func (a *Auth) MigrateLegacy(ctx context.Context, perSecond int, report func(Progress)) (Progress, error) {
	// legacy_id <> '' says nothing new, and lets the planner take the index that has only those.
	where := `via = 'legacy' AND NOT EXISTS (SELECT FROM app.sessions m WHERE m.legacy_id = app.sessions.id AND m.legacy_id <> '')`
	return a.eachRecord(ctx, where, perSecond, report, a.migrate)
}

func (a *Auth) migrate(ctx context.Context, r sessionRecord) (made bool, err error) {
	u, err := a.people.active(ctx, r.User)
	if errors.Is(err, errDisabled) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	held := Principal{User: r.User, Session: r.ID, IssuedAt: r.IssuedAt}
	if _, denied := a.ends.denied.check(held); denied {
		return false, nil
	}
	live, err := a.sessions.ofUser(ctx, a.keys.utag(u.ID))
	if err != nil || len(live) >= a.cfg.SessionsPerUser {
		return false, err // one more would sign a living one out; this one is made when its client asks for it
	}
	now := a.clock.now()
	s := Session{User: u.ID, Role: u.Role, IssuedAt: now, AuthAt: r.AuthAt, SeenAt: now, Ends: r.Ends,
		Idle:   r.Ends.Sub(now), // its client does not know of it yet and cannot keep it awake
		Device: r.Device, UserAgent: r.UserAgent, IP: r.IP, Legacy: r.ID}
	basis, t := proof{user: u, held: &held}, a.keys.exchangeToken(u.ID, r.ID)
	_, err = a.open(ctx, basis, s, t, r.ID, "session.migrate")
	switch {
	case errors.Is(err, errExchanged):
		return a.migrateRecord(ctx, basis, t.id)
	case errors.Is(err, errExchangedOver) || errors.Is(err, errSessionOver):
		return false, nil
	}
	return err == nil, err
}

// migrateRecord finishes what a run left that was killed between Redis and PostgreSQL.
func (a *Auth) migrateRecord(ctx context.Context, basis proof, id SessionID) (made bool, err error) {
	live, err := a.sessions.lookup(ctx, id)
	if errors.Is(err, errNoSession) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	made, err = a.recordLate(ctx, basis, live, "session.migrate")
	if errors.Is(err, errSessionOver) {
		return false, nil
	}
	return made, err
}

func (a *Auth) countRecords(ctx context.Context, where string) (n int, err error) {
	var b pgx.Batch
	b.Queue(`SELECT count(*) FROM app.sessions WHERE ` + where).QueryRow(func(row pgx.Row) error { return row.Scan(&n) })
	return n, a.rows.Do(ctx, &b)
}

// legacyLine is one live session of the old program, as it is handed over: one JSON object a line.
type legacyLine struct {
	ID        string    `json:"id"` // session_id of its tokens
	UserID    string    `json:"user_id"`
	Email     string    `json:"email"`
	Name      string    `json:"name"`
	Role      string    `json:"role"` // "admin", or anything else for a user
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`
	Device    Device    `json:"device"`
	UserAgent string    `json:"user_agent"`
	IP        string    `json:"ip"`
}

const maxLegacyLine = 64 << 10

// ImportLegacy records the old program's live sessions, so that MigrateLegacy finds them. Lines that are wrong are all named, and then
// nothing is recorded; lines that were imported before change nothing.
func (a *Auth) ImportLegacy(ctx context.Context, from io.Reader) (imported int, err error) {
	lines, err := parseLegacyLines(from)
	if err != nil {
		return 0, err
	}
	for _, l := range lines {
		u, err := a.provision(ctx, legacyClaims{RegisteredClaims: jwt.RegisteredClaims{Subject: l.UserID}, Email: l.Email,
			AppMetadata: legacyMetadata{Role: l.Role}, Metadata: legacyMetadata{Name: l.Name}})
		if err != nil {
			return imported, err
		}
		n, err := a.recordLegacy(ctx, u, l)
		if err != nil {
			return imported, err
		}
		imported += n
	}
	return imported, nil
}

func (a *Auth) recordLegacy(ctx context.Context, u User, l legacyLine) (n int, err error) {
	s := Session{ID: SessionID(l.ID), User: u.ID, IssuedAt: l.CreatedAt, AuthAt: l.CreatedAt, Ends: l.ExpiresAt, Idle: l.ExpiresAt.Sub(l.CreatedAt),
		Device: l.Device, UserAgent: shorten(l.UserAgent, 256), IP: shorten(l.IP, 64)}
	var b pgx.Batch
	b.Queue(insertSession+` ON CONFLICT (id) DO NOTHING RETURNING 1`, s.row(ViaLegacy)...).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			n++
		}
		return rows.Err()
	})
	return n, a.rows.Do(ctx, &b)
}

func parseLegacyLines(from io.Reader) (lines []legacyLine, err error) {
	var wrong []error
	scan := bufio.NewScanner(from)
	scan.Buffer(make([]byte, 4096), maxLegacyLine)
	for n := 1; scan.Scan(); n++ {
		text := bytes.TrimSpace(scan.Bytes())
		if len(text) == 0 {
			continue
		}
		l, err := parseLegacyLine(text)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("line %d: %w", n, err))
			continue
		}
		lines = append(lines, l)
	}
	return lines, errors.Join(append(wrong, scan.Err())...)
}

func parseLegacyLine(text []byte) (legacyLine, error) {
	var l legacyLine
	if err := api.Decode(json.RawMessage(text), &l); err != nil {
		return l, err
	}
	id, err := uuid.Parse(l.UserID)
	switch {
	case err != nil:
		return l, errors.New("user_id is not a UUID")
	case l.ID == "" || len(l.ID) > 64 || strings.Trim(l.ID, legacyIDAlphabet) != "" || isSessionID(l.ID):
		return l, errors.New("id is not a legacy session's")
	case l.ExpiresAt.IsZero() || l.CreatedAt.IsZero() || !l.ExpiresAt.After(l.CreatedAt):
		return l, errors.New("created_at and expires_at are not in this order")
	}
	l.UserID = id.String()
	return l, errors.Join(checkText("device.name", l.Device.Name, 100), checkText("device.platform", l.Device.Platform, 50),
		checkText("user_agent", l.UserAgent, 10_000), checkText("ip", l.IP, 64), checkText("name", l.Name, 100))
}
