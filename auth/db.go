package auth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

// DB is the only way to PostgreSQL. There is no query without an identity: As and Service give the two
// kinds, and the database itself verifies them (app.uid, app.service).
type DB struct {
	// fixed after OpenDB
	pool    *pgxpool.Pool
	signer  *signer
	sealer  *Sealer
	pooler  bool // something between us and PostgreSQL hands connections around
	config  DBConfig
	metrics *dbMetrics

	clock clock
}

// OpenDB connects, and refuses a login that row security does not hold, a database that is not migrated
// and one that does not know our key. Connections are then made and replaced as needed.
func OpenDB(ctx context.Context, c DBConfig, reg prometheus.Registerer) (*DB, error) {
	c = c.withDefaults()
	secret, err := c.Secret.Or(string(c.URL))
	if err != nil {
		return nil, err
	}
	pc, err := poolConfig(c)
	if err != nil {
		return nil, err
	}
	where, err := inspect(ctx, pc.ConnConfig)
	if err != nil {
		return nil, err
	}
	if where.pooler && !strings.Contains(string(c.URL), "default_query_exec_mode") {
		// A pooler that hands out connections per transaction loses prepared statements (PgBouncer before 1.21).
		pc.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	}
	db := &DB{signer: newSigner(secret.ContextKeys()[0], where.database, where.login), sealer: secret.Sealer(), pooler: where.pooler, config: c}
	pc.ConnConfig.OnPgError = db.onPgError
	db.metrics = newDBMetrics(reg, db)
	if db.pool, err = pgxpool.NewWithConfig(ctx, pc); err != nil {
		return nil, fmt.Errorf("auth: open database: %w", err)
	}
	if err := db.checkKey(ctx); err != nil {
		db.pool.Close()
		return nil, err
	}
	return db, nil
}

// Close ends all connections and waits for the work on them.
func (db *DB) Close() { db.pool.Close() }

// Rows is the part of the database that one identity may touch.
type Rows struct {
	db    *DB
	scope string
	uid   UserID
	limit time.Duration // 0: DB_QUERY_TIMEOUT
}

// Within is r with another time limit, for work that is known to be long, such as an import. It must be
// shorter than a context's life; the server's limit per statement stays. 0 is the usual limit.
func (r Rows) Within(limit time.Duration) Rows {
	r.limit = limit
	return r
}

// As is the rows of p, and of nobody else.
func (db *DB) As(p Principal) Rows { return Rows{db: db, scope: scopeUser, uid: p.User} }

// Service is the server's own tables.
func (db *DB) Service(s Service) Rows { return Rows{db: db, scope: string(s), uid: nobody} }

// bindSQL is the first statement of every transaction. It also re-pins what a hostile statement in an earlier
// transaction may have left in the session, where it did: setting costs more than looking. The login's own search_path
// is empty, in the quotes with which ALTER ROLE keeps it. Nothing of the context comes back.
const bindSQL = `select set_config('rosetree.ctx',$1,true) is null,
	case when current_setting('search_path') || current_setting('row_security') not in ('on', '""on') then set_config('search_path','',true) || set_config('row_security','on',true) is null end`

// Do sends b in one round trip, as one transaction: all of it happens or nothing. Results come through the
// callbacks of b.Queue. By the time a callback runs the transaction may have committed: its error is
// returned, but undoes nothing; use Tx where a decision stands between a read and a write.
//
// The work goes on when ctx ends: a client that leaves must not cost a connection. Only waiting for a
// connection stops with it.
func (r Rows) Do(ctx context.Context, b *pgx.Batch) error {
	reached := false // a callback of b has seen a result, so b cannot be sent again
	return r.db.retry(ctx, r.limit, func(ctx context.Context, c *pgxpool.Conn) (bool, error) {
		var bound pgx.Batch
		if err := r.bind(&bound, c.Conn()); err != nil {
			return false, err
		}
		for _, q := range b.QueuedQueries {
			queueCopy(&bound, q).Fn = noteCallback(q.Fn, &reached)
		}
		err := c.SendBatch(ctx, &bound).Close()
		return !reached && (undone(err) || readsOnly(b)), err
	})
}

// queueCopy queues a copy of q: pgx keeps a connection's prepared statement in a batch, which the next try's
// connection does not have.
func queueCopy(b *pgx.Batch, q *pgx.QueuedQuery) *pgx.QueuedQuery {
	c := b.Queue(q.SQL, q.Arguments...)
	c.Fn = q.Fn
	return c
}

func noteCallback(fn func(pgx.BatchResults) error, reached *bool) func(pgx.BatchResults) error {
	if fn == nil {
		return nil
	}
	return func(br pgx.BatchResults) error { return fn(notedResults{br, reached}) }
}

// readsOnly is true where every statement is a plain SELECT: the runtime role can call no function that writes.
func readsOnly(b *pgx.Batch) bool {
	for _, q := range b.QueuedQueries {
		if len(q.SQL) < 6 || !strings.EqualFold(q.SQL[:6], "select") {
			return false
		}
	}
	return true
}

// Tx runs fn in a transaction, which commits where fn returns nil. It costs two round trips more than Do.
// fn's statements run under Tx's own deadline, whatever context they are given. Where the database undid the
// transaction for a reason that passes (a lock that a migration held, a deadlock, a switchover), fn runs again
// in a new one: it sets what it returns and adds to nothing that an earlier run left.
func (r Rows) Tx(ctx context.Context, fn func(tx pgx.Tx) error) error {
	return r.transact(ctx, fn, nil)
}

// Decide is Tx where nothing is read after the decision: what is to be written and the COMMIT are one round trip, so that nobody waits
// for a lock, such as that of the audit log's chain, while this process is waiting for the processor.
func (r Rows) Decide(ctx context.Context, decide func(tx pgx.Tx) error, write *pgx.Batch) error {
	return r.transact(ctx, decide, write)
}

func (r Rows) transact(ctx context.Context, fn func(tx pgx.Tx) error, last *pgx.Batch) error {
	return r.db.retry(ctx, r.limit, func(ctx context.Context, c *pgxpool.Conn) (bool, error) {
		var begin pgx.Batch
		begin.BeginTx(pgx.TxOptions{})
		if err := r.bind(&begin, c.Conn()); err != nil {
			return false, err
		}
		br := c.SendBatch(ctx, &begin)
		tx := br.Tx()
		defer func() {
			if c.Conn().PgConn().TxStatus() != txIdle { // where it fails the connection is dropped
				_ = tx.Rollback(ctx)
			}
		}()
		if err := br.Close(); err != nil {
			return undone(err), err
		}
		if err := fn(ownContext{tx, ctx}); err != nil {
			return undone(err) || c.Conn().IsClosed(), err // COMMIT was not sent
		}
		err := commit(ctx, c, tx, last)
		return undone(err), err
	})
}

// txIdle is what PostgreSQL says of a connection that has no transaction open.
const txIdle = 'I'

// commit ends a transaction, with the last statements where there are any.
func commit(ctx context.Context, c *pgxpool.Conn, tx pgx.Tx, last *pgx.Batch) error {
	if last == nil {
		return tx.Commit(ctx)
	}
	var b pgx.Batch
	for _, q := range last.QueuedQueries {
		queueCopy(&b, q)
	}
	b.Queue("commit")
	return c.SendBatch(ctx, &b).Close()
}

func (r Rows) bind(b *pgx.Batch, conn *pgx.Conn) error {
	if err := checkUserID(r.uid); err != nil {
		return err
	}
	var pid uint32
	if !r.db.pooler {
		pid = conn.PgConn().PID()
	}
	b.Queue(bindSQL, r.db.signer.mint(r.scope, string(r.uid), r.db.clock.carried(time.Now()), contextTTL, pid))
	return nil
}

const (
	maxTries   = 4
	retryPause = 50 * time.Millisecond
)

// retry gives work a connection, again and on another one where the last try certainly did nothing.
func (db *DB) retry(ctx context.Context, limit time.Duration, work func(context.Context, *pgxpool.Conn) (mayRepeat bool, err error)) error {
	until := time.Now().Add(db.config.AcquireWait)
	for try := 1; ; try++ {
		believed := db.clock.last.Load()
		again, err := db.once(ctx, until, limit, work)
		if err == nil {
			return nil
		}
		if contended(err) { // the time went by in waiting for a lock, and not for a connection
			until = time.Now().Add(db.config.AcquireWait)
		}
		if !again || try == maxTries || !passing(err) || time.Now().After(until) || outOfTime(err) && !db.hasMoved(ctx, until, believed) {
			return dbProblem(err)
		}
		db.metrics.retries.Inc()
		if pause(ctx, retryPause*time.Duration(try)+rand.N(retryPause)); ctx.Err() != nil {
			return dbProblem(err)
		}
	}
}

func (db *DB) once(ctx context.Context, until time.Time, limit time.Duration, work func(context.Context, *pgxpool.Conn) (bool, error)) (bool, error) {
	wait, stop := context.WithDeadline(ctx, until)
	defer stop()
	c, err := db.pool.Acquire(wait)
	if err != nil {
		return true, db.acquireError(ctx, err)
	}
	defer c.Release()
	ctx, stop = context.WithTimeout(context.WithoutCancel(ctx), cmp.Or(limit, db.config.QueryTimeout))
	defer stop()
	if db.clock.doubtful() {
		if err := db.readClock(ctx, c); err != nil {
			return true, err
		}
	}
	return work(ctx, c)
}

// hasMoved says whether PostgreSQL's clock shows another time than was believed. The refusal has made it doubtful, so that it is read.
func (db *DB) hasMoved(ctx context.Context, until time.Time, believed *reading) bool {
	_, err := db.once(ctx, until, 0, func(context.Context, *pgxpool.Conn) (bool, error) { return false, nil })
	if err != nil || believed == nil {
		return false
	}
	now := time.Now()
	return db.clock.carried(now).Sub(believed.at(now)).Abs() > clockTrust
}

// readClock needs no identity, and could show none: identities carry a time that PostgreSQL must believe.
func (db *DB) readClock(ctx context.Context, c *pgxpool.Conn) error {
	began := time.Now()
	var shows time.Time
	if err := c.QueryRow(ctx, `SELECT pg_catalog.clock_timestamp()`).Scan(&shows); err != nil {
		return err
	}
	db.clock.took(shows, began)
	return nil
}

func (db *DB) acquireError(caller context.Context, err error) error {
	if caller.Err() == nil && errors.Is(err, context.DeadlineExceeded) && db.pool.Stat().AcquiredConns() >= db.pool.Config().MaxConns {
		db.metrics.busy.Inc()
		return errBusy
	}
	return err
}
