package auth

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"rosetree/internal/devstack"
)

// fillTables makes every user table as large as it has to be for a plan to mean something. ROSETREE_RLS_ROWS=2000000
// is the full promise; an ordinary run has a sample.
func fillTables(t *testing.T, d devstack.DB) {
	t.Helper()
	rows := 60_000
	if n, err := strconv.Atoi(os.Getenv("ROSETREE_RLS_ROWS")); err == nil {
		rows = n
	}
	users := max(rows/100, 1000)
	conn := superuser(t, d)
	for _, sql := range []string{
		"set session_replication_role = replica; set synchronous_commit = off", // no triggers: only the size counts
		"create temp table u as select gen_random_uuid() id, n from generate_series(1, {users}) n",
		"insert into app.users (id, email) select id, n || '@example.com' from u",
		"insert into app.credentials (user_id, email_key) select id, n || '@example.com' from u",
		"insert into app.sessions (id, user_id, expires_at, ended_at, via, legacy_id) select 's' || k || '-' || n, id, now() + interval '1 day', case when k > 1 then now() end, case k when 5 then 'legacy' else 'session' end, case k when 4 then 's5-' || n else '' end from u, generate_series(1, 5) k",
		"insert into app.portfolios (user_id, id, name) select id, id, 'P' from u",
		"insert into app.accounts (user_id, id, portfolio_id) select id, id, id from u",
		"insert into app.imports (user_id, id, portfolio_id, account_id, format) select id, id, id, id, 'csv' from u",
		`insert into app.transactions (user_id, id, portfolio_id, account_id, seq, type, symbol, quantity, price, currency, executed_at) select id, gen_random_uuid(), id, id, k, 'buy', 'S' || k % 20, k, 1, 'USD', now() - k * interval '1 day'
			from u, generate_series(1, {rows} / {users}) k`,
		"insert into app.transaction_versions (user_id, transaction_id, revision, portfolio_id, state) select user_id, id, 1, portfolio_id, '{}' from app.transactions where seq % 10 = 0",
		"insert into app.idempotency (user_id, key, request_hash) select id, k::text, '' from u, generate_series(1, 5) k",
		"insert into app.portfolio_outbox (user_id, portfolio_id, version) select id, id, 1 from u, generate_series(1, 2)",
		"insert into app.portfolio_grants (user_id, id, portfolio_id, grantee_id, grantee_email) select id, gen_random_uuid(), id, gen_random_uuid(), k::text from u, generate_series(1, 3) k",
		"insert into app.import_templates (user_id, id, name, mapping) select id, gen_random_uuid(), 'T', '{}' from u",
		"insert into app.watchlists (user_id, id, name) select id, gen_random_uuid(), 'W' from u, generate_series(1, 3)",
		"insert into app.alerts (user_id, id, symbol, kind, threshold, armed) select id, gen_random_uuid(), 'S1', 'above', 1, k = 1 from u, generate_series(1, 3) k",
		"insert into app.alert_firings (user_id, id, alert_id, symbol, kind, threshold, price, price_at, fired_at, seen_at, webhook_next) select id, gen_random_uuid(), id, 'S1', 'above', 1, 1, now(), now() - k * interval '1 day', case when k > 1 then now() end, case when k = 1 and n % 100 = 0 then now() end from u, generate_series(1, 5) k",
		"insert into app.user_instruments (user_id, symbol, currency) select id, 'M' || k, 'USD' from u, generate_series(1, 3) k",
		"insert into app.user_prices (user_id, symbol, date, close) select id, 'M1', date '2020-01-01' + k, 1 from u, generate_series(1, 10) k",
		"analyze",
	} {
		sql = strings.NewReplacer("{rows}", strconv.Itoa(rows), "{users}", strconv.Itoa(users)).Replace(sql)
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

// wholeTable lists the queries that may read a whole user table, with the reason.
var wholeTable = map[string]string{
	selectDearestBcrypt: "once in five minutes, and a row security policy keeps a regular expression from any index",
	"SELECT " + userColumns + " FROM app.users u ORDER BY u.created_at, u.id":                                                                                 "'rosetree user list' lists all users",
	"SELECT a.id::text, a.user_id::text, a.symbol, a.revision, a.kind, a.threshold::text, a.shares_at, a.armed FROM app.alerts a WHERE a.armed OR NOT a.once": "once at the start a server learns all alerts that can fire",
}

func TestEveryShippedQueryIsPlannedByItsOwnersIndex(t *testing.T) {
	all, unknown := shipped(t)
	if len(all) < 20 {
		t.Fatalf("only %d queries were found in the source", len(all))
	}
	for _, at := range unknown {
		t.Errorf("%s: a query that this test cannot put together, and so cannot explain: make it of constants, or add its builder to built", at)
	}
	d := devstack.Test(t).Database(t, migrate)
	fillTables(t, d)
	tables := userTables(t, d)
	conn := raw(t, d) // a plan does not depend on who asks: the identity is looked up when it runs
	if _, err := conn.Exec(t.Context(), "set plan_cache_mode = force_generic_plan"); err != nil {
		t.Fatal(err)
	}
	for i, s := range all {
		explain(t, conn, "shipped_"+strconv.Itoa(i), s, tables)
	}
	t.Logf("%d queries", len(all))
}

func userTables(t *testing.T, d devstack.DB) []string {
	t.Helper()
	var names []string
	if err := superuser(t, d).QueryRow(t.Context(), "select array_agg(rel::text) from app_private.rls_class where owner_col is not null").Scan(&names); err != nil {
		t.Fatal(err)
	}
	return names
}

var placeholder = regexp.MustCompile(`\$(\d+)`)

func explain(t *testing.T, conn *pgx.Conn, name string, s statement, tables []string) {
	count := 0
	for _, m := range placeholder.FindAllStringSubmatch(s.sql, -1) {
		n, _ := strconv.Atoi(m[1])
		count = max(count, n)
	}
	arguments := strings.TrimSuffix(strings.Repeat("null, ", count), ", ")
	if count > 0 {
		arguments = "(" + arguments + ")"
	}
	if _, err := conn.PgConn().Exec(t.Context(), "prepare "+name+" as "+s.sql).ReadAll(); err != nil {
		t.Errorf("%s: %s: %v", s.at, s.sql, err)
		return
	}
	results, err := conn.PgConn().Exec(t.Context(), "explain (verbose, costs off) execute "+name+arguments).ReadAll()
	if err != nil {
		t.Errorf("%s: %s: %v", s.at, s.sql, err)
		return
	}
	var plan strings.Builder
	for _, row := range results[0].Rows {
		plan.Write(row[0])
		plan.WriteByte('\n')
	}
	if fault := faultOf(plan.String(), tables, strings.Count(s.sql, "app.uid()")); fault != "" && wholeTable[s.sql] == "" {
		t.Errorf("%s: %s\n%s:\n%s", s.at, s.sql, fault, plan.String())
	}
}

// faultOf looks for one InitPlan per user's table, and for no scan of a whole one. asked is how often the query itself says app.uid().
func faultOf(plan string, tables []string, asked int) string {
	uses, users, services := 0, strings.Count(plan, "Output: app.uid()"), strings.Count(plan, "Output: app.service()")
	for line := range strings.Lines(plan) {
		line = strings.TrimSpace(line)
		for _, table := range tables {
			if at := " on app." + table; strings.HasSuffix(line, at) || strings.Contains(line, at+" ") {
				uses++
				if strings.Contains(line, "Seq Scan") {
					return "reads the whole table " + table
				}
			}
		}
		if (strings.HasPrefix(line, "Filter:") || strings.Contains(line, "Cond:")) && (strings.Contains(line, "app.uid()") || strings.Contains(line, "app.service()")) {
			return "asks for the identity once per row"
		}
	}
	writes := strings.Contains(plan, "Insert on") || strings.Contains(plan, "Update on") || strings.Contains(plan, "Delete on") || strings.Contains(plan, "Merge on")
	switch {
	case uses > 0 && users+services == 0:
		return "asks for no identity"
	case !writes && users > uses+asked: // a write also checks the new row, by the policy and by the floor: each of them an InitPlan too
		return fmt.Sprintf("has %d InitPlans of app.uid() for %d uses of a user's table", users, uses)
	}
	return ""
}
