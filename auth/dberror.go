package auth

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"rosetree/internal/api"
)

// errBusy is inside the error that is returned when all connections stay in use for DB_ACQUIRE_WAIT.
var errBusy = errors.New("auth: all database connections are in use")

// undone tells whether the server says, or the fact that it was never reached, that nothing happened.
func undone(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch pg.Code {
		case "57P01", "57P02", "57P03", "25006": // shutdown, starting up, became a standby
			return true
		}
		return contended(err) || outOfTime(err) || pg.Code == "0A000" && strings.Contains(pg.Message, "cached plan") // a migration changed a table under a prepared statement
	}
	_, connecting := errors.AsType[*pgconn.ConnectError](err)
	return connecting || pgconn.SafeToRetry(err)
}

// contended tells whether others were in the way: a lost race, a deadlock, a lock not had in time.
func contended(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (pg.Code == "40001" || pg.Code == "40P01" || pg.Code == "55P03")
}

// outOfTime tells whether the database refused an identity for its time, and so did nothing. Either its clock was set since we read it, or
// the identity is not one that we have just signed.
func outOfTime(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == "RT002"
}

// connLost tells whether the connection went away; what was sent on it may have happened.
func connLost(err error) bool {
	_, network := errors.AsType[net.Error](err)
	return network || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, pgconn.ErrConnClosed) ||
		errors.Is(err, net.ErrClosed)
}

// tooLong tells whether the server gave up on a statement because of its time: what it did is undone, and may wait for the same again.
func tooLong(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == "57014"
}

// full tells whether the database has run out of something: disk, memory, connections.
func full(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && strings.HasPrefix(pg.Code, "53")
}

// passing tells whether the same work may succeed on another connection, now or soon.
func passing(err error) bool {
	return undone(err) || connLost(err) && !errors.Is(err, context.DeadlineExceeded)
}

// dbProblem says what a client may be told; the cause stays inside, for logs and for callers that know its code.
func dbProblem(err error) error {
	_, answered := errors.AsType[*pgconn.PgError](err)
	_, told := errors.AsType[*api.Problem](err)
	switch {
	case told || errors.Is(err, context.Canceled) || outOfTime(err):
		return err
	case errors.Is(err, errBusy):
		return errors.Join(api.Unavailable("the server is busy; try again", time.Second), err)
	case tooLong(err):
		return errors.Join(api.Unavailable("the database took too long; try again", 2*time.Second), err)
	case full(err):
		return errors.Join(api.Unavailable("the database has no room for this right now; try again", 5*time.Second), err)
	case contended(err):
		return errors.Join(api.Unavailable("others hold what this needs for too long; try again", 2*time.Second), err)
	case undone(err) || !answered && (connLost(err) || errors.Is(err, context.DeadlineExceeded)):
		return errors.Join(api.Unavailable("the database cannot be reached; try again", 2*time.Second), err)
	}
	return err
}

// onPgError keeps a connection (true) or drops it. What met an identity that the database refused, or a
// privilege that it should not need, is not given to anybody else; a standby after a switchover is useless.
// A timeout may be a setting that a hostile statement left in the session, and would be the next one's too.
func (db *DB) onPgError(_ *pgconn.PgConn, err *pgconn.PgError) bool {
	if strings.HasPrefix(err.Code, "RT") || err.Code == "42501" {
		db.metrics.isolation.WithLabelValues(isolationCode(err.Code)).Inc()
		if err.Code == "RT002" {
			db.clock.doubted.Store(true)
		}
		db.config.Log.Error("row security refused a statement: the connection is dropped", "code", err.Code, "message", err.Message)
		return false
	}
	switch err.Code {
	case "25006", "57P01", "57P02", "57P03", "57014", "55P03":
		return false
	}
	return err.SeverityUnlocalized != "FATAL" && err.Severity != "FATAL"
}

func isolationCode(code string) string {
	switch code {
	case "RT001", "RT002", "RT003", "42501":
		return code
	}
	return "other"
}
