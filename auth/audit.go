package auth

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"github.com/jackc/pgx/v5"
)

// AuditEntry is one line of the audit log: who did what to whom, from where, and how it ended. The log is append-only, and a trigger
// chains each line's hash to the one before. It is written in the transaction of the act that it tells of.
type AuditEntry struct {
	ID      int64          `json:"id"`
	At      time.Time      `json:"at"`
	Actor   string         `json:"actor"`   // a user's id, or "system", "cli"
	Action  string         `json:"action"`  // "login", "session.revoke", "rollout.set"
	Subject string         `json:"subject"` // whom or what it was done to
	IP      string         `json:"ip"`
	Outcome string         `json:"outcome"` // "ok", "refused", "failed"
	Detail  map[string]any `json:"detail"`
}

const auditSQL = `INSERT INTO app.audit (actor, action, subject, ip, outcome, detail) VALUES ($1, $2, $3, $4, $5, $6)`

// Queue adds the line to a transaction. It should be the last statement: the chain makes writers wait for each other until they commit.
func (e AuditEntry) Queue(b *pgx.Batch) {
	detail := e.Detail
	if detail == nil {
		detail = map[string]any{}
	}
	b.Queue(auditSQL, e.Actor, e.Action, e.Subject, e.IP, e.Outcome, detail)
}

// note writes a line for an act that changed nothing, such as a refused log-in. It is not lost silently.
func (a *Auth) note(ctx context.Context, e AuditEntry) {
	var b pgx.Batch
	e.Queue(&b)
	if err := a.rows.Do(ctx, &b); err != nil {
		a.log.Error("audit: not written", "action", e.Action, "actor", e.Actor, "outcome", e.Outcome, "cause", err)
	}
}

// AuditFilter picks lines; empty fields pick all. Lines come newest first, below Before where it is set.
type AuditFilter struct {
	Actor   string `json:"actor"`
	Action  string `json:"action"`
	Subject string `json:"subject"`
	Outcome string `json:"outcome"`
	Before  int64  `json:"before"`
	Limit   int    `json:"limit"`
}

const selectAudit = `SELECT id, at, actor, action, subject, ip, outcome, detail FROM app.audit
	WHERE ($1 = '' OR actor = $1) AND ($2 = '' OR action = $2) AND ($3 = '' OR subject = $3) AND ($4 = '' OR outcome = $4)
	  AND ($5::bigint = 0 OR id < $5) ORDER BY id DESC LIMIT $6`

// auditLog reads the log.
func (a *Auth) auditLog(ctx context.Context, f AuditFilter) (lines []AuditEntry, err error) {
	if f.Limit <= 0 || f.Limit > 1000 {
		f.Limit = 100
	}
	var b pgx.Batch
	b.Queue(selectAudit, f.Actor, f.Action, f.Subject, f.Outcome, f.Before, f.Limit).Query(func(rows pgx.Rows) (err error) {
		lines, err = pgx.CollectRows(rows, scanAudit)
		return err
	})
	return lines, a.rows.Do(ctx, &b)
}

// NewestAudit is the id of the log's newest line. Ids have no gaps and come in the order of the commits, so another one means more lines.
func (a *Auth) NewestAudit(ctx context.Context) (id int64, err error) {
	var b pgx.Batch
	b.Queue(`SELECT coalesce(max(id), 0) FROM app.audit`).QueryRow(func(row pgx.Row) error { return row.Scan(&id) })
	return id, a.rows.Do(ctx, &b)
}

func scanAudit(row pgx.CollectableRow) (e AuditEntry, err error) {
	var detail []byte
	if err = row.Scan(&e.ID, &e.At, &e.Actor, &e.Action, &e.Subject, &e.IP, &e.Outcome, &detail); err != nil {
		return e, err
	}
	return e, json.Unmarshal(detail, &e.Detail)
}

// VerifyAudit checks the chain from its beginning and returns the first line that does not fit, or 0, and how many lines there are.
func (a *Auth) VerifyAudit(ctx context.Context) (broken, lines int64, err error) {
	var b pgx.Batch
	b.Queue(`SELECT coalesce(app.audit_break(), 0), (SELECT count(*) FROM app.audit)`).QueryRow(func(row pgx.Row) error {
		return row.Scan(&broken, &lines)
	})
	return broken, lines, a.rows.Do(ctx, &b)
}

// auditLine is an entry as it is exported: with the chain, so that whoever holds an export can tell later whether the log was changed.
type auditLine struct {
	AuditEntry
	PrevHash string `json:"prev_hash"`
	Hash     string `json:"hash"`
}

const (
	selectExport = `SELECT id, at, actor, action, subject, ip, outcome, detail, encode(prev_hash, 'hex'), encode(hash, 'hex')
	FROM app.audit WHERE id > $1 ORDER BY id LIMIT $2`
	exportPage = 1000
)

// ExportAudit writes the log after line after, oldest first, one JSON object a line.
func (a *Auth) ExportAudit(ctx context.Context, w io.Writer, after int64) (lines int, err error) {
	out := json.NewEncoder(w)
	for {
		page, err := a.auditLines(ctx, after)
		if err != nil {
			return lines, err
		}
		for _, l := range page {
			if err := out.Encode(l); err != nil {
				return lines, err
			}
			after = l.ID
			lines++
		}
		if len(page) < exportPage {
			return lines, nil
		}
	}
}

func (a *Auth) auditLines(ctx context.Context, after int64) (page []auditLine, err error) {
	var b pgx.Batch
	b.Queue(selectExport, after, exportPage).Query(func(rows pgx.Rows) (err error) {
		page, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (l auditLine, err error) {
			var detail []byte
			if err = row.Scan(&l.ID, &l.At, &l.Actor, &l.Action, &l.Subject, &l.IP, &l.Outcome, &detail, &l.PrevHash, &l.Hash); err != nil {
				return l, err
			}
			return l, json.Unmarshal(detail, &l.Detail)
		})
		return err
	})
	return page, a.rows.Do(ctx, &b)
}
