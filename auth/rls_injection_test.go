package auth

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"rosetree/internal/devstack"
)

const secretOfVictim = "VICTIMS-SECRET"

// injections is the corpus, with whose words are filled in.
func injections(t *testing.T, words *strings.Replacer) (all []string) {
	t.Helper()
	text, err := os.ReadFile("testdata/injections.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		kind, payload, _ := strings.Cut(line, " ")
		if kind == "[q]" {
			payload = "select note from app.transactions where user_id = '{me}' and symbol = '" + payload
		}
		all = append(all, words.Replace(payload))
	}
	return all
}

// vulnerable is the deliberate hole: a statement that an attacker wrote, run with the attacker's identity.
// It returns everything that comes back, errors included.
func vulnerable(t *testing.T, rows Rows, sql string) string {
	var seen strings.Builder
	var b pgx.Batch
	b.Queue(sql).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			values, err := rows.Values()
			if err != nil {
				return err
			}
			fmt.Fprintln(&seen, values...)
		}
		return nil
	})
	err := rows.Do(t.Context(), &b)
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		fmt.Fprintln(&seen, pg.Message, pg.Detail, pg.Hint, pg.Where)
	}
	return seen.String()
}

func TestInjectedSQLNeverReachesAnotherUsersRows(t *testing.T) {
	d := devstack.Test(t).Database(t, migrate)
	db, who, all := openDB(t, d), seedUsers(t, d, 2, 5), superuser(t, d)
	me, victim := string(who[0].User), string(who[1].User)
	if _, err := all.Exec(t.Context(), "update app.transactions set note = '"+secretOfVictim+"' || symbol where user_id = '"+victim+"'; update app.portfolios set name = '"+secretOfVictim+
		"' where user_id = '"+victim+"'; update app.users set email = '"+secretOfVictim+"@x.y' where id = '"+victim+"'; insert into app.credentials values ('"+victim+"', '"+secretOfVictim+"'); analyze app.transactions"); err != nil {
		t.Fatal(err)
	}
	const state = `select md5(string_agg(x, '|' order by x)) from (select t::text x from app.transactions t where user_id = $1 union all select p::text from app.portfolios p where user_id = $1
		union all select u::text from app.users u union all select s::text from app.sessions s union all select o::text from app.portfolio_outbox o where version = 99 or user_id = $1) y`
	var before, after string
	if err := all.QueryRow(t.Context(), state, victim).Scan(&before); err != nil {
		t.Fatal(err)
	}
	forged := db.signer.mint(scopeUser, me, time.Now(), contextTTL, 0)
	words := strings.NewReplacer("{me}", me, "{v}", victim, "{forged}", strings.Replace(forged, me, victim, 1))
	corpus := injections(t, words)
	for _, sql := range corpus {
		if seen := vulnerable(t, db.As(who[0]), sql); strings.Contains(seen, secretOfVictim) {
			t.Errorf("%s\nshows %s", sql, seen)
		} else if strings.Contains(seen, "syntax error") {
			t.Errorf("%s\nis no SQL, so it proves nothing: %s", sql, seen)
		}
		if rows, left, err := unbound(t.Context(), db.pool); err == nil && (rows != 0 && left == "" || strings.Contains(left, victim)) {
			t.Errorf("%s\nleaves %d rows to the next unbound query, context %q", sql, rows, left)
		}
		var seen []string
		if err := oneRow(t.Context(), db.As(who[1]), &seen, "select array_agg(distinct user_id::text) from app.transactions"); err != nil || len(seen) != 1 || seen[0] != victim {
			// the one statement that may spoil a connection does so before the bind runs, and is refused (see the poisoned session)
			if sqlState(err) != "42501" {
				t.Errorf("%s\nafter it the next user sees %v, %v", sql, seen, err)
			}
		}
	}
	if err := all.QueryRow(t.Context(), state, victim).Scan(&after); err != nil || before != after {
		t.Errorf("the victim's rows were changed, %v", err)
	}
	t.Logf("%d injections", len(corpus))
}

func TestThisCorpusWouldSucceedWithoutRowSecurity(t *testing.T) {
	d := devstack.Test(t).Database(t, migrate)
	db, who, all := openDB(t, d), seedUsers(t, d, 2, 5), superuser(t, d)
	victim := string(who[1].User)
	if _, err := all.Exec(t.Context(), "update app.transactions set note = '"+secretOfVictim+"' where user_id = '"+victim+"'; alter table app.transactions disable row level security; alter table app.transactions no force row level security"); err != nil {
		t.Fatal(err)
	}
	words := strings.NewReplacer("{me}", string(who[0].User), "{v}", victim, "{forged}", "x")
	leaks := 0
	for _, sql := range injections(t, words)[:20] { // the plain ones; later ones change rows
		if strings.Contains(vulnerable(t, db.As(who[0]), sql), secretOfVictim) {
			leaks++
		}
	}
	if leaks < 10 {
		t.Errorf("only %d of 20 leak where nothing holds them: the corpus proves little", leaks)
	}
}

// A hostile statement leaves session settings behind. The next user is unaffected or refused, never misled.
func TestAPoisonedSessionIsHarmlessOrDropped(t *testing.T) {
	d := devstack.Test(t).Database(t, migrate)
	who := seedUsers(t, d, 3, 3)
	db, err := OpenDB(t.Context(), DBConfig{URL: Secret(d.URL), MaxConns: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	mine := func(p Principal) ([]string, error) {
		var seen []string
		err := oneRow(t.Context(), db.As(p), &seen, "select array_agg(distinct user_id::text) from app.transactions")
		return seen, err
	}
	attacker, next := who[0], who[1]
	poison := func(sql string) {
		t.Helper()
		if err := oneRow(t.Context(), db.As(attacker), new(string), sql); err != nil {
			t.Fatal(err)
		}
	}
	poison("select set_config('rosetree.ctx', current_setting('rosetree.ctx'), false) || set_config('search_path', 'pg_temp', false) || set_config('role', 'none', false)")
	if seen, err := mine(next); err != nil || len(seen) != 1 || seen[0] != string(next.User) {
		t.Errorf("after a foreign context was left in the session: %v, %v", seen, err)
	}
	conns := db.pool.Stat().NewConnsCount()
	poison("select set_config('row_security', 'off', false)")
	if err := oneRow(t.Context(), db.As(next), new(int), "select count(*) from app.accounts"); sqlState(err) != "42501" {
		t.Errorf("with row security off: %v", err)
	}
	if seen, err := mine(next); err != nil || len(seen) != 1 || seen[0] != string(next.User) {
		t.Errorf("on the next connection: %v, %v", seen, err)
	}
	if got := db.pool.Stat().NewConnsCount(); got != conns+1 {
		t.Errorf("the poisoned connection was kept: %d connections made, want %d", got, conns+1)
	}
	poison("select set_config('statement_timeout', '1', false)")
	_ = oneRow(t.Context(), db.As(next), new(string), "select pg_sleep(0.1)::text") // is cut off, and its connection with it
	if err := oneRow(t.Context(), db.As(next), new(string), "select pg_sleep(0.1)::text"); err != nil {
		t.Errorf("a hostile timeout outlives its victim: %v", err)
	}
}

// What meets a refused identity or privilege is counted, which raises the alert, and its connection is given to nobody else.
func TestARefusalIsCountedAndDropsItsConnection(t *testing.T) {
	d := devstack.Test(t).Database(t, migrate)
	who, reg := seedUsers(t, d, 2, 1), newRegistry()
	db, err := OpenDB(t.Context(), DBConfig{URL: Secret(d.URL), MaxConns: 1}, reg)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	me, victim := string(who[0].User), string(who[1].User)
	sign := func(at time.Time, pid uint32) string { return db.signer.mint(scopeUser, me, at, contextTTL, pid) }
	for code, sql := range map[string]string{
		"RT001": rebound(strings.Replace(sign(time.Now(), 0), me, victim, 1)),
		"RT002": rebound(sign(time.Now().Add(-time.Hour), 0)),
		"RT003": rebound(sign(time.Now(), 1)),
		"42501": "select kid from app_private.ctx_key",
	} {
		made := db.pool.Stat().NewConnsCount()
		if err := oneRow(t.Context(), db.As(who[0]), new(string), sql); sqlState(err) != code {
			t.Errorf("%s: %v", code, err)
		}
		if err := oneRow(t.Context(), db.As(who[1]), new(int), "select 1"); err != nil {
			t.Errorf("the next user after %s: %v", code, err)
		}
		if got := db.pool.Stat().NewConnsCount(); got != made+1 {
			t.Errorf("after %s %d connections were made, want 1: the refused one goes to nobody", code, got-made)
		}
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counted := map[string]float64{}
	for _, f := range families {
		if f.GetName() == "rosetree_auth_isolation_refusals_total" {
			for _, m := range f.GetMetric() {
				counted[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	if want := map[string]float64{"RT001": 1, "RT002": 1, "RT003": 1, "42501": 1, "other": 0}; !maps.Equal(counted, want) {
		t.Errorf("counted %v, want %v", counted, want)
	}
}

// rebound is a read that another context is pushed under.
func rebound(token string) string {
	return "select h.note from (select set_config('rosetree.ctx', '" + token + "', true) offset 0) s cross join lateral (select note from app.transactions offset 0) h"
}
