package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"
)

// DBConfig is how PostgreSQL is reached. The URL may name several hosts, with target_session_attrs=read-write
// to follow a switchover, and every parameter of pgx (pool_max_conns, connect_timeout, …).
type DBConfig struct {
	URL          Secret        `env:"DATABASE_URL,required" secret:"true" doc:"PostgreSQL, as the unprivileged application role"`
	Secret       SecretKey     `env:"SECRET_KEY" secret:"true" doc:"one or more secrets of at least 32 bytes in hex or base64, comma-separated: the first signs, all verify; unset: derived from the password in DATABASE_URL"`
	MaxConns     int32         `env:"DB_MAX_CONNS" envDefault:"0" doc:"connections to PostgreSQL; 0: pool_max_conns of the URL, or four per core and at least 8"`
	AcquireWait  time.Duration `env:"DB_ACQUIRE_WAIT" envDefault:"2s" doc:"how long a request waits for a free connection before it is answered unavailable"`
	QueryTimeout time.Duration `env:"DB_QUERY_TIMEOUT" envDefault:"5s" doc:"how long one piece of work on the database may take"`

	Log *slog.Logger
}

func (c DBConfig) withDefaults() DBConfig {
	if c.AcquireWait <= 0 {
		c.AcquireWait = 2 * time.Second
	}
	if c.QueryTimeout <= 0 {
		c.QueryTimeout = 5 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

func poolConfig(c DBConfig) (*pgxpool.Config, error) {
	pc, err := pgxpool.ParseConfig(string(c.URL))
	if err != nil {
		return nil, errors.New("auth: DATABASE_URL is not a PostgreSQL URL") // pgx's own text repeats parts of it
	}
	if pc.ConnConfig.DefaultQueryExecMode == pgx.QueryExecModeSimpleProtocol {
		// It writes parameters into the statement, which pg_stat_activity shows to every session of the same login.
		return nil, errors.New("auth: DATABASE_URL asks for default_query_exec_mode=simple_protocol, which would show identities; use cache_describe or exec behind a pooler")
	}
	if c.MaxConns > 0 {
		pc.MaxConns = c.MaxConns
	} else if !strings.Contains(string(c.URL), "pool_max_conns") {
		pc.MaxConns = int32(max(8, 4*runtime.NumCPU()))
	}
	pc.MinIdleConns = min(2, pc.MaxConns)
	pc.MaxConnLifetime, pc.MaxConnLifetimeJitter = 30*time.Minute, 5*time.Minute
	pc.MaxConnIdleTime, pc.HealthCheckPeriod = 5*time.Minute, 15*time.Second
	pc.PingTimeout = 500 * time.Millisecond // pgx has none by default: a dead path would hold the caller
	if !strings.Contains(string(c.URL), "connect_timeout") {
		pc.ConnConfig.ConnectTimeout = 2 * time.Second
	}
	// A cancelled context sends a cancel request: the default closes the connection, and 200 clients that
	// left made 200 new connections.
	pc.ConnConfig.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, CancelRequestDelay: 0, DeadlineDelay: time.Second}
	}
	return pc, nil
}

// dbPlace is what the far end of DATABASE_URL says about itself.
type dbPlace struct {
	database, login string // as the MAC covers them; an alias or a pooler may have renamed them
	pooler          bool
}

// inspect asks over one connection of its own, with statements that any pooler lets through.
func inspect(ctx context.Context, c *pgx.ConnConfig) (dbPlace, error) {
	conn, err := pgx.ConnectConfig(ctx, c)
	if err != nil {
		return dbPlace{}, fmt.Errorf("auth: DATABASE_URL: %w", dbProblem(err))
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var (
		p                                      dbPlace
		pid                                    uint32
		super, bypass, owner, private, present bool
	)
	err = conn.QueryRow(ctx, `select current_database(), session_user::text, pg_backend_pid(), r.rolsuper, r.rolbypassrls,
		exists (select from pg_catalog.pg_roles o where o.rolname = 'app' and pg_has_role(r.oid, o.oid, 'member')),
		coalesce(has_schema_privilege(to_regnamespace('app_private'), 'USAGE'), false), exists (select from pg_catalog.pg_proc f join pg_catalog.pg_namespace n on n.oid = f.pronamespace where n.nspname = 'app' and f.proname = 'service')
		from pg_catalog.pg_roles r where r.rolname = session_user`, pgx.QueryExecModeExec).
		Scan(&p.database, &p.login, &pid, &super, &bypass, &owner, &private, &present)
	if err != nil {
		return dbPlace{}, fmt.Errorf("auth: DATABASE_URL: %w", dbProblem(err))
	}
	p.pooler = pid != conn.PgConn().PID()
	for _, refusal := range []struct {
		when bool
		text string
	}{
		{super, "is a superuser"}, {bypass, "has BYPASSRLS"}, {owner, "is a member of app, which owns the tables"},
		{private, "may use app_private, where the keys are"},
	} {
		if refusal.when {
			return dbPlace{}, fmt.Errorf("auth: the login %q of DATABASE_URL %s: row security would not hold it; use rosetree_api", p.login, refusal.text)
		}
	}
	if !present {
		return dbPlace{}, fmt.Errorf("auth: database %q is not migrated: run 'rosetree migrate up'", p.database)
	}
	return p, nil
}

// checkKey asks the database to verify a context of ours.
func (db *DB) checkKey(ctx context.Context) error {
	var scope string
	var b pgx.Batch
	b.Queue("select coalesce(app.service(), '')").QueryRow(func(row pgx.Row) error { return row.Scan(&scope) })
	err := db.Service(ServiceAuth).Do(ctx, &b)
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == "RT001" {
		return errors.New("auth: the database does not know the key that follows from SECRET_KEY: run 'rosetree migrate up' with the same SECRET_KEY (and DATABASE_URL)")
	}
	if err == nil && scope != string(ServiceAuth) {
		err = fmt.Errorf("auth: the database took our context for %q", scope)
	}
	return err
}
