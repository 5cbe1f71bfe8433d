package auth

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"rosetree/internal/api"
)

// Receipt is the answer to a revocation.
type Receipt struct {
	ID       int64  `json:"id"`       // in the ledger; 0 while PostgreSQL has not taken it
	Durable  bool   `json:"durable"`  // in PostgreSQL: it outlives Redis, a restart and a restore
	Redis    string `json:"redis"`    // "ok", or "pending": it is deleted there before Redis is trusted again
	Sessions int    `json:"sessions"` // how many sessions ended
	Sockets  int    `json:"sockets"`  // closed on the server that answers; the others' are in the report
}

// Report is what each server did about a revocation.
type Report struct {
	ID      int64          `json:"id"`
	Kind    Kind           `json:"kind"`
	Subject string         `json:"subject"`
	Reason  string         `json:"reason"`
	Actor   string         `json:"actor"`
	At      time.Time      `json:"at"`
	Servers []ServerReport `json:"servers"`
}

// ServerReport is one server's part.
type ServerReport struct {
	Server  string    `json:"server"`
	Sockets int       `json:"sockets"`
	Millis  float64   `json:"ms"`         // from the revocation to the last socket's end, by PostgreSQL's clock; without sockets: until the server knew
	Each    []float64 `json:"sockets_ms"` // the same for each socket, the first of them where there are many
	Via     string    `json:"via"`        // how the server learnt of it: keyspace, feed, poll, sweep, local
	At      time.Time `json:"at"`
}

const (
	receiptPause = 25 * time.Millisecond // receipts of this time share one INSERT
	endsLife     = time.Minute           // how long an end waits for its row in the ledger
	maxReceipts  = 10_000
	mostSockets  = 100 // of a receipt are told one by one
)

// receipts counts, for each row of the ledger, the sockets that this server closed for it. A socket may have been
// closed before the row was heard of: the event from Redis is usually the faster messenger.
type receipts struct {
	// fixed after newReceipts
	rows   Rows
	server string
	clock  func(time.Time) time.Time // to PostgreSQL's clock
	log    *slog.Logger
	met    *ledgerMetrics
	wake   chan struct{}
	recent *window // of the last minute, how long revocations took to close sockets here

	mu   sync.Mutex
	ends map[SessionID]ended // guarded by mu
	out  []receipt           // guarded by mu: to be written
}

// ended is a session that ended on this server.
type ended struct {
	who    Principal
	closed []time.Time // each socket
	heard  string
	at     time.Time
}

// receipt is a ServerReport on its way into the database.
type receipt struct {
	revocation int64
	ServerReport
}

func newReceipts(rows Rows, server string, clock func(time.Time) time.Time, log *slog.Logger, met *ledgerMetrics) *receipts {
	return &receipts{rows: rows, server: server, clock: clock, log: log, met: met, wake: make(chan struct{}, 1), recent: newWindow(), ends: map[SessionID]ended{}}
}

// note remembers the end of a session's sockets.
func (rc *receipts) note(p Principal, heard string, closed []time.Time) {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	rc.ends[p.Session] = ended{p, closed, heard, time.Now()}
}

// sockets counts what this server closed for r, by whatever news.
func (rc *receipts) sockets(r *revocation) (sockets int) {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	for _, e := range rc.about(r) {
		sockets += len(e.closed)
	}
	return sockets
}

// issue makes this server's receipt for r.
func (rc *receipts) issue(r *revocation, heard string) {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	own := receipt{r.ID, ServerReport{Server: rc.server, Via: heard}}
	last := time.Now()
	var closed []time.Time
	for _, e := range rc.about(r) {
		if len(closed) == 0 {
			last, own.Via = e.at, e.heard
		}
		closed = append(closed, e.closed...)
		if e.at.After(last) {
			last = e.at
		}
	}
	took := rc.since(r, last)
	own.Sockets, own.Millis = len(closed), millis(took)
	slices.SortFunc(closed, time.Time.Compare)
	for _, at := range closed[:min(len(closed), mostSockets)] {
		own.Each = append(own.Each, millis(rc.since(r, at)))
	}
	if own.Sockets > 0 {
		rc.met.took.WithLabelValues(own.Via).Observe(took.Seconds())
		rc.recent.record(false, took)
	}
	if r.ID != 0 && len(rc.out) < maxReceipts {
		rc.out = append(rc.out, own)
		select {
		case rc.wake <- struct{}{}:
		default:
		}
	}
}

// since is how long after r something happened, by PostgreSQL's clock.
func (rc *receipts) since(r *revocation, at time.Time) time.Duration {
	return max(rc.clock(at).Sub(r.At), 0)
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// about are the ends that r explains. The caller holds mu.
func (rc *receipts) about(r *revocation) []ended {
	if r.Kind == KindSession || r.Kind == KindToken {
		if e, ok := rc.ends[SessionID(r.Subject)]; ok {
			return []ended{e}
		}
		return nil
	}
	var found []ended
	for _, e := range rc.ends {
		if r.covers(e.who) {
			found = append(found, e)
		}
	}
	return found
}

// run writes receipts until ctx ends.
func (rc *receipts) run(ctx context.Context) {
	forget := time.NewTicker(endsLife / 4)
	defer forget.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-forget.C:
			rc.forget(time.Now().Add(-endsLife))
		case <-rc.wake:
			pause(ctx, receiptPause)
			if err := rc.write(ctx); err != nil && ctx.Err() == nil {
				rc.log.Warn("revocations: receipts", "cause", err)
				pause(ctx, time.Second)
			}
		}
	}
}

func (rc *receipts) forget(before time.Time) {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	for id, e := range rc.ends {
		if e.at.Before(before) {
			delete(rc.ends, id)
		}
	}
}

const insertReceipts = `INSERT INTO app.revocation_receipts (revocation_id, server, sockets, ms, socket_ms, via)
	SELECT r.id, $2, t.sockets, t.ms, t.each::float8[], t.via
	FROM unnest($1::bigint[], $3::int[], $4::float8[], $5::text[], $6::text[]) AS t (id, sockets, ms, each, via)
	JOIN app.revocations r ON r.id = t.id
	ON CONFLICT DO NOTHING`

// arrayText is PostgreSQL's text of an array: receipts with different numbers of sockets fit in no array of arrays.
func arrayText(all []float64) string {
	text := []byte{'{'}
	for i, f := range all {
		if i > 0 {
			text = append(text, ',')
		}
		text = strconv.AppendFloat(text, f, 'f', -1, 64)
	}
	return string(append(text, '}'))
}

func (rc *receipts) write(ctx context.Context) error {
	rc.mu.Lock()
	out := rc.out
	rc.out = nil
	rc.mu.Unlock()
	if len(out) == 0 {
		return nil
	}
	ids, sockets, ms, each, via := make([]int64, len(out)), make([]int32, len(out)), make([]float64, len(out)), make([]string, len(out)), make([]string, len(out))
	for i, o := range out {
		ids[i], sockets[i], ms[i], each[i], via[i] = o.revocation, int32(o.Sockets), o.Millis, arrayText(o.Each), o.Via
	}
	var b pgx.Batch
	b.Queue(insertReceipts, ids, rc.server, sockets, ms, each, via)
	err := rc.rows.Do(ctx, &b)
	if err != nil { // they are still true: try again with the next ones
		rc.mu.Lock()
		rc.out = append(out, rc.out...)
		rc.mu.Unlock()
		select {
		case rc.wake <- struct{}{}:
		default:
		}
	}
	return err
}

// report reads what all servers have said so far.
func (rc *receipts) report(ctx context.Context, id int64) (Report, error) {
	var rep Report
	found := false
	var b pgx.Batch
	b.Queue(`SELECT id, kind, subject, reason, actor, at FROM app.revocations WHERE id = $1`, id).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			found = true
			if err := rows.Scan(&rep.ID, &rep.Kind, &rep.Subject, &rep.Reason, &rep.Actor, &rep.At); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	b.Queue(`SELECT server, sockets, coalesce(ms, 0)::float8, socket_ms, via, at FROM app.revocation_receipts WHERE revocation_id = $1 ORDER BY server`, id).
		Query(func(rows pgx.Rows) (err error) {
			rep.Servers, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (s ServerReport, err error) {
				return s, row.Scan(&s.Server, &s.Sockets, &s.Millis, &s.Each, &s.Via, &s.At)
			})
			return err
		})
	if err := rc.rows.Do(ctx, &b); err != nil {
		return Report{}, err
	}
	if !found {
		return Report{}, api.NotFound("revocation")
	}
	return rep, nil
}
