package migrations_test

import (
	"path/filepath"
	"strings"
	"testing"

	"rosetree/internal/devstack"
)

func legacy(t *testing.T) (owner, oldProgram string) {
	db := empty(t)
	mustPsql(t, db.OwnerURL, file(t, "testdata/legacy.sql"))
	return db.OwnerURL, as(t, db.OwnerURL, "tracker", "tracker")
}

const oldRows = `SELECT 'users', to_jsonb(u) - 'updated_at' FROM public.users u UNION ALL SELECT 'portfolios', to_jsonb(p) FROM public.portfolios p
	UNION ALL SELECT 'transactions', to_jsonb(x) - 'quantity' - 'symbol' || jsonb_build_object('quantity', abs(x.quantity), 'symbol', upper(x.symbol)) FROM public.transactions x
	UNION ALL SELECT 'watchlist', to_jsonb(w) FROM public.watchlist w ORDER BY 1, 2;`

func TestALegacyDatabaseIsAdoptedWithoutLosingARow(t *testing.T) {
	owner, old := legacy(t)
	before := mustPsql(t, old, oldRows)
	mustPsql(t, owner, schema(t))
	mustPass(t, owner)
	after := mustPsql(t, old, oldRows) // the old program's own login, through its own names
	// Names were nullable; ours are not. Everything else reads as before.
	if after = strings.ReplaceAll(after, `"name": ""`, `"name": null`); sorted(after) != sorted(before) {
		t.Errorf("the old program sees something else:\n%s", firstDifference(sorted(before), sorted(after)))
	}
	got := mustPsql(t, owner, `SELECT count(*), count(DISTINCT user_id), min(type), count(*) FILTER (WHERE quantity < 0), count(*) FILTER (WHERE broker IS NULL) FROM app.transactions;
		SELECT count(*) FROM app.accounts; SELECT string_agg(role || ' ' || email, ',' ORDER BY email) FROM app.users; SELECT count(*) FROM app.credentials WHERE email_key = 'alice@example.com' AND password_hash LIKE '$2b$%';`)
	if want := "600|2|buy|0|0\n3\nuser Alice@Example.com,user bob@example.com,admin root@example.com\n1"; got != want {
		t.Errorf("our tables hold\n%s\nwant\n%s", got, want)
	}
	mustPsql(t, owner, schema(t)) // and again: nothing is adopted twice
	if n := mustPsql(t, owner, "SELECT count(*) FROM app.transactions"); n != "600" {
		t.Errorf("after a second run there are %s transactions", n)
	}
}

func TestTheOldProgramGoesOnWritingUntilTheMigrationEnds(t *testing.T) {
	owner, old := legacy(t)
	mustPsql(t, owner, schema(t))
	got := mustPsql(t, old, `\set ON_ERROR_STOP 1
		INSERT INTO users (email, password_hash) VALUES ('new@example.com', '$2b$10$abcdefghijklmnopqrstuu') RETURNING plan;
		INSERT INTO portfolios (user_id, name) SELECT id, 'Fresh' FROM users WHERE email = 'new@example.com' RETURNING currency;
		INSERT INTO transactions (portfolio_id, symbol, type, quantity, price, date) SELECT id, 'abc', 'BUY', 1, 2, '2024-01-02' FROM portfolios WHERE name = 'Fresh' RETURNING symbol, type, date;
		UPDATE transactions SET price = 3, notes = 'dearer' WHERE symbol = 'ABC';
		SELECT type, quantity, price, notes FROM transactions WHERE symbol = 'ABC';
		INSERT INTO watchlist SELECT id, 'Z' FROM users WHERE email = 'new@example.com';
		UPDATE users SET password_hash = '$2b$10$changed' WHERE email = 'new@example.com';`)
	if want := "free\nUSD\nabc|BUY|2024-01-02\nBUY|1.00000000|3.00000000|dearer"; got != want {
		t.Errorf("the old program got\n%s\nwant\n%s", got, want)
	}
	got = mustPsql(t, owner, `SELECT t.type, t.symbol, t.price, a.name FROM app.transactions t JOIN app.accounts a ON a.id = t.account_id WHERE symbol = 'ABC';
		SELECT password_hash FROM app.credentials WHERE email_key = 'new@example.com'; SELECT count(*) > 2 FROM app.portfolio_outbox; SELECT count(*) FROM app.transaction_versions;`)
	if want := "buy|ABC|3.00000000|Main\n$2b$10$changed\nt\n1"; got != want {
		t.Errorf("we see\n%s\nwant\n%s", got, want)
	}
	mustPsql(t, old, "\\set ON_ERROR_STOP 1\nDELETE FROM transactions WHERE symbol = 'ABC'; DELETE FROM portfolios WHERE name = 'Fresh'; DELETE FROM users WHERE email = 'new@example.com';")
	mustPass(t, owner)

	mustPsql(t, owner, "\\set ON_ERROR_STOP 1\nSELECT app_private.end_legacy();")
	if out, code := psql(t, old, "\\set ON_ERROR_STOP 1\nSELECT count(*) FROM app.users;"); code == 0 {
		t.Errorf("after the end the old program still reads: %s", out)
	}
	mustPsql(t, owner, schema(t))
	mustPass(t, owner)
	if n := mustPsql(t, owner, "SELECT count(*) FROM app.transactions; SELECT count(*) FROM pg_policies WHERE policyname = 'legacy_role'"); n != "600\n0" {
		t.Errorf("after the end: transactions and legacy policies %q", n)
	}
}

// ours does sql as the server does, in the scope of its auth service.
func ours(t *testing.T, owner, sql string) {
	t.Helper()
	mustPsql(t, owner, `\set ON_ERROR_STOP 1
		BEGIN; SELECT NULL FROM (SELECT set_config('rosetree.ctx', app_private.mint_ctx(kid, 'auth', '00000000-0000-0000-0000-000000000000'), true) FROM app_private.ctx_key) x;
		SET LOCAL ROLE rosetree_api; `+sql+`; COMMIT;`)
}

func TestAPasswordThatWasChangedHereStaysChangedWhateverTheOldProgramWrites(t *testing.T) {
	owner, old := legacy(t)
	if err := migrate(t.Context(), owner, ""); err != nil {
		t.Fatal(err)
	}
	const alice = " WHERE user_id = '11111111-1111-4111-8111-111111111111'"
	theirs := func(sql string) {
		mustPsql(t, old, "\\set ON_ERROR_STOP 1\nUPDATE users SET "+sql+" WHERE id = '11111111-1111-4111-8111-111111111111'")
	}
	is := func(when, want string) {
		t.Helper()
		if got := mustPsql(t, owner, "SELECT email_key, c.password_hash, left(u.password_hash, 7) FROM app.credentials c JOIN app.users u ON u.id = user_id"+alice); got != want {
			t.Errorf("%s: %s, want %s", when, got, want)
		}
	}
	ours(t, owner, "UPDATE app.credentials SET password_hash = '$argon2id$same'"+alice)
	is("the same password with another hash", "alice@example.com|$argon2id$same|$2b$10$")
	theirs("email = 'One@Example.com'")
	is("another address", "one@example.com|$argon2id$same|$2b$10$")
	ours(t, owner, "UPDATE app.credentials SET password_hash = '$argon2id$new', changed_at = clock_timestamp()"+alice)
	is("a new password of ours", "one@example.com|$argon2id$new|!")
	theirs("email = 'Two@Example.com', password_hash = password_hash") // as a program does that writes every column
	is("another address and every column", "two@example.com|$argon2id$new|!")
	theirs("password_hash = '$2b$10$theirs'")
	is("a new password of theirs", "two@example.com|$2b$10$theirs|$2b$10$")
	mustPass(t, owner)

	mustPsql(t, owner, "\\set ON_ERROR_STOP 1\nSELECT app_private.end_legacy();")
	if left := mustPsql(t, owner, "SELECT tgname FROM pg_trigger WHERE tgname LIKE 'legacy%' UNION ALL SELECT proname FROM pg_proc WHERE proname IN ('legacy_credentials', 'legacy_password')"); left != "" {
		t.Errorf("after the end there is still %s", left)
	}
	if err := migrate(t.Context(), owner, ""); err != nil {
		t.Fatal(err)
	}
	mustPass(t, owner)
}

func TestAnAdoptedDatabaseComesBackFromADumpAndTheOldProgramGoesOn(t *testing.T) {
	owner, old := legacy(t)
	mustPsql(t, owner, schema(t))
	before := mustPsql(t, old, oldRows)
	dump := filepath.Join(t.TempDir(), "dump")
	if out, code := run(t, "", devstack.PostgresProgram(t, "pg_dump"), "-Fc", "-f", dump, owner); code != 0 {
		t.Fatal(out)
	}
	elsewhere := empty(t)
	mustPsql(t, elsewhere.OwnerURL, schema(t)) // as the runbook says: the first run lets the owner create in the new database
	for name, into := range map[string]string{"in place": owner, "elsewhere": elsewhere.OwnerURL} {
		mustPsql(t, into, "DELETE FROM app.transactions; DROP TABLE app.watchlists CASCADE;")
		if out, code := run(t, "", devstack.PostgresProgram(t, "pg_restore"), "--clean", "--if-exists", "--exit-on-error", "-d", into, dump); code != 0 {
			t.Fatal(name, out)
		}
		mustPsql(t, into, schema(t))
		mustPass(t, into)
		again := as(t, into, "tracker", "tracker")
		if after := mustPsql(t, again, oldRows); sorted(after) != sorted(before) {
			t.Errorf("%s: the old program sees something else:\n%s", name, firstDifference(sorted(before), sorted(after)))
		}
		mustPsql(t, again, "\\set ON_ERROR_STOP 1\nUPDATE transactions SET notes = 'after the restore' WHERE symbol = (SELECT min(symbol) FROM transactions);")
	}
}

func TestATableOfTheOldProgramInOurSchemaIsAdoptedToo(t *testing.T) {
	db := empty(t)
	mustPsql(t, db.OwnerURL, `CREATE SCHEMA app; CREATE TABLE app.users (id uuid PRIMARY KEY, email text); CREATE TABLE app.portfolios (id uuid PRIMARY KEY, user_id uuid REFERENCES app.users, title text);
		CREATE TABLE app.transactions (id uuid PRIMARY KEY, user_id uuid, portfolio_id uuid REFERENCES app.portfolios, type text, ticker text, shares float8, price float8, executed_at timestamp);
		INSERT INTO app.users VALUES ('11111111-1111-4111-8111-111111111111', 'a@b.c'); INSERT INTO app.portfolios VALUES ('22222222-2222-4222-8222-222222222222', '11111111-1111-4111-8111-111111111111', 'P');
		INSERT INTO app.transactions VALUES ('33333333-3333-4333-8333-333333333333', NULL, '22222222-2222-4222-8222-222222222222', 'buy', 'aapl', 1.5, 10.25, '2020-01-02 03:04:05');`)
	mustPsql(t, db.OwnerURL, schema(t))
	mustPass(t, db.OwnerURL)
	got := mustPsql(t, db.OwnerURL, "SET timezone = 'UTC'; SELECT t.user_id = u.id, t.symbol, t.quantity, t.price, t.executed_at, p.name FROM app.transactions t JOIN app.users u ON true JOIN app.portfolios p ON true")
	if want := "t|AAPL|1.5|10.25|2020-01-02 03:04:05+00|P"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestALegacyTableThatCannotBeReadStopsTheMigrationWithWhatToDo(t *testing.T) {
	for name, c := range map[string]struct{ change, says string }{
		"no email":        {"ALTER TABLE public.users RENAME email TO login_name", "no column that could be our email"},
		"a type of trade": {"ALTER TABLE public.transactions DROP CONSTRAINT transactions_type_check; UPDATE public.transactions SET type = 'GIFT' WHERE price = 100", "transactions_type_check"},
		"an integer id":   {"ALTER TABLE public.watchlist DROP COLUMN user_id; ALTER TABLE public.transactions DROP COLUMN portfolio_id; DROP TABLE public.portfolios; ALTER TABLE public.users DROP COLUMN id; ALTER TABLE public.users ADD id serial", "uuid"},
	} {
		t.Run(name, func(t *testing.T) {
			owner, old := legacy(t)
			mustPsql(t, owner, "\\set ON_ERROR_STOP 1\n"+c.change)
			if out, code := psql(t, owner, schema(t)); code != 3 || !strings.Contains(out, c.says) {
				t.Errorf("psql ended with %d: %s", code, out)
			}
			if n := mustPsql(t, old, "SELECT count(*) FROM public.transactions"); n != "600" {
				t.Errorf("the old tables are not as they were: %s rows", n)
			}
		})
	}
}
