package devstack

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// someSchema stands for the migrations: a role, a table, a grant and a setting on the database.
func someSchema(ctx context.Context, ownerURL, runtimeURL string) error {
	conn, err := pgx.Connect(ctx, ownerURL)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	cfg, err := pgx.ParseConfig(runtimeURL)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, `
		DO $$ BEGIN CREATE ROLE rosetree_api LOGIN; EXCEPTION WHEN duplicate_object THEN END $$;
		ALTER ROLE rosetree_api PASSWORD '`+cfg.Password+`';
		CREATE TABLE thing (n int);
		GRANT SELECT, INSERT ON thing TO rosetree_api;
		DO $$ BEGIN
			EXECUTE format('REVOKE TEMP ON DATABASE %I FROM PUBLIC', current_database());
			EXECUTE format('ALTER DATABASE %I SET statement_timeout = ''7s''', current_database());
		END $$`)
	return err
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func TestEachTestHasADatabaseOfItsOwn(t *testing.T) {
	env := Test(t)
	for range 2 {
		began := time.Now()
		conn := connect(t, env.Database(t, someSchema).URL)
		t.Logf("a database in %v", time.Since(began))
		var n int
		if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM thing").Scan(&n); err != nil || n != 0 {
			t.Errorf("a new database holds %d rows, %v", n, err)
		}
		if _, err := conn.Exec(t.Context(), "INSERT INTO thing VALUES (1)"); err != nil {
			t.Error(err)
		}
	}
}

func TestACopyHasTheGrantsAndSettingsOfItsTemplate(t *testing.T) {
	conn := connect(t, Test(t).Database(t, someSchema).URL)
	var temp bool
	var timeout string
	err := conn.QueryRow(t.Context(), `SELECT has_database_privilege(current_database(), 'TEMP'), current_setting('statement_timeout')`).Scan(&temp, &timeout)
	if err != nil || temp || timeout != "7s" {
		t.Errorf("TEMP %v, statement_timeout %q, %v; want false, 7s", temp, timeout, err)
	}
}

func TestAnEmptyDatabaseHasNothingInIt(t *testing.T) {
	db := Test(t).Empty(t)
	var n int
	err := connect(t, db.OwnerURL).QueryRow(t.Context(), "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").Scan(&n)
	if err != nil || n != 0 {
		t.Errorf("%d tables, %v", n, err)
	}
}

func TestARedisHasItsFaults(t *testing.T) {
	r := Test(t).Redis(t)
	rdb := r.Client(t)
	short := func() context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		t.Cleanup(cancel)
		return ctx
	}
	if err := rdb.Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if events := rdb.ConfigGet(t.Context(), "notify-keyspace-events").Val()["notify-keyspace-events"]; !sameLetters(events, "Kgxe") {
		t.Errorf("keyspace events are %q", events)
	}
	r.Freeze(t)
	if err := rdb.Get(short(), "k").Err(); err == nil {
		t.Error("a frozen server answered")
	}
	r.Thaw(t)
	if got, err := rdb.Get(t.Context(), "k").Result(); got != "v" {
		t.Errorf("thawed, it says %q, %v", got, err)
	}
	r.Restart(t, true)
	if got, err := rdb.Get(t.Context(), "k").Result(); got != "v" {
		t.Errorf("restarted with its keys, it says %q, %v", got, err)
	}
	r.Kill(t)
	if err := rdb.Get(short(), "k").Err(); err == nil {
		t.Error("a killed server answered")
	}
	r.Restart(t, false)
	if n, err := rdb.DBSize(t.Context()).Result(); n != 0 || err != nil {
		t.Errorf("restarted without its keys, it has %d, %v", n, err)
	}
	r.Configure(t, "maxmemory", "1mb")
	rdb.Set(t.Context(), "big", strings.Repeat("x", 2<<20), 0)
	if err := rdb.Set(t.Context(), "more", "x", 0).Err(); err == nil || !strings.Contains(err.Error(), "OOM") {
		t.Errorf("over maxmemory a write says %v", err)
	}
}

func sameLetters(a, b string) bool {
	return len(a) == len(b) && strings.Trim(a, b) == "" && strings.Trim(b, a) == ""
}
