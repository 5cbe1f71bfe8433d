package migrations_test

import (
	"cmp"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"rosetree/internal/devstack"
)

// At least the oldest version that is promised, or the one that .ci/newest has put in place.
func TestTheServerIsOneThatWeTestOn(t *testing.T) {
	want, err := strconv.Atoi(cmp.Or(os.Getenv("ROSETREE_TEST_POSTGRES"), "15"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := strconv.Atoi(mustPsql(t, empty(t).OwnerURL, "SELECT current_setting('server_version_num')::int / 10000"))
	if err != nil || got < want {
		t.Errorf("the tests run on PostgreSQL %d, want %d, %v", got, want, err)
	}
}

func TestTheFileAloneUnderPsqlMakesAProtectedDatabaseAndMayRunAgain(t *testing.T) {
	db := empty(t)
	for range 2 {
		if out := mustPsql(t, db.OwnerURL, schema(t)); out != "" {
			t.Errorf("psql says %q", out)
		}
		mustPass(t, db.OwnerURL)
	}
}

func TestFifteenPsqlAtOnceAreClean(t *testing.T) {
	db := empty(t)
	var wg sync.WaitGroup
	for range 15 {
		wg.Go(func() {
			if out, code := psql(t, db.OwnerURL, schema(t)); code != 0 {
				t.Errorf("psql ended with %d: %s", code, out)
			}
		})
	}
	wg.Wait()
	mustPass(t, db.OwnerURL)
}

func TestAnErrorInTheFileIsAnExitCodeAndLeavesNothingBehind(t *testing.T) {
	db := empty(t)
	broken := strings.Replace(schema(t), "-- 8. The self-test", "SELECT 1/0;\n-- 8. The self-test", 1)
	if out, code := psql(t, db.OwnerURL, broken); code != 3 || !strings.Contains(out, "division by zero") {
		t.Errorf("psql ended with %d: %s", code, out)
	}
	if left := mustPsql(t, db.OwnerURL, "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'app%'"); left != "0" {
		t.Errorf("%s schemas are left", left)
	}
	mustPsql(t, db.OwnerURL, schema(t))
	mustPass(t, db.OwnerURL)
}

// catalog is a fingerprint of all that a migration may change.
const catalog = `SELECT md5(string_agg(x, '|' ORDER BY x)) FROM (
	SELECT p.oid::regprocedure || p.prosrc AS x FROM pg_proc p WHERE p.pronamespace IN (SELECT oid FROM pg_namespace WHERE nspname LIKE 'app%')
	UNION ALL SELECT a.attrelid::regclass || '.' || a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE c.relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname LIKE 'app%')
	UNION ALL SELECT g.tgrelid::regclass || g.tgname FROM pg_trigger g UNION ALL SELECT p::text FROM pg_policies p) y`

func TestEveryFileRunsAloneUnderPsqlAndAgainAndAllOrNothing(t *testing.T) {
	db := empty(t)
	names, err := filepath.Glob("*.sql")
	if err != nil || len(names) < 7 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		text := file(t, name)
		if !strings.HasPrefix(text, "\\set ON_ERROR_STOP 1\n") || !strings.HasSuffix(text, "\nCOMMIT;\n") {
			t.Errorf("%s does not stop at an error, or is not one transaction", name)
		}
		before := mustPsql(t, db.OwnerURL, catalog)
		broken := strings.TrimSuffix(text, "COMMIT;\n") + "SELECT 1/0;\nCOMMIT;\n"
		if out, code := psql(t, db.OwnerURL, broken); code != 3 || !strings.Contains(out, "division by zero") {
			t.Errorf("%s with an error: psql ended with %d: %s", name, code, out)
		}
		if mustPsql(t, db.OwnerURL, catalog) != before {
			t.Errorf("%s with an error leaves something behind", name)
		}
		for range 2 {
			if out, code := psql(t, db.OwnerURL, text); code != 0 || strings.Contains(out, "ERROR") || strings.Contains(out, "WARNING") {
				t.Errorf("%s: psql ended with %d: %s", name, code, out)
			}
		}
		mustPass(t, db.OwnerURL)
	}
}

func TestAnOwnerWhoIsNoSuperuserCanMigrateAndRestore(t *testing.T) {
	db := empty(t)
	mustPsql(t, db.OwnerURL, `DO $$ BEGIN CREATE ROLE plain_owner LOGIN CREATEROLE PASSWORD 'p'; EXCEPTION WHEN duplicate_object THEN END $$;
		ALTER DATABASE `+db.Name+` OWNER TO plain_owner;`)
	// The roles of the cluster are there already, made by a superuser: the owner needs to be a member of app.
	mustPsql(t, db.OwnerURL, `DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'app') THEN GRANT app TO plain_owner; END IF; END $$;`)
	owner := as(t, db.OwnerURL, "plain_owner", "p")
	for range 2 {
		if out, code := psql(t, owner, schema(t)); code != 0 {
			t.Fatalf("psql ended with %d: %s", code, out)
		}
	}
	mustPass(t, owner)
	// and restore: what a superuser dumped, by the login that owns no table but is a member of app.
	someData(t, db.OwnerURL)
	before, dump := mustPsql(t, db.OwnerURL, everything), filepath.Join(t.TempDir(), "dump")
	if out, code := run(t, "", devstack.PostgresProgram(t, "pg_dump"), "-Fc", "--role=rosetree_backup", "-f", dump, db.OwnerURL); code != 0 {
		t.Fatal(out)
	}
	mustPsql(t, db.OwnerURL, "DELETE FROM app.portfolios; DROP TABLE app.watchlists")
	if out, code := run(t, "", devstack.PostgresProgram(t, "pg_restore"), "--clean", "--if-exists", "--no-owner", "--role=app", "--exit-on-error", "-d", owner, dump); code != 0 {
		t.Fatal(out)
	}
	mustPass(t, owner)
	if out, code := psql(t, owner, schema(t)); code != 0 {
		t.Fatalf("psql after the restore ended with %d: %s", code, out)
	}
	mustPass(t, owner)
	same(t, db.OwnerURL, before)
}

func TestRunningAgainTakesNoLockThatReadersFeel(t *testing.T) {
	db := fresh(t)
	reader := connect(t, db.OwnerURL)
	if _, err := reader.Exec(t.Context(), "BEGIN; SELECT count(*) FROM app.transactions; SELECT count(*) FROM app.users"); err != nil {
		t.Fatal(err)
	}
	mustPsql(t, db.OwnerURL, schema(t)) // would wait for the reader, and fail after lock_timeout, if it altered its tables
	if _, err := reader.Exec(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
}
