package migrations_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"rosetree/internal/devstack"
)

var block = regexp.MustCompile("(?ms)^```sh (\\S+)\n(.*?)^```$")

// runbook is a page of deploy/runbooks: its blocks of commands by name.
type runbook struct {
	t      *testing.T
	blocks map[string]string
	run    map[string]bool
	env    map[string]string
	as     *syscall.Credential
	bin    string
}

func openRunbook(t *testing.T, page string) *runbook {
	t.Helper()
	b := &runbook{t: t, blocks: map[string]string{}, run: map[string]bool{}, bin: devstack.Test(t).Folder(t),
		env: map[string]string{"SECRET_KEY": strings.Repeat("5ec4e7", 11), "LC_ALL": "C.UTF-8"}}
	for _, m := range block.FindAllStringSubmatch(file(t, "../deploy/runbooks/"+page), -1) {
		b.blocks[m[1]] = m[2]
	}
	if strings.Count(file(t, "../deploy/runbooks/"+page), "```")/2 != len(b.blocks) {
		t.Fatalf("%s has blocks without a name", page)
	}
	t.Cleanup(func() {
		for name := range b.blocks {
			if !b.run[name] && !t.Failed() {
				t.Errorf("%s: nobody runs the block %q", page, name)
			}
		}
	})
	if out, code := run(t, "", "go", "build", "-o", filepath.Join(b.bin, "rosetree"), "../cmd/rosetree"); code != 0 {
		t.Fatalf("build: %s", out)
	}
	return b
}

// do runs a block as an operator would, from the project's folder.
func (b *runbook) do(name string) string {
	b.t.Helper()
	text, ok := b.blocks[name]
	if !ok {
		b.t.Fatalf("no block %q", name)
	}
	b.run[name] = true
	return b.sh(text)
}

func (b *runbook) sh(text string) string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 2*time.Minute) // a loop that waits for what does not come
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", text)
	cmd.Dir = ".."
	cmd.Env = []string{"PATH=" + b.bin + ":" + filepath.Dir(devstack.PostgresProgram(b.t, "pg_ctl")) + ":" + os.Getenv("PATH"), "HOME=" + b.bin}
	for _, k := range slices.Sorted(maps.Keys(b.env)) {
		cmd.Env = append(cmd.Env, k+"="+b.env[k])
	}
	if b.as != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: b.as}
	}
	// A file and not a pipe: a server that is started keeps it open, and a pipe would be waited for.
	out, err := os.CreateTemp("", "runbook")
	if err != nil {
		b.t.Fatal(err)
	}
	defer os.Remove(out.Name())
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	err = cmd.Run()
	said, _ := os.ReadFile(out.Name())
	if err != nil {
		b.t.Fatalf("%s\nends with %v:\n%s", text, err, said)
	}
	return string(bytes.TrimSpace(said))
}

// everything is a fingerprint of all rows of the application, the revocations that a restore adds apart.
const everything = `SELECT string_agg(md5(x::text), '' ORDER BY x::text) FROM (
	SELECT query_to_xml(format('SELECT md5(string_agg(t::text, %L ORDER BY t::text)) FROM app.%I t', '|', rel), false, false, '')::text || rel AS x
	  FROM app_private.rls_class WHERE rel NOT IN ('revocations', 'revocation_receipts', 'audit', 'sessions', 'rollout')) y`

// someData gives two users a row in every table.
func someData(t *testing.T, url string) {
	t.Helper()
	mustPsql(t, url, `\set ON_ERROR_STOP 1
		DO $$ DECLARE f text; u uuid; BEGIN
		FOREACH u IN ARRAY ARRAY['11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222']::uuid[] LOOP
		  FOR f IN SELECT fixture FROM app_private.rls_class WHERE rel <> 'rollout' ORDER BY ord, rel LOOP EXECUTE format(f, u); END LOOP;
		END LOOP; END $$;
		UPDATE app.transactions SET price = 10.10, note = 'the second revision';`)
}

func TestRunbookBackupAndRestore(t *testing.T) {
	b := openRunbook(t, "backup-and-restore.md")
	db := fresh(t)
	b.env["MIGRATE_DATABASE_URL"], b.env["DATABASE_URL"] = db.OwnerURL, db.URL
	b.env["REDIS_URL"] = devstack.Test(t).Redis(t).URL
	b.env["BACKUP_FILE"] = filepath.Join(t.TempDir(), "backup")
	someData(t, db.OwnerURL)
	before := mustPsql(t, db.OwnerURL, everything)
	b.do("backup")
	b.do("inspect")

	mustPsql(t, db.OwnerURL, "DELETE FROM app.portfolios; UPDATE app.users SET display_name = 'damaged'; DROP TABLE app.watchlists")
	b.do("in-place")
	same(t, db.OwnerURL, before)
	mustPsql(t, db.OwnerURL, "DELETE FROM app.portfolios; DROP TABLE app.watchlists")
	b.do("in-place-with-the-old-program")
	same(t, db.OwnerURL, before)
	b.do("revoke")
	if n := mustPsql(t, db.OwnerURL, "SELECT count(*) FROM app.revocations WHERE kind = 'all' AND not_before > now() - interval '1 minute'"); n != "1" {
		t.Errorf("revocations after the restore: %s", n)
	}

	b.env["NEW_NAME"] = "restored"
	b.env["NEW_MIGRATE_DATABASE_URL"] = strings.Replace(db.OwnerURL, "/"+db.Name, "/restored", 1)
	b.env["NEW_DATABASE_URL"] = strings.Replace(db.URL, "/"+db.Name, "/restored", 1)
	t.Cleanup(func() { mustPsqlLate(t, db.OwnerURL, "DROP DATABASE restored WITH (FORCE)") })
	b.do("new-database")
	same(t, b.env["NEW_MIGRATE_DATABASE_URL"], before)

	for _, name := range []string{"new-cluster", "missing-roles"} {
		stack, err := devstack.Start(t.Context(), devstack.Options{Dir: t.TempDir(), Unsafe: true})
		if err != nil {
			t.Fatal(err)
		}
		b.env["NEW_MIGRATE_DATABASE_URL"], b.env["NEW_DATABASE_URL"] = stack.OwnerURL, stack.DatabaseURL
		b.do(name)
		same(t, stack.OwnerURL, before)
		mustPass(t, stack.OwnerURL)
		if out := mustPsql(t, stack.DatabaseURL, "SELECT count(*) FROM app.users"); out != "0" {
			t.Errorf("%s: the runtime login without an identity sees %s users", name, out)
		}
		stack.Close()
	}
}

func same(t *testing.T, url, before string) {
	t.Helper()
	if after := mustPsql(t, url, everything); after != before {
		t.Errorf("the rows are not those of the backup")
	}
}

func mustPsqlLate(t *testing.T, url, sql string) {
	cmd := exec.Command(devstack.PostgresProgram(t, "psql"), "-X", "-q", url, "-c", sql)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %v: %s", sql, err, out)
	}
}

func TestTheOwnersDumpIsRefusedAndARowSecureOneIsEmpty(t *testing.T) {
	db := fresh(t)
	someData(t, db.OwnerURL)
	if out, code := run(t, "", devstack.PostgresProgram(t, "pg_dump"), db.OwnerURL, "--role=app", "--data-only", "--table=app.users"); code == 0 || !strings.Contains(out, "row-level security") {
		t.Errorf("pg_dump as the owner: %d %s", code, out)
	}
	out, code := run(t, "", devstack.PostgresProgram(t, "pg_dump"), db.OwnerURL, "--role=app", "--data-only", "--enable-row-security", "--table=app.users")
	if code != 0 || strings.Contains(out, "11111111") {
		t.Errorf("pg_dump --enable-row-security: %d %s", code, out)
	}
}

func TestRunbookPointInTimeRecovery(t *testing.T) {
	b := openRunbook(t, "point-in-time-recovery.md")
	b.as = devstack.Test(t).Account()
	home := devstack.Test(t).Folder(t)
	port := devstack.FreePort(t)
	b.env["PGDATA"], b.env["ARCHIVE"], b.env["BASE"] = home+"/data", home+"/archive", home+"/base"
	b.env["MIGRATE_DATABASE_URL"] = fmt.Sprintf("postgres://owner@127.0.0.1:%d/postgres?sslmode=disable", port)
	b.env["DATABASE_URL"] = fmt.Sprintf("postgres://rosetree_api:password@127.0.0.1:%d/postgres?sslmode=disable", port)
	b.env["REDIS_URL"] = devstack.Test(t).Redis(t).URL
	b.env["HOME"] = home
	endWithUs(t, "QUIT", b.env["PGDATA"]+"/postmaster.pid")
	b.sh(fmt.Sprintf(`mkdir "$ARCHIVE"; initdb -D "$PGDATA" -U owner -A trust --no-sync
		printf "port = %d\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\nshared_buffers = 16MB\n" >> "$PGDATA/postgresql.conf"
		pg_ctl start -w -D "$PGDATA" -l "$PGDATA.log"; rosetree migrate up`, port))
	url := b.env["MIGRATE_DATABASE_URL"]
	b.do("archive")
	b.do("base")
	someData(t, url) // after the base backup: it comes back from the log alone
	before := mustPsql(t, url, everything)
	time.Sleep(50 * time.Millisecond)
	b.env["GOOD_MOMENT"] = mustPsql(t, url, "SELECT clock_timestamp()")
	time.Sleep(50 * time.Millisecond)
	mustPsql(t, url, "DELETE FROM app.users; DROP TABLE app.transactions CASCADE")
	b.do("recover")
	same(t, url, before)
	b.do("after")
	mustPass(t, url)
	same(t, url, before)
}

func TestRunbookRedis(t *testing.T) {
	b := openRunbook(t, "redis-recovery.md")
	dir, port := t.TempDir(), devstack.FreePort(t)
	db := fresh(t)
	b.env["MIGRATE_DATABASE_URL"], b.env["DATABASE_URL"] = db.OwnerURL, db.URL
	b.env["REDIS_URL"], b.env["REDIS_DIR"], b.env["REDIS_BACKUP"] = fmt.Sprintf("redis://127.0.0.1:%d", port), dir, t.TempDir()
	b.env["REDIS_CONF"] = filepath.Join(t.TempDir(), "conf")
	pidFile := filepath.Join(dir, "pid")
	conf := fmt.Sprintf("bind 127.0.0.1\nport %d\ndir %s\npidfile %s\nsave \"\"\nappendonly yes\nnotify-keyspace-events Kgxe\n", port, dir, pidFile)
	if err := os.WriteFile(b.env["REDIS_CONF"], []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	endWithUs(t, "KILL", pidFile) // a TERM is refused while the append-only file is written anew
	b.sh(`redis-server "$REDIS_CONF" --daemonize yes; until redis-cli -u "$REDIS_URL" ping | grep PONG; do sleep 0.1; done
		redis-cli -u "$REDIS_URL" hset 'rt:s:{x}y' uid 1; redis-cli -u "$REDIS_URL" pexpire 'rt:s:{x}y' 600000`)
	restored := func(how string) {
		t.Helper()
		if out := b.sh(`redis-cli -u "$REDIS_URL" hget 'rt:s:{x}y' uid; redis-cli -u "$REDIS_URL" config get appendonly | tail -1; redis-cli -u "$REDIS_URL" persist 'rt:s:{x}y'`); out != "1\nyes\n1" {
			t.Errorf("%s: %q", how, out)
		}
	}
	b.do("save-rdb")
	b.do("save-aof")
	b.sh(`redis-cli -u "$REDIS_URL" flushall`)
	b.do("restore-rdb")
	restored("from the RDB file")
	b.sh(`redis-cli -u "$REDIS_URL" flushall`)
	b.do("restore-aof")
	restored("from the append-only file")
	b.sh(`rosetree migrate up; redis-cli -u "$REDIS_URL" flushall`)
	mustPsql(t, db.OwnerURL, `INSERT INTO app.users (id, email) VALUES ('11111111-1111-4111-8111-111111111111', 'a@b.c');`)
	if out := b.do("from-postgresql"); !strings.Contains(out, "0") {
		t.Errorf("%q", out)
	}
}
