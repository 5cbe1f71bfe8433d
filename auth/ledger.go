package auth

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// ledger is the durable record of revocations in PostgreSQL, and its feed into this server's memory.
//
// The feed hears NOTIFY and reads each second all the same. Ids are given out before their transaction commits, so
// a smaller one may appear after a larger: the ids between are remembered as gaps and asked for until they appear
// or must have been rolled back.
type ledger struct {
	// fixed after newLedger
	rows     Rows
	listen   func(ctx context.Context, channel string, heard func(payload string)) error
	denied   *denylist
	apply    func(r *revocation, heard string) // ends the sockets that r is about
	switched func()                            // the rollout's row has changed
	journal  *journal                          // what PostgreSQL could not take
	log      *slog.Logger
	met      *ledgerMetrics
	kick     chan struct{}
	group    recordings

	mu        sync.Mutex
	loaded    bool                // guarded by mu
	listening bool                // guarded by mu
	high      int64               // guarded by mu: the largest id that was read
	gaps      map[int64]time.Time // guarded by mu: ids below high that were not there, and since when
	proof     time.Time           // guarded by mu: everything committed before this instant has been read
}

const (
	newsChannel = "rt_auth"              // written by a trigger on app.revocations and app.rollout
	feedEvery   = time.Second            // between two reads while NOTIFY is heard
	feedAlone   = 250 * time.Millisecond // and while it is not
	feedFresh   = 2 * time.Second        // a proof older than this is none
	gapLife     = time.Minute            // no transaction that writes here lasts longer
	gapReach    = 1000                   // ids before the newest that may still be uncommitted when the server starts
	reloadEvery = 5 * time.Minute        // all rows again: for a transaction that did last longer
	forgetEvery = 10 * time.Minute
)

func newLedger(rows Rows, listen func(context.Context, string, func(string)) error, denied *denylist, log *slog.Logger, met *ledgerMetrics) *ledger {
	return &ledger{rows: rows, listen: listen, denied: denied, log: log, met: met, apply: func(*revocation, string) {}, switched: func() {},
		kick: make(chan struct{}, 1), gaps: map[int64]time.Time{}}
}

// fresh says whether the feed has read everything up to now, give or take feedFresh.
func (l *ledger) fresh() bool { return time.Since(l.proven()) <= feedFresh }

func (l *ledger) proven() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.proof
}

// isLoaded says whether this server knows what was revoked before it started. Until then nobody is let in.
func (l *ledger) isLoaded() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.loaded
}

func (l *ledger) clock() *clock { return &l.rows.db.clock }

// run feeds the denylist until ctx ends.
func (l *ledger) run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { l.hear(ctx) })
	forget, reload := time.NewTicker(forgetEvery), time.NewTicker(reloadEvery)
	defer forget.Stop()
	defer reload.Stop()
	next := time.NewTimer(0)
	defer next.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-forget.C:
			l.denied.forget(l.clock().now())
			if err := l.forget(ctx); err != nil && ctx.Err() == nil {
				l.log.Warn("revocations: past rows are not deleted", "cause", err)
			}
			continue
		case <-reload.C:
			l.reload()
		case <-l.kick:
		case <-next.C:
		}
		err := l.step(ctx)
		if (err != nil) != failing && ctx.Err() == nil {
			failing = err != nil
			l.log.Warn("revocations: the ledger in PostgreSQL", "readable", !failing, "cause", err)
		}
		next.Reset(l.pause())
	}
}

func (l *ledger) pause() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.listening {
		return feedEvery
	}
	return feedAlone
}

// hear kicks the reader at each NOTIFY. A connection that is lost is made again; what it missed is read at once.
func (l *ledger) hear(ctx context.Context) {
	for ctx.Err() == nil {
		err := l.listen(ctx, newsChannel, l.news)
		l.setListening(false)
		if ctx.Err() == nil {
			l.log.Warn("revocations: no NOTIFY from PostgreSQL, reading the ledger more often", "cause", err)
		}
		pause(ctx, time.Second)
	}
}

// news is called with "" when LISTEN holds, and then with the name of each table that has changed.
func (l *ledger) news(table string) {
	l.setListening(true)
	if table == "rollout" || table == "" {
		l.switched()
	}
	if table != "rollout" {
		l.wake()
	}
}

func (l *ledger) wake() {
	select {
	case l.kick <- struct{}{}:
	default: // a read is due anyway, and it will see everything committed by now
	}
}

func (l *ledger) setListening(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.listening = on
}

// reload has the next step read every row again.
func (l *ledger) reload() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.high, l.gaps = 0, map[int64]time.Time{}
}

// step writes what waits to be written and reads what is new. Before it reads for the first time, it asks Redis for
// revocations that PostgreSQL has not taken yet; one that Redis cannot tell now takes effect when it can.
func (l *ledger) step(ctx context.Context) error {
	if !l.isLoaded() {
		if err := l.journal.read(ctx); err != nil {
			l.log.Warn("revocations: the journal in Redis cannot be read", "cause", err)
		}
	}
	if err := l.writeJournal(ctx); err != nil {
		return err
	}
	return l.read(ctx)
}

// A reason for each least: infinity, which a person may write, is no time.Time.
const revocationColumns = `id, kind, subject, keep, least(coalesce(not_before, at), clock_timestamp() + interval '10 years'),
	reason, actor, at, least(until, clock_timestamp() + interval '10 years')`

const selectNews = `SELECT ` + revocationColumns + ` FROM app.revocations WHERE id > $1 OR id = ANY ($2) ORDER BY id`

// selectAll also brings what ended on the last day by PostgreSQL's clock, which may be ahead, and the ids just below the
// newest, so that gaps in them are seen.
const selectAll = `SELECT ` + revocationColumns + ` FROM app.revocations
	WHERE until > clock_timestamp() - interval '1 day' OR id > (SELECT max(id) - $1 FROM app.revocations) ORDER BY id`

func (l *ledger) read(ctx context.Context) error {
	l.mu.Lock()
	high, gaps := l.high, make([]int64, 0, len(l.gaps))
	for id := range l.gaps {
		gaps = append(gaps, id)
	}
	l.mu.Unlock()

	began := time.Now()
	var shows time.Time
	var found []*revocation
	collect := func(rows pgx.Rows) (err error) {
		found, err = pgx.CollectRows(rows, scanRevocation)
		return err
	}
	var b pgx.Batch
	b.Queue(`SELECT clock_timestamp()`).QueryRow(func(row pgx.Row) error { return row.Scan(&shows) })
	if high == 0 {
		b.Queue(selectAll, gapReach).Query(collect)
	} else {
		b.Queue(selectNews, high, gaps).Query(collect)
	}
	if err := l.rows.Do(ctx, &b); err != nil {
		return fmt.Errorf("auth: read the ledger: %w", err)
	}
	l.took(found, began, shows)
	return nil
}

func scanRevocation(row pgx.CollectableRow) (*revocation, error) {
	r := new(revocation)
	return r, row.Scan(&r.ID, &r.Kind, &r.Subject, &r.Keep, &r.NotBefore, &r.Reason, &r.Actor, &r.At, &r.Until)
}

// took believes what a read brought, in this order: the denylist, then the sockets, then the proof that says so.
func (l *ledger) took(found []*revocation, began, shows time.Time) {
	l.clock().took(shows, began)
	l.mu.Lock()
	first := !l.loaded
	l.fill(found, began)
	l.giveUp(began)
	l.mu.Unlock()
	now := l.clock().now()
	for _, r := range l.denied.add(found...) {
		if r.Until.Before(now) {
			continue
		}
		heard := "feed"
		if first {
			heard = "start" // what was revoked before this server began needs no receipt of it
		}
		l.apply(r, heard)
	}
	l.denied.ready.Store(true)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.loaded, l.proof = true, began
	l.met.rows.Set(float64(l.denied.len()))
	l.met.proof.Set(float64(began.UnixMilli()) / 1000)
}

// fill moves high and the gaps forward. found is in the order of ids. The caller holds mu.
func (l *ledger) fill(found []*revocation, now time.Time) {
	if len(found) == 0 {
		return
	}
	oldest := found[len(found)-1].ID - gapReach // further below, a missing id is a row that was forgotten
	for _, r := range found {
		delete(l.gaps, r.ID)
		for id := max(l.high+1, oldest); id < r.ID; id++ {
			l.gaps[id] = now
		}
		l.high = max(l.high, r.ID)
	}
}

// giveUp forgets gaps that can only be transactions that were rolled back. The caller holds mu.
func (l *ledger) giveUp(now time.Time) {
	for id, since := range l.gaps {
		if now.Sub(since) > gapLife {
			delete(l.gaps, id)
		}
	}
}
