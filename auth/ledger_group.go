package auth

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// recordings are the revocations of this server on their way into the ledger. The audit log is a chain: a transaction that adds to it
// holds it until its commit is on disk, and so those of a hundred revocations a second, one by one, take all connections of the pool to
// wait for each other. What comes while others are being written is written together.
type recordings struct {
	mu      sync.Mutex
	waiting []*recording // guarded by mu
	writers int          // guarded by mu
}

const (
	recordWriters = 2   // the next group is made ready while one waits for the disk
	recordGroup   = 100 // revocations in one transaction
)

// recording is a revocation that is being written. It works on a copy of the row.
type recording struct {
	row    *revocation // its id and time are valid after done
	came   time.Time
	joined bool // in one transaction with the one before it
	done   chan struct{}
	ended  int   // sessions whose records were ended; valid after done
	err    error // valid after done
}

// record begins to write rows, all of them in one transaction. A client that goes away does not take its revocation with it.
func (l *ledger) record(rows ...*revocation) (recs []*recording) {
	for i, r := range rows {
		again := *r
		recs = append(recs, &recording{row: &again, came: time.Now(), joined: i > 0, done: make(chan struct{})})
	}
	l.group.mu.Lock()
	defer l.group.mu.Unlock()
	l.group.waiting = append(l.group.waiting, recs...)
	if l.group.writers < recordWriters {
		l.group.writers++
		go l.writeWaiting()
	}
	return recs
}

// next is what is written together; nothing ends the writer.
func (g *recordings) next() (group []*recording) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := whole(g.waiting, min(len(g.waiting), recordGroup))
	if group, g.waiting = g.waiting[:n:n], g.waiting[n:]; n == 0 {
		g.writers--
	}
	return group
}

// whole is n, or a little more where the first n recordings would part what belongs together.
func whole(recs []*recording, n int) int {
	for n < len(recs) && recs[n].joined {
		n++
	}
	return n
}

func (l *ledger) writeWaiting() {
	for group := l.group.next(); len(group) > 0; group = l.group.next() {
		err := l.writeInTime(group)
		if whole(group, 1) == len(group) || !blamesAStatement(err) {
			finish(group, err)
			continue
		}
		for len(group) > 0 { // one of them must not keep the others out
			n := whole(group, 1)
			finish(group[:n], l.writeInTime(group[:n]))
			group = group[n:]
		}
	}
}

func finish(group []*recording, err error) {
	for _, rec := range group {
		rec.err = err
		close(rec.done)
	}
}

// blamesAStatement: what PostgreSQL found wrong may be wrong with one of the revocations alone.
func blamesAStatement(err error) bool {
	_, answered := errors.AsType[*pgconn.PgError](err)
	return answered && (!passing(err) || contended(err))
}

// writeInTime gives up when those who wait have given up.
func (l *ledger) writeInTime(group []*recording) error {
	ctx, cancel := context.WithDeadline(context.Background(), group[0].came.Add(recordLimit))
	defer cancel()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return l.write(ctx, group)
}

// write records revocations, the end of the sessions' own records and the acts, in one transaction. A trigger tells every server. It
// fills in the rows' ids and how many sessions' records were ended.
func (l *ledger) write(ctx context.Context, group []*recording) error {
	var b pgx.Batch
	for _, rec := range group {
		rec.ended = 0
		queueRevocations(&b, []*revocation{rec.row}, &rec.ended)
	}
	for _, rec := range group {
		rec.row.line(false).Queue(&b)
	}
	return l.rows.Do(ctx, &b)
}

func (rec *recording) wait(d time.Duration) {
	select {
	case <-rec.done:
	case <-time.After(d):
	}
}

// id is 0 while the row is not known to be durable.
func (rec *recording) id() int64 {
	select {
	case <-rec.done:
		if rec.err == nil {
			return rec.row.ID
		}
	default:
	}
	return 0
}
