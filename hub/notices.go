package hub

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"rosetree/auth"
	"rosetree/internal/api"
)

// NoticesTopic is the channel of notices.
const NoticesTopic = "notices"

// noticeEvery is how soon every server shows a notice, or takes it away. The table is read rather than listened
// to, because a notice may be planned ahead and then begins by the clock.
const noticeEvery = time.Second

const longestNotice = 1000 // characters

// noticeHistory is how long the status page tells of a notice that is over.
const noticeHistory = 14 * 24 * time.Hour

// Notices are the operators' messages to everyone.
type Notices struct {
	rows auth.Rows
	log  *slog.Logger

	// guarded by mu
	mu    sync.Mutex
	shown map[string]Notice
	board []PlannedNotice // all that may still interest, by their beginning; nil until they were read once
}

// NewNotices reads and writes with rows, which must be the auth service's.
func NewNotices(rows auth.Rows, log *slog.Logger) *Notices {
	return &Notices{rows: rows, log: log, shown: map[string]Notice{}}
}

// PlannedNotice is a notice as operators see it.
type PlannedNotice struct {
	ID    string     `json:"id"`
	Level string     `json:"level"` // info, warning, critical
	Text  string     `json:"text"`
	From  time.Time  `json:"from"`
	Until *time.Time `json:"until"`
}

// Topic is the channel by which notices reach connections.
func (n *Notices) Topic() Topic {
	return Topic{Name: NoticesTopic, Now: func(context.Context, auth.Principal) ([]any, error) {
		n.mu.Lock()
		defer n.mu.Unlock()
		all := make([]any, 0, len(n.shown))
		for _, notice := range n.shown {
			all = append(all, notice)
		}
		return all, nil
	}}
}

// Run keeps what is shown to what is planned, and publishes the difference, until ctx ends.
func (n *Notices) Run(ctx context.Context, publish func(Notice)) error {
	tick := time.NewTicker(noticeEvery)
	defer tick.Stop()
	failing := false
	for {
		all, err := n.read(ctx, selectBoard, noticeHistory)
		if (err != nil) != failing && ctx.Err() == nil {
			failing = err != nil
			n.log.Warn("notices", "readable", !failing, "cause", err)
		}
		if err == nil {
			for _, notice := range n.change(all, time.Now()) {
				publish(notice)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// ShowNotice tells every connection that follows notices.
func (h *Hub) ShowNotice(n Notice) { h.Publish(NoticesTopic, n) }

// change takes what all of them show now for shown and returns what followers must be told: what is new, and, with an
// end that has passed, what was taken away before its time.
func (n *Notices) change(all []PlannedNotice, now time.Time) (news []Notice) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.board = all
	next := make(map[string]Notice, len(all))
	for _, p := range all {
		if p.From.After(now) || p.over(now) {
			continue
		}
		next[p.ID] = Notice{Type: "notice", ID: p.ID, Level: p.Level, Text: p.Text, Until: p.Until}
		if _, known := n.shown[p.ID]; !known {
			news = append(news, next[p.ID])
		}
	}
	for id, old := range n.shown {
		if _, still := next[id]; !still {
			old.Until = &now
			news = append(news, old)
		}
	}
	n.shown = next
	return news
}

func (p PlannedNotice) over(now time.Time) bool { return p.Until != nil && !p.Until.After(now) }

const (
	selectNotices = `SELECT id::text, level, text, from_at, until FROM app.notices WHERE coalesce(until > now(), true) ORDER BY from_at, id`
	selectBoard   = `SELECT id::text, level, text, from_at, until FROM app.notices WHERE coalesce(until > now() - $1::interval, true) ORDER BY from_at, id`
)

func (n *Notices) read(ctx context.Context, sql string, args ...any) (all []PlannedNotice, err error) {
	var b pgx.Batch
	b.Queue(sql, args...).Query(func(rows pgx.Rows) (err error) {
		all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (p PlannedNotice, err error) {
			return p, row.Scan(&p.ID, &p.Level, &p.Text, &p.From, &p.Until)
		})
		return err
	})
	return all, n.rows.Do(ctx, &b)
}

// Operations are what admins do with notices.
func (n *Notices) Operations() []api.Operation[auth.Principal] {
	return []api.Operation[auth.Principal]{
		api.As(api.Op("admin.notice.list", "GET", "/api/admin/notices", n.list), auth.RequireAdmin),
		api.As(api.Op("admin.notice.add", "POST", "/api/admin/notices", n.add), auth.RequireAdmin),
		api.As(api.Op("admin.notice.delete", "DELETE", "/api/admin/notices/{id}", n.remove), auth.RequireAdmin),
	}
}

type noticeList struct {
	Notices []PlannedNotice `json:"notices"` // shown now and planned
}

func (n *Notices) list(ctx context.Context, _ auth.Principal, _ struct{}) (noticeList, error) {
	all, err := n.read(ctx, selectNotices)
	if all == nil {
		all = []PlannedNotice{}
	}
	return noticeList{all}, err
}

type noticeInput struct {
	Level string     `json:"level"`
	Text  string     `json:"text"`
	From  *time.Time `json:"from"` // missing: now
	Until *time.Time `json:"until"`
}

func (in *noticeInput) check(now time.Time) error {
	if in.Level == "" {
		in.Level = "info"
	}
	if in.From == nil {
		in.From = &now
	}
	switch length := utf8.RuneCountInString(in.Text); {
	case in.Level != "info" && in.Level != "warning" && in.Level != "critical":
		return api.Invalid("level", "must be info, warning or critical")
	case strings.TrimSpace(in.Text) == "":
		return api.Invalid("text", "is missing")
	case length > longestNotice || !utf8.ValidString(in.Text):
		return api.Invalid("text", "must be at most %d characters of text", longestNotice)
	case in.Until != nil && !in.Until.After(*in.From):
		return api.Invalid("until", "must be after the notice begins")
	case in.Until != nil && !in.Until.After(now):
		return api.Invalid("until", "has passed")
	}
	return nil
}

func (n *Notices) add(ctx context.Context, p auth.Principal, in noticeInput) (PlannedNotice, error) {
	if err := in.check(time.Now().UTC()); err != nil {
		return PlannedNotice{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return PlannedNotice{}, err
	}
	notice := PlannedNotice{ID: id.String(), Level: in.Level, Text: in.Text, From: *in.From, Until: in.Until}
	var b pgx.Batch
	b.Queue(`INSERT INTO app.notices (id, level, text, from_at, until) VALUES ($1, $2, $3, $4, $5)`,
		notice.ID, notice.Level, notice.Text, notice.From, notice.Until)
	auth.AuditEntry{Actor: string(p.User), Action: "notice.add", Subject: notice.ID, IP: p.IP, Outcome: "ok",
		Detail: map[string]any{"level": notice.Level, "text": notice.Text}}.Queue(&b)
	return notice, n.rows.Do(ctx, &b)
}

func (n *Notices) remove(ctx context.Context, p auth.Principal, in struct {
	ID string `json:"id"`
}) (api.None, error) {
	if _, err := uuid.Parse(in.ID); err != nil {
		return api.None{}, api.NotFound("notice")
	}
	return api.None{}, n.rows.Tx(ctx, func(tx pgx.Tx) error {
		// What was shown stays in the status page's history; what was only planned never happened.
		ended, err := tx.Exec(ctx, `UPDATE app.notices SET until = now() WHERE id = $1 AND from_at <= now() AND coalesce(until > now(), true)`, in.ID)
		if err == nil && ended.RowsAffected() == 0 {
			ended, err = tx.Exec(ctx, `DELETE FROM app.notices WHERE id = $1 AND from_at > now()`, in.ID)
		}
		if err != nil {
			return err
		}
		if ended.RowsAffected() == 0 {
			return api.NotFound("notice")
		}
		var b pgx.Batch
		auth.AuditEntry{Actor: string(p.User), Action: "notice.delete", Subject: in.ID, IP: p.IP, Outcome: "ok"}.Queue(&b)
		return tx.SendBatch(ctx, &b).Close()
	})
}
