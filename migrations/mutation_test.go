package migrations_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// breaks are deliberate holes in the schema. The self-test must name each.
var breaks = map[string]string{
	// policies
	"row security off":                  "ALTER TABLE app.transactions DISABLE ROW LEVEL SECURITY",
	"row security not forced":           "ALTER TABLE app.portfolios NO FORCE ROW LEVEL SECURITY",
	"everybody reads":                   "CREATE POLICY x ON app.transactions FOR SELECT USING (true)",
	"the runtime role reads all":        "CREATE POLICY x ON app.accounts FOR SELECT TO rosetree_api USING (true)",
	"the runtime role writes all":       "ALTER POLICY may_insert ON app.transactions WITH CHECK (true)",
	"a row may be given away":           "ALTER POLICY may_update ON app.portfolios WITH CHECK (true)",
	"the policy is not wrapped":         "ALTER POLICY may_select ON app.transactions USING (user_id = app.uid())",
	"the policy reads a setting":        "ALTER POLICY may_select ON app.transactions USING (user_id = current_setting('rosetree.uid', true)::uuid)",
	"a policy is widened":               "ALTER POLICY may_select ON app.watchlists USING (user_id = (SELECT app.uid()) OR symbols = '{}')",
	"a policy is gone":                  "DROP POLICY may_select ON app.alerts",
	"the floor is gone":                 "DROP POLICY floor_select ON app.transactions",
	"the floor is wide":                 "ALTER POLICY floor_update ON app.accounts USING (true) WITH CHECK (true)",
	"the policy moves to another role":  "ALTER POLICY may_select ON app.portfolios TO PUBLIC",
	"the feed role reads users' rows":   "CREATE POLICY x ON app.alerts FOR SELECT TO rosetree_feed USING (true); GRANT SELECT ON app.alerts TO rosetree_feed",
	"another service reads credentials": "ALTER POLICY may_select ON app.credentials USING ((SELECT app.service()) IS NOT NULL)",
	"users write their own role":        "ALTER POLICY may_update ON app.users USING (id = (SELECT app.uid())) WITH CHECK (id = (SELECT app.uid()))",
	"the classes are widened":           "INSERT INTO app_private.rls_access VALUES ('credentials', 'owner', '{SELECT}')",
	"a class loses its owner":           "UPDATE app_private.rls_class SET owner_col = NULL WHERE rel = 'transactions'; UPDATE app_private.rls_access SET who = 'auth' WHERE rel = 'transactions'; SELECT app_private.protect()",
	"a class is gone":                   "DELETE FROM app_private.rls_class WHERE rel = 'watchlists'",
	"a fixture is gone":                 "UPDATE app_private.rls_class SET fixture = '' WHERE rel = 'watchlists'",
	"a fixture inserts nothing":         "UPDATE app_private.rls_class SET fixture = 'SELECT %1$L' WHERE rel = 'watchlists'",
	"the legacy door is opened":         "INSERT INTO app_private.legacy VALUES ('alerts')",
	"the legacy role bypasses":          "ALTER ROLE rosetree_legacy BYPASSRLS",
	// identity
	"uid() believes a setting":         "CREATE OR REPLACE FUNCTION app.uid() RETURNS uuid LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$ BEGIN RETURN nullif(current_setting('rosetree.uid', true), '')::uuid; END $$",
	"uid() does not check the MAC":     "CREATE OR REPLACE FUNCTION app.uid() RETURNS uuid LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$ BEGIN RETURN nullif(split_part(current_setting('rosetree.ctx', true), '.', 4), '')::uuid; END $$",
	"uid() does not check the time":    mutate("> 150.5", "> 1e12"),
	"uid() takes any life":             mutate("'149.5 s')) > 150.5", "'1e6 s')) > 1e6 + 1"),
	"uid() does not check the backend": mutate("<> pg_backend_pid()::text", "= 'x'"),
	"uid() takes any scope":            mutate("CASE split_part(tok, '.', 3) WHEN 'u' THEN split_part(tok, '.', 4) END", "split_part(tok, '.', 4)"),
	"uid() is volatile":                "ALTER FUNCTION app.uid() VOLATILE",
	"uid() runs as its caller":         "ALTER FUNCTION app.uid() SECURITY INVOKER",
	"uid() has a loose search_path":    "ALTER FUNCTION app.uid() RESET search_path",
	"service() trusts users":           "CREATE OR REPLACE FUNCTION app.service() RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$ BEGIN RETURN coalesce(nullif(split_part(current_setting('rosetree.ctx', true), '.', 3), 'u'), 'auth'); END $$",
	"a context is preset":              "ALTER ROLE rosetree_api SET rosetree.ctx = 'v1.x'",
	// grants
	"truncate":                       "GRANT TRUNCATE ON app.transactions TO rosetree_api",
	"references":                     "GRANT REFERENCES ON app.users TO rosetree_api",
	"trigger":                        "GRANT TRIGGER ON app.users TO rosetree_api",
	"everything for PUBLIC":          "GRANT SELECT ON app.transactions TO PUBLIC",
	"a column":                       "GRANT UPDATE (role) ON app.users TO rosetree_feed",
	"a delete that nobody asked for": "GRANT DELETE ON app.transactions TO rosetree_api",
	"a missing grant":                "REVOKE SELECT ON app.transactions FROM rosetree_api",
	"the private schema":             "GRANT USAGE ON SCHEMA app_private TO rosetree_api",
	"the key table":                  "GRANT USAGE ON SCHEMA app_private TO PUBLIC; GRANT SELECT ON app_private.ctx_key TO PUBLIC",
	"a signing oracle":               "CREATE FUNCTION app.sign(u uuid) RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = '' AS $$ SELECT app_private.mint_ctx('1', 'u', u) $$; GRANT EXECUTE ON FUNCTION app.sign(uuid) TO rosetree_api",
	"temporary tables":               "DO $$ BEGIN EXECUTE format('GRANT TEMP ON DATABASE %I TO PUBLIC', current_database()); END $$",
	"create in public":               "GRANT CREATE ON SCHEMA public TO PUBLIC",
	"create in app":                  "GRANT CREATE ON SCHEMA app TO rosetree_api",
	"a sequence":                     "GRANT USAGE ON SEQUENCE app.revocations_id_seq TO rosetree_api",
	// roles
	"the runtime role bypasses":       "ALTER ROLE rosetree_api BYPASSRLS",
	"the runtime role is a superuser": "ALTER ROLE rosetree_api SUPERUSER",
	"the runtime role makes roles":    "ALTER ROLE rosetree_api CREATEROLE",
	"bypass by membership":            "CREATE ROLE helper BYPASSRLS; GRANT helper TO rosetree_api",
	"read everything by membership":   "GRANT pg_read_all_data TO rosetree_api",
	"the runtime role is the old one": "REVOKE rosetree_legacy FROM app; GRANT rosetree_legacy TO rosetree_api",
	"the owner logs in":               "ALTER ROLE app LOGIN",
	"the runtime role owns a table":   "GRANT CREATE ON SCHEMA app TO rosetree_api; ALTER TABLE app.watchlists OWNER TO rosetree_api; REVOKE CREATE ON SCHEMA app FROM rosetree_api",
	// ways around
	"a view":                          "CREATE VIEW app.v AS SELECT * FROM app.transactions; GRANT SELECT ON app.v TO rosetree_api",
	"a view elsewhere":                "CREATE VIEW public.v AS SELECT * FROM app.transactions; GRANT SELECT ON public.v TO rosetree_api",
	"a materialized view":             "CREATE MATERIALIZED VIEW app.m AS SELECT * FROM app.transactions; GRANT SELECT ON app.m TO rosetree_api",
	"a definer function":              "CREATE FUNCTION app.peek() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = '' AS 'SELECT count(*) FROM app.users'; GRANT EXECUTE ON FUNCTION app.peek() TO rosetree_api",
	"a definer function in public":    "CREATE FUNCTION public.peek() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM app.users'",
	"a copy of the rows":              "CREATE TABLE public.copy AS SELECT * FROM app.users; GRANT SELECT ON public.copy TO PUBLIC",
	"a trigger that tells":            "CREATE FUNCTION public.tell() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN NEW; END'; REVOKE ALL ON FUNCTION public.tell() FROM PUBLIC; CREATE TRIGGER tell AFTER INSERT ON app.transactions FOR EACH ROW EXECUTE FUNCTION public.tell()",
	"a rule":                          "CREATE RULE r AS ON INSERT TO app.watchlists DO ALSO NOTIFY x",
	"an unclassified table":           "CREATE TABLE app.extra (user_id uuid, x int)",
	"a unique key over all users":     "ALTER TABLE app.watchlists ADD UNIQUE (name)",
	"a foreign key without the owner": "ALTER TABLE app.portfolios ADD COLUMN z uuid UNIQUE; ALTER TABLE app.watchlists ADD COLUMN p uuid REFERENCES app.portfolios (z)",
	"an owner that may be null":       "ALTER TABLE app.portfolio_outbox ALTER user_id DROP NOT NULL",
	"no index on the owner":           "DROP INDEX app.portfolio_outbox_user",
	"a partition beside the policies": "CREATE TABLE app.part (user_id uuid NOT NULL, x int) PARTITION BY RANGE (x); CREATE TABLE app.part_1 PARTITION OF app.part DEFAULT; GRANT SELECT ON app.part_1 TO rosetree_api",
	// what must stay written
	"audit can be changed":              "DROP TRIGGER append_only ON app.audit",
	"audit's trigger sleeps":            "ALTER TABLE app.audit DISABLE TRIGGER append_only",
	"audit is not chained":              "DROP TRIGGER chain ON app.audit",
	"a revocation can be undone":        "DROP TRIGGER past_only ON app.revocations",
	"a revocation can be changed":       "DROP TRIGGER append_only ON app.revocations",
	"changes of portfolios are silent":  "DROP TRIGGER news_update ON app.portfolios",
	"transactions do not touch":         "DROP TRIGGER touch_insert ON app.transactions",
	"the past of a transaction is lost": "ALTER TABLE app.transactions DISABLE TRIGGER keep_update",
	"portfolios keep their version":     "DROP TRIGGER a_version ON app.portfolios",
}

// mutate is app.uid() with one thing changed.
func mutate(from, to string) string {
	q := strings.NewReplacer("'", "''").Replace
	unquote := strings.NewReplacer("''", "'").Replace
	return fmt.Sprintf(`DO $do$ DECLARE d text := pg_get_functiondef('app.uid()'::regprocedure); BEGIN
		IF strpos(d, '%s') = 0 THEN RAISE EXCEPTION 'nothing to mutate'; END IF; EXECUTE replace(d, '%s', '%s'); END $do$`, q(unquote(from)), q(unquote(from)), q(unquote(to)))
}

func TestTheSelfTestCatchesEveryBreak(t *testing.T) {
	conn := connect(t, fresh(t).OwnerURL)
	if err := selfTestAfter(t, conn, "SELECT 1"); err != nil {
		t.Fatalf("unbroken: %v", err)
	}
	for name, sql := range breaks {
		t.Run(name, func(t *testing.T) {
			err := selfTestAfter(t, conn, sql)
			if pg, ok := errors.AsType[*pgconn.PgError](err); !ok || pg.Code != "RT900" {
				t.Errorf("%s\nthe self-test says %v", sql, err)
			}
		})
	}
	t.Logf("%d breaks", len(breaks))
}

// selfTestAfter changes the schema, runs the self-test, and takes the change back.
func selfTestAfter(t *testing.T, conn *pgx.Conn, change string) error {
	t.Helper()
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	if _, err := conn.PgConn().Exec(t.Context(), change).ReadAll(); err != nil {
		t.Fatalf("the break itself is refused: %v", err)
	}
	_, err = tx.Exec(t.Context(), "SET LOCAL statement_timeout = '20s'; SELECT app.test_rls_isolation()")
	return err
}

func TestWhateverIsAddedMustBeClassified(t *testing.T) {
	conn := connect(t, fresh(t).OwnerURL)
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	for i := range 25 {
		var columns strings.Builder
		columns.WriteString("id uuid PRIMARY KEY")
		for n := range 1 + r.IntN(4) {
			columns.WriteString(fmt.Sprintf(", c%d %s%s", n, pick("int", "text", "numeric", "jsonb", "uuid"), pick("", " NOT NULL DEFAULT NULL", " UNIQUE")))
		}
		var change strings.Builder
		change.WriteString(fmt.Sprintf("CREATE %sTABLE app.t%d (%s%s)", pick("", "UNLOGGED "), i, columns.String(), pick("", ", user_id uuid", ", user_id uuid NOT NULL REFERENCES app.users (id)")))
		for _, more := range []string{"ALTER TABLE app.t%d ENABLE ROW LEVEL SECURITY", "ALTER TABLE app.t%d FORCE ROW LEVEL SECURITY", "GRANT SELECT ON app.t%d TO rosetree_api", "CREATE POLICY p ON app.t%d USING (true)"} {
			if r.IntN(2) == 0 {
				change.WriteString("; " + fmt.Sprintf(more, i))
			}
		}
		if err := selfTestAfter(t, conn, strings.ReplaceAll(change.String(), " NOT NULL DEFAULT NULL", " NOT NULL")); err == nil {
			t.Errorf("seed %d: %s\npasses the self-test", seed, change.String())
		}
	}
}

func TestANewTableThatIsClassifiedPasses(t *testing.T) {
	conn := connect(t, fresh(t).OwnerURL)
	err := selfTestAfter(t, conn, `SET ROLE app; CREATE TABLE app.goals (user_id uuid NOT NULL REFERENCES app.users (id) ON DELETE CASCADE, id uuid NOT NULL, what text NOT NULL, PRIMARY KEY (user_id, id));
		INSERT INTO app_private.rls_class VALUES ('goals', 'user_id', 2, 'INSERT INTO app.goals VALUES (%1$L, %1$L, ''self-test'')');
		INSERT INTO app_private.rls_access VALUES ('goals', 'owner', '{SELECT,INSERT,UPDATE,DELETE}'); SELECT app_private.protect(); RESET ROLE`)
	if err != nil {
		t.Error(err)
	}
}
