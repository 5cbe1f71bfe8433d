// Package migrations is the schema: numbered SQL files that also run alone under psql, and the program that
// runs them. Each file is idempotent and one transaction (what cannot be in one, such as CREATE INDEX
// CONCURRENTLY, has a file of its own without BEGIN), so that running all of them again repairs a database:
// after pg_restore, after a missing role, after somebody's ALTER TABLE.
package migrations

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

//go:embed *.sql
var files embed.FS

// Options is what Up sets up beside the schema.
type Options struct {
	ContextKeys [][]byte      // keys that sign identity contexts, newest first; at least one
	KeyGrace    time.Duration // how long a key that is no longer among them still counts; 0: ten minutes
	RuntimeURL  string        // DATABASE_URL: a login rosetree_api with a password in it gets that password
	Log         *slog.Logger  // nil: silent
}

// File is one migration and what the database says about it.
type File struct {
	Name      string    `json:"name"`
	Applied   bool      `json:"applied"`
	Changed   bool      `json:"changed"`    // applied, but in another version of the file
	AppliedAt time.Time `json:"applied_at"` // zero where it was not, or was by psql
	sql       string
	sum       string
}

// Up brings the database at ownerURL to this program's schema, installs the keys, and ends with the self-test.
// It waits while another one runs, and tries again where a lock was not to be had.
func Up(ctx context.Context, ownerURL string, o Options) error {
	if len(o.ContextKeys) == 0 {
		return errors.New("migrations: no context key")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.KeyGrace <= 0 {
		o.KeyGrace = 10 * time.Minute
	}
	conn, err := connect(ctx, ownerURL)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := lock(ctx, conn, o.Log); err != nil {
		return err
	}
	if err := applyPending(ctx, conn, o.Log); err != nil {
		return err
	}
	if err := setUp(ctx, conn, o); err != nil {
		return err
	}
	if err := recordFunctions(ctx, conn); err != nil {
		return err
	}
	report, err := selfTest(ctx, conn)
	if err == nil {
		o.Log.Info("migrated", "self_test", report)
	}
	return err
}

func applyPending(ctx context.Context, conn *pgx.Conn, log *slog.Logger) error {
	all, err := status(ctx, conn)
	if err != nil {
		return err
	}
	skipped := false
	for _, f := range all {
		if f.Applied && !f.Changed {
			skipped = true
		} else if err := apply(ctx, conn, f, log); err != nil {
			return err
		}
	}
	if !skipped {
		return nil
	}
	// The record may be right and the database not: restored, altered by hand, or an earlier file ran alone under psql and put
	// back the functions that a later one replaces. Then all files run again.
	same, err := functionsAsRecorded(ctx, conn)
	if err != nil {
		return err
	}
	if same {
		if _, err := selfTest(ctx, conn); err == nil {
			return nil
		}
	}
	log.Warn("the database is not as it was left: applying every file again", "functions_changed", !same)
	for _, f := range all {
		if err := apply(ctx, conn, f, log); err != nil {
			return err
		}
	}
	return nil
}

func setUp(ctx context.Context, conn *pgx.Conn, o Options) error {
	if _, err := conn.Exec(ctx, "select app_private.set_ctx_keys($1, $2)", o.ContextKeys, o.KeyGrace); err != nil {
		return fmt.Errorf("migrations: install the context keys: %w", err)
	}
	return again(ctx, o.Log, "the runtime login's password", func() error { return setPassword(ctx, conn, o.RuntimeURL) })
}

// Status tells of every file whether it is applied.
func Status(ctx context.Context, ownerURL string) ([]File, error) {
	conn, err := connect(ctx, ownerURL)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return status(ctx, conn)
}

// Verify runs the self-test and returns its report. It changes nothing.
func Verify(ctx context.Context, ownerURL string) (string, error) {
	conn, err := connect(ctx, ownerURL)
	if err != nil {
		return "", err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	all, err := status(ctx, conn)
	if err != nil {
		return "", err
	}
	for _, f := range all {
		if !f.Applied || f.Changed {
			return "", fmt.Errorf("migrations: %s is not applied, or in another version: run 'rosetree migrate up'", f.Name)
		}
	}
	if same, err := functionsAsRecorded(ctx, conn); err != nil {
		return "", err
	} else if !same {
		return "", errors.New("migrations: functions in app or app_private are not as 'rosetree migrate up' left them: run it again")
	}
	return selfTest(ctx, conn)
}

func connect(ctx context.Context, ownerURL string) (*pgx.Conn, error) {
	c, err := pgx.ParseConfig(ownerURL)
	if err != nil {
		return nil, errors.New("migrations: MIGRATE_DATABASE_URL is not a PostgreSQL URL") // pgx's own text repeats parts of it
	}
	c.RuntimeParams["application_name"] = "rosetree migrate"
	conn, err := pgx.ConnectConfig(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	return conn, nil
}

func status(ctx context.Context, conn *pgx.Conn) ([]File, error) {
	all, err := load()
	if err != nil {
		return nil, err
	}
	var recorded bool
	if err := conn.QueryRow(ctx, "select to_regclass('app_private.schema_migration') is not null").Scan(&recorded); err != nil || !recorded {
		return all, err
	}
	for i, f := range all {
		var sum string
		err := conn.QueryRow(ctx, "select sha256, applied_at from app_private.schema_migration where name = $1", f.Name).Scan(&sum, &all[i].AppliedAt)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
		case err != nil:
			return nil, fmt.Errorf("migrations: read the record: %w", err)
		default:
			all[i].Applied, all[i].Changed = true, sum != f.sum
		}
	}
	return all, nil
}

func load() ([]File, error) {
	names, err := fs.Glob(files, "*.sql") // in order of name
	if err != nil {
		return nil, err
	}
	var all []File
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(text)
		all = append(all, File{Name: name, sql: withoutPsql(string(text)), sum: hex.EncodeToString(sum[:])})
	}
	return all, nil
}

// withoutPsql drops psql's own commands, such as \set ON_ERROR_STOP 1: the server does not know them.
func withoutPsql(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, `\`) {
			b.WriteString(line)
		}
	}
	return b.String()
}

func apply(ctx context.Context, conn *pgx.Conn, f File, log *slog.Logger) error {
	start := time.Now()
	err := again(ctx, log, f.Name, func() error {
		// The simple protocol: the file's own BEGIN and COMMIT rule.
		_, err := conn.PgConn().Exec(ctx, f.sql).ReadAll()
		if err != nil {
			_, _ = conn.Exec(ctx, "rollback") // the error leaves its transaction open; without one this is a warning
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("migrations: %s: %w", f.Name, err)
	}
	_, err = conn.Exec(ctx, `insert into app_private.schema_migration (name, sha256) values ($1, $2)
		on conflict (name) do update set sha256 = excluded.sha256, applied_at = now()`, f.Name, f.sum)
	if err != nil {
		return fmt.Errorf("migrations: record %s: %w", f.Name, err)
	}
	log.Info("applied", "file", f.Name, "ms", time.Since(start).Milliseconds())
	return nil
}

func selfTest(ctx context.Context, conn *pgx.Conn) (string, error) {
	var report string
	err := conn.QueryRow(ctx, "select app.test_rls_isolation()").Scan(&report)
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return "", errors.New(pg.Message) // the whole list of what is wrong, without the driver's frame
	}
	return report, err
}
