package devstack

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// TB is the part of testing.TB that is used here; so the program does not link package testing.
type TB interface {
	Helper()
	Name() string
	Logf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// Migrate brings the database at ownerURL to the newest schema, and the runtime role, as which
// runtimeURL will log in, to its password.
type Migrate func(ctx context.Context, ownerURL, runtimeURL string) error

// Env is what the tests of one binary share: one PostgreSQL, a folder, a count.
type Env struct {
	root string
	as   *account
	next atomic.Int64 // numbers databases and servers

	mu        sync.Mutex
	pg        *postgres            // guarded by mu; nil until the first Database
	templates map[string]*template // guarded by mu

	built builds
}

// template is a migrated database that is copied for each test.
type template struct {
	once sync.Once
	name string
	err  error
}

// DB is a database of one test.
type DB struct {
	URL      string // as rosetree_api
	OwnerURL string // as the superuser
	Name     string
}

var env = sync.OnceValues(newEnv)

// Test returns the test binary's environment. Nothing is started before it is asked for, and all of
// it ends with the binary, also when that is killed.
func Test(t TB) *Env {
	t.Helper()
	e, err := env()
	if err != nil {
		t.Fatalf("%v", err)
	}
	return e
}

func newEnv() (*Env, error) {
	as, err := unprivileged()
	if err != nil {
		return nil, err
	}
	watch, err := theWatchdog()
	if err != nil {
		return nil, err
	}
	var lastErr error
	for _, parent := range []string{os.TempDir(), "/tmp", "/var/tmp"} { // TMPDIR may be root's alone
		root, err := os.MkdirTemp(parent, "rosetree-test-")
		if err != nil {
			lastErr = fmt.Errorf("devstack: %w", err)
			continue
		}
		if err := as.own(root); err != nil {
			return nil, fmt.Errorf("devstack: %w", err)
		}
		if lastErr = as.canWrite(root); lastErr == nil {
			watch.junk(root)
			return &Env{root: root, as: as, templates: map[string]*template{}}, nil
		}
		os.Remove(root)
	}
	return nil, lastErr
}

// Database returns a database of this test's own, migrated by migrate; it is dropped after the test.
func (e *Env) Database(t TB, migrate Migrate) DB {
	t.Helper()
	ctx, cancel := patience()
	defer cancel()
	pg := e.postgres(t)
	from, err := e.template(ctx, pg, migrate)
	if err != nil {
		t.Fatalf("devstack: migrate: %v", err)
	}
	return e.create(ctx, t, pg, from)
}

// NotedPID is the process id that a server wrote into its file.
func NotedPID(t TB, file string) int {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v", err)
	}
	var pid int
	if _, err := fmt.Sscan(string(raw), &pid); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return pid
}

// Empty returns a database of this test's own with nothing in it.
func (e *Env) Empty(t TB) DB {
	t.Helper()
	ctx, cancel := patience()
	defer cancel()
	return e.create(ctx, t, e.postgres(t), "template0")
}

func patience() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 90*time.Second)
}

// postgres returns the binary's cluster, started at the first call.
func (e *Env) postgres(t TB) *postgres {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.pg == nil {
		ctx, cancel := patience()
		defer cancel()
		pg, err := startPostgres(ctx, postgresSpec{dir: e.folder(t, "postgres"), as: e.as,
			owner: rand.Text(), api: rand.Text(), unsafe: true})
		if err != nil {
			t.Fatalf("%v", err)
		}
		e.pg = pg
	}
	return e.pg
}

// template returns the name of a database migrated by migrate; functions are told apart by name,
// which serves for what is declared at the top of a package.
func (e *Env) template(ctx context.Context, pg *postgres, migrate Migrate) (string, error) {
	key := runtime.FuncForPC(reflect.ValueOf(migrate).Pointer()).Name()
	e.mu.Lock()
	tpl := e.templates[key]
	if tpl == nil {
		tpl = &template{name: "template_" + strconv.Itoa(len(e.templates))}
		e.templates[key] = tpl
	}
	e.mu.Unlock()
	tpl.once.Do(func() {
		if tpl.err = pg.exec(ctx, "postgres", "CREATE DATABASE "+tpl.name+" TEMPLATE template0"); tpl.err != nil {
			return
		}
		tpl.err = migrate(ctx, pg.ownerURL(tpl.name), pg.runtimeURL(tpl.name))
	})
	return tpl.name, tpl.err
}

// create copies database from. CREATE DATABASE copies neither the grants on the database (PUBLIC would
// get TEMP back) nor its settings, so both are copied after it.
func (e *Env) create(ctx context.Context, t TB, pg *postgres, from string) DB {
	t.Helper()
	name := "test_" + strconv.FormatInt(e.next.Add(1), 10)
	err := pg.exec(ctx, "postgres",
		"CREATE DATABASE "+name+" TEMPLATE "+from+" STRATEGY file_copy",
		"UPDATE pg_database SET datacl = (SELECT datacl FROM pg_database WHERE datname = '"+from+"') WHERE datname = '"+name+"' AND '"+from+"' <> 'template0'",
		"INSERT INTO pg_db_role_setting SELECT d.oid, s.setrole, s.setconfig FROM pg_database d, pg_db_role_setting s JOIN pg_database f ON f.oid = s.setdatabase WHERE d.datname = '"+name+"' AND f.datname = '"+from+"'")
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := patience()
		defer cancel()
		if err := pg.exec(ctx, "postgres", "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"); err != nil {
			t.Logf("%v", err)
		}
	})
	return DB{URL: pg.runtimeURL(name), OwnerURL: pg.ownerURL(name), Name: name}
}

// folder makes a folder for a server of this run.
func (e *Env) folder(t TB, name string) string {
	t.Helper()
	dir := filepath.Join(e.root, name)
	err := os.Mkdir(dir, 0o700)
	if err == nil {
		err = e.as.own(dir)
	}
	if err != nil {
		t.Fatalf("devstack: %v", err)
	}
	return dir
}
