package migrations_test

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// The oldest version that is promised, or the one that .ci/newest says it has put in place.
func TestTheServerIsOneThatWeTestOn(t *testing.T) {
	major, err := strconv.Atoi(mustPsql(t, empty(t).OwnerURL, "SELECT current_setting('server_version_num')::int / 10000"))
	if err != nil || major < 15 {
		t.Errorf("the tests run on PostgreSQL %d, %v", major, err)
	}
	if want := os.Getenv("ROSETREE_TEST_POSTGRES"); want != "" && strconv.Itoa(major) != want {
		t.Errorf("the tests run on PostgreSQL %d, not on %s", major, want)
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

func TestAnOwnerWhoIsNoSuperuserCanMigrate(t *testing.T) {
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
