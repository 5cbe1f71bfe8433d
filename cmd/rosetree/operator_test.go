package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"rosetree/auth"
	"rosetree/internal/devstack"
)

// operated is an operator's shell beside a real PostgreSQL and Redis.
type operated struct {
	t     *testing.T
	redis *devstack.Redis
}

func newOperated(t *testing.T) operated {
	t.Helper()
	env := devstack.Test(t)
	db := env.Empty(t)
	r := env.Redis(t)
	t.Setenv("DATABASE_URL", db.URL)
	t.Setenv("MIGRATE_DATABASE_URL", db.OwnerURL)
	t.Setenv("REDIS_URL", "redis://:"+r.Password+"@"+r.Addr)
	if out, err := rosetree(t, "migrate", "up"); err != nil {
		t.Fatalf("%s %v", out, err)
	}
	return operated{t, r}
}

// run is a command with input; its answer is decoded from JSON.
func (o operated) run(into any, input string, args ...string) {
	o.t.Helper()
	out, err := o.try(input, append(args, "--json")...)
	if err != nil {
		o.t.Fatalf("%v: %v %s", args, err, out)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), into); err != nil {
		o.t.Fatalf("%v: %v in %s", args, err, out)
	}
}

func (o operated) try(input string, args ...string) (string, error) {
	root, _ := newRoot()
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&bytes.Buffer{})
	root.SetIn(strings.NewReader(input))
	root.SetArgs(args)
	err := root.ExecuteContext(o.t.Context())
	return out.String(), err
}

func TestOperator_AccountsSwitchesSessionsAndTheAuditLog(t *testing.T) {
	o := newOperated(t)
	var u auth.User
	o.run(&u, "correct horse battery\n", "user", "add", "ada@example.test", "--name", "Ada")
	if u.Role != auth.RoleUser || u.DisplayName != "Ada" {
		t.Errorf("%+v", u)
	}
	if _, err := o.try("short\n", "user", "add", "eve@example.test"); err == nil || !strings.Contains(err.Error(), "password") {
		t.Errorf("a short password: %v", err)
	}
	o.run(&u, "", "user", "promote", "ada@example.test")
	if u.Role != auth.RoleAdmin {
		t.Errorf("promoted: %+v", u)
	}
	var all []auth.User
	o.run(&all, "", "user", "list")
	if len(all) != 1 {
		t.Errorf("%+v", all)
	}

	var s auth.RolloutState
	o.run(&s, "", "rollout", "set", "enabled=true", "percentage=12.5", "--reason", "first step")
	if !s.Effective.NewAuth || s.Effective.Percentage != 12.5 || s.Effective.Version != 1 {
		t.Errorf("%+v", s)
	}
	for _, wrong := range [][]string{{"percentage=101"}, {"enabled=maybe"}, {"percent=1"}, {"enabled"}} {
		if _, err := o.try("", append([]string{"rollout", "set", "--reason", "x"}, wrong...)...); err == nil {
			t.Errorf("%v is accepted", wrong)
		}
	}
	o.run(&s, "", "rollout", "get")
	if s.Effective.Percentage != 12.5 || !strings.HasPrefix(s.Actor, "operator") {
		t.Errorf("%+v", s)
	}
	s = auth.RolloutState{}
	o.run(&s, "", "rollout", "reset", "--reason", "done")
	if s.Effective.NewAuth || s.Override.NewAuth != nil {
		t.Errorf("reset: %+v", s)
	}

	imported := `{"id":"old-1","user_id":"` + string(u.ID) + `","created_at":"2026-01-01T00:00:00Z","expires_at":"` + time.Now().Add(time.Hour).UTC().Format(time.RFC3339) + `"}`
	var p auth.Progress
	o.run(&p, imported, "sessions", "migrate-legacy", "--from", "-")
	if p.Made != 1 {
		t.Errorf("migrated: %+v", p)
	}
	o.run(&p, "", "sessions", "migrate-legacy")
	if p.Made != 0 || p.Total != 0 {
		t.Errorf("migrated again: %+v", p)
	}
	o.redis.Client(t).FlushDB(t.Context())
	o.run(&p, "", "sessions", "restore")
	if p.Made != 1 {
		t.Errorf("restored: %+v", p)
	}
	var page auth.SessionPage
	o.run(&page, "", "sessions", "list", "--user", "ada@example.test")
	if len(page.Sessions) != 2 {
		t.Fatalf("%+v", page)
	}
	if _, err := o.try("", "sessions", "revoke", "--all", "--reason", "x"); err == nil {
		t.Error("everybody was signed out without --confirm all")
	}
	var r auth.Receipt
	o.run(&r, "", "sessions", "revoke", "--user", "ada@example.test", "--reason", "test")
	if !r.Durable || r.Sessions != 2 {
		t.Errorf("%+v", r)
	}
	if n := o.redis.Client(t).Keys(t.Context(), "rt:s:*").Val(); len(n) != 0 {
		t.Errorf("left: %v", n)
	}

	var verdict struct {
		Lines int
		Whole bool
	}
	o.run(&verdict, "", "audit", "verify")
	out, err := o.try("", "audit", "export")
	if err != nil || !verdict.Whole || strings.Count(out, "\n") != verdict.Lines || verdict.Lines != 6 {
		t.Errorf("%+v, %v:\n%s", verdict, err, out)
	}
}

// Killed between Redis and the record, it leaves a session that no list shows; the next run finishes that too.
func TestOperator_AMigrationThatIsKilledIsFinishedByTheNextOne(t *testing.T) {
	o := newOperated(t)
	bin := program(t)
	const n = 5
	var old strings.Builder
	for i := range n {
		fmt.Fprintf(&old, `{"id":"old-%d","user_id":"0190a000-0000-7000-8000-%012d","created_at":"2026-01-01T00:00:00Z","expires_at":%q}`+"\n",
			i, i, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	}
	owner, err := pgx.Connect(t.Context(), os.Getenv("MIGRATE_DATABASE_URL"))
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close(context.Background())
	count := func(sql string) (n int) {
		if err := owner.QueryRow(t.Context(), `SELECT count(*) FROM `+sql).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	migrated := func() int { return count(`app.sessions WHERE via = 'session'`) }
	hanging := func() int {
		return count(`pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'`)
	}
	if _, err := owner.Exec(t.Context(), `CREATE FUNCTION public.hang() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		IF NEW.via = 'session' THEN PERFORM pg_advisory_xact_lock(1); END IF; RETURN NEW; END $$;
		CREATE TRIGGER hang BEFORE INSERT ON app.sessions FOR EACH ROW EXECUTE FUNCTION public.hang(); SELECT pg_advisory_lock(1)`); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, "sessions", "migrate-legacy", "--from", "-", "--json")
	cmd.Stdin = strings.NewReader(old.String())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	inRedis := func() int { return len(o.redis.Client(t).Keys(t.Context(), "rt:s:*").Val()) }
	eventually(t, "a session in Redis and its record on the way", func() bool { return inRedis() == 1 && hanging() == 1 })
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	for _, sql := range []string{ // the record's COMMIT is with PostgreSQL already, and must not come true
		`SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'`,
		`SELECT pg_advisory_unlock(1)`, `DROP TRIGGER hang ON app.sessions`} {
		if _, err := owner.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	if n := migrated(); n != 0 || inRedis() != 1 {
		t.Fatalf("nothing was killed in between: %d records, %d in Redis", n, inRedis())
	}
	var p auth.Progress
	o.run(&p, "", "sessions", "migrate-legacy")
	if p.Made != n || migrated() != n || inRedis() != n {
		t.Errorf("finished: %+v, %d records, %d in Redis", p, migrated(), inRedis())
	}
}
