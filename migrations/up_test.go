package migrations_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"rosetree/migrations"
)

func TestUpTellsWhatIsAppliedAndRepairsWhatIsBroken(t *testing.T) {
	db := empty(t)
	state := func() string {
		all, err := migrations.Status(t.Context(), db.OwnerURL)
		if err != nil {
			t.Fatal(err)
		}
		f := all[0]
		return strings.Join([]string{f.Name, map[bool]string{true: "applied", false: "pending"}[f.Applied], map[bool]string{true: "changed"}[f.Changed]}, " ")
	}
	if got := state(); got != "001_enable_rls.sql pending " {
		t.Errorf("before: %q", got)
	}
	if _, err := migrations.Verify(t.Context(), db.OwnerURL); err == nil || !strings.Contains(err.Error(), "migrate up") {
		t.Errorf("verify before: %v", err)
	}
	if err := migrate(t.Context(), db.OwnerURL, ""); err != nil {
		t.Fatal(err)
	}
	if got := state(); got != "001_enable_rls.sql applied " {
		t.Errorf("after: %q", got)
	}
	mustPsql(t, db.OwnerURL, "UPDATE app_private.schema_migration SET sha256 = 'of an older release'")
	if got := state(); got != "001_enable_rls.sql applied changed" {
		t.Errorf("of an older release: %q", got)
	}
	if err := migrate(t.Context(), db.OwnerURL, ""); err != nil {
		t.Fatal(err)
	}
	mustPsql(t, db.OwnerURL, "DROP POLICY floor_select ON app.transactions; GRANT TRUNCATE ON app.users TO rosetree_api")
	if _, err := migrations.Verify(t.Context(), db.OwnerURL); err == nil || !strings.Contains(err.Error(), "floor_select") || !strings.Contains(err.Error(), "TRUNCATE") {
		t.Errorf("verify of a broken schema: %v", err)
	}
	if err := migrate(t.Context(), db.OwnerURL, ""); err != nil { // recorded as applied, and yet repaired
		t.Fatal(err)
	}
	mustPass(t, db.OwnerURL)
}

func TestAnEarlierFileThatRanAloneIsFollowedByTheLaterOnesAgain(t *testing.T) {
	db := fresh(t)
	source := func() string {
		return mustPsql(t, db.OwnerURL, "SELECT md5(prosrc) FROM pg_proc WHERE oid = 'app.uid()'::regprocedure")
	}
	newest := source()
	mustPsql(t, db.OwnerURL, schema(t))
	if source() == newest {
		t.Fatal("001 puts back nothing that a later file replaces; this test needs another function")
	}
	if _, err := migrations.Verify(t.Context(), db.OwnerURL); err == nil || !strings.Contains(err.Error(), "run it again") {
		t.Errorf("verify: %v", err)
	}
	if err := migrate(t.Context(), db.OwnerURL, ""); err != nil {
		t.Fatal(err)
	}
	if source() != newest {
		t.Error("app.uid() is still of 001")
	}
	if _, err := migrations.Verify(t.Context(), db.OwnerURL); err != nil {
		t.Error(err)
	}
}

func TestManyUpsAtOnceWaitForEachOther(t *testing.T) {
	db := empty(t)
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			if err := migrate(t.Context(), db.OwnerURL, db.URL); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	mustPass(t, db.OwnerURL)
}

func TestUpTriesAgainWhileLiveTrafficHoldsALock(t *testing.T) {
	db := empty(t)
	mustPsql(t, db.OwnerURL, file(t, "testdata/legacy.sql"))
	holder := connect(t, db.OwnerURL)
	if _, err := holder.Exec(t.Context(), "BEGIN; UPDATE public.users SET plan = plan"); err != nil {
		t.Fatal(err)
	}
	var release sync.WaitGroup
	defer release.Wait()
	release.Go(func() {
		time.Sleep(4 * time.Second) // longer than lock_timeout
		if _, err := holder.Exec(context.Background(), "COMMIT"); err != nil {
			t.Error(err)
		}
	})
	var log bytes.Buffer
	err := migrations.Up(t.Context(), db.OwnerURL, migrations.Options{ContextKeys: [][]byte{testKey}, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil || !strings.Contains(log.String(), "trying again") {
		t.Errorf("%v\n%s", err, log.String())
	}
}

func TestTheRuntimeLoginGetsThePasswordOfItsURL(t *testing.T) {
	db := empty(t)
	// The cluster's other tests log in as rosetree_api too: give back what it had.
	t.Cleanup(func() {
		if err := migrate(context.Background(), db.OwnerURL, db.URL); err != nil {
			t.Error(err)
		}
	})
	for _, password := range []string{"plain-ASCII-1", "pässwörd", "with'quote"} {
		url := as(t, db.URL, "rosetree_api", strings.NewReplacer("'", "%27", "ä", "%C3%A4", "ö", "%C3%B6").Replace(password))
		if err := migrate(t.Context(), db.OwnerURL, url); err != nil {
			t.Fatal(err)
		}
		conn, err := pgx.Connect(t.Context(), url)
		if err != nil {
			t.Errorf("%q: %v", password, err)
			continue
		}
		conn.Close(t.Context())
	}
	if hash := mustPsql(t, db.OwnerURL, "SELECT rolpassword FROM pg_authid WHERE rolname = 'rosetree_api'"); !strings.HasPrefix(hash, "SCRAM-SHA-256$4096:") {
		t.Errorf("stored as %q", hash)
	}
}

func TestKeysRotateWithoutAGap(t *testing.T) {
	db := empty(t)
	old, next := []byte("the first key of thirty-two bytes"), []byte("the second key of thirty-two byte")
	up := func(keys ...[]byte) {
		t.Helper()
		if err := migrations.Up(t.Context(), db.OwnerURL, migrations.Options{ContextKeys: keys, KeyGrace: time.Hour}); err != nil {
			t.Fatal(err)
		}
	}
	live := func() string {
		return mustPsql(t, db.OwnerURL, `SELECT string_agg(CASE kid WHEN app_private.key_id('the first key of thirty-two bytes') THEN 'old' ELSE 'next' END
			|| CASE not_after WHEN 'infinity' THEN '' ELSE ' until ' || round(extract(epoch FROM not_after - now()) / 60) END, ', ' ORDER BY not_after, kid) FROM app_private.ctx_key`)
	}
	up(old)
	if got := live(); got != "old" {
		t.Error(got)
	}
	up(next, old)
	if got := live(); got != "next, old" && got != "old, next" {
		t.Error(got)
	}
	up(next)
	if got := live(); got != "old until 60, next" {
		t.Error(got)
	}
	up(next) // again: the grace of the old one does not begin anew
	mustPsql(t, db.OwnerURL, "UPDATE app_private.ctx_key SET not_after = now() - interval '1 second' WHERE not_after < 'infinity'")
	up(next)
	if got := live(); got != "next" {
		t.Error(got)
	}
}

func TestWrongInputIsToldWithoutSecrets(t *testing.T) {
	for _, url := range []string{"postgres://u:hunter2@127.0.0.1:bad/db", "postgres://u:hunter2@127.0.0.1:1/db"} {
		err := migrations.Up(t.Context(), url, migrations.Options{ContextKeys: [][]byte{testKey}})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v", err)
		}
	}
	if err := migrations.Up(t.Context(), empty(t).OwnerURL, migrations.Options{}); err == nil {
		t.Error("no context key, and no error")
	}
}
