package migrations_test

import (
	"strings"
	"testing"
)

func TestEveryCommittedChangeOfAPortfolioIsNewsAlsoFromPsql(t *testing.T) {
	db := fresh(t)
	const u, p, a = "'11111111-1111-4111-8111-111111111111'", "'22222222-2222-4222-8222-222222222222'", "'33333333-3333-4333-8333-333333333333'"
	news := func() string {
		return mustPsql(t, db.OwnerURL, "WITH d AS (DELETE FROM app.portfolio_outbox RETURNING version) SELECT coalesce(string_agg(version::text, ' ' ORDER BY version), '') FROM d")
	}
	for _, step := range []struct{ sql, want string }{
		{"INSERT INTO app.users (id, email) VALUES (" + u + ", 'a@b.c'); INSERT INTO app.portfolios (user_id, id, name) VALUES (" + u + "," + p + ", 'P')", "1"},
		{"INSERT INTO app.accounts (user_id, id, portfolio_id) VALUES (" + u + "," + a + "," + p + ")", "2"},
		{"INSERT INTO app.transactions (user_id, id, portfolio_id, account_id, type, amount, currency, executed_at) SELECT " + u + ", gen_random_uuid(), " + p + "," + a + ", 'deposit', n, 'USD', now() FROM generate_series(1, 100) n", "3"}, // one statement, one version
		{"UPDATE app.transactions SET note = 'x' WHERE amount <= 10", "4"},
		{"UPDATE app.transactions SET deleted_at = now() WHERE amount = 1", "5"},
		{"UPDATE app.portfolios SET name = 'Q', version = 1", "6"}, // a version never goes back, whatever the writer says
		{"BEGIN; UPDATE app.portfolios SET name = 'R'; ROLLBACK", ""},
		{"DELETE FROM app.portfolios", "7"},
	} {
		mustPsql(t, db.OwnerURL, "\\set ON_ERROR_STOP 1\n"+step.sql)
		if got := news(); got != step.want {
			t.Errorf("%s\nis news of the versions %q, want %q", step.sql, got, step.want)
		}
	}
}

func TestThePastOfATransactionIsKept(t *testing.T) {
	db := fresh(t)
	got := mustPsql(t, db.OwnerURL, `\set ON_ERROR_STOP 1
		INSERT INTO app.users (id, email) VALUES ('11111111-1111-4111-8111-111111111111', 'a@b.c');
		INSERT INTO app.portfolios (user_id, id, name) SELECT id, id, 'P' FROM app.users; INSERT INTO app.accounts (user_id, id, portfolio_id) SELECT id, id, id FROM app.users;
		INSERT INTO app.transactions (user_id, id, portfolio_id, account_id, type, symbol, quantity, price, currency, executed_at) SELECT id, id, id, id, 'buy', 'AAPL', 0.1000000000000000000001, 10.10, 'USD', now() FROM app.users;
		UPDATE app.transactions SET price = 11; UPDATE app.transactions SET price = 12, seq = 99;
		SELECT revision, state->>'price', state->>'quantity' FROM app.transaction_versions ORDER BY revision; SELECT revision, price, seq <> 99 FROM app.transactions;`)
	if want := "1|10.10|0.1000000000000000000001\n2|11|0.1000000000000000000001\n3|12|t"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	out, code := psql(t, db.OwnerURL, "\\set ON_ERROR_STOP 1\nINSERT INTO app.portfolios (user_id, id, name) SELECT id, gen_random_uuid(), 'Other' FROM app.users; UPDATE app.transactions SET portfolio_id = (SELECT id FROM app.portfolios WHERE name = 'Other');")
	if code == 0 || !strings.Contains(out, "does not move") {
		t.Errorf("a transaction moved to another portfolio: %s", out)
	}
}

func TestTheAuditIsAppendOnlyAndAChangeBehindItsBackIsFound(t *testing.T) {
	db := fresh(t)
	mustPsql(t, db.OwnerURL, `INSERT INTO app.audit (actor, action, outcome, detail, id, hash) SELECT 'a' || n, 'test', 'ok', jsonb_build_object('n', n), 5, '' FROM generate_series(1, 50) n;`)
	for _, sql := range []string{"UPDATE app.audit SET actor = 'x'", "DELETE FROM app.audit", "TRUNCATE app.audit"} {
		if out, code := psql(t, db.OwnerURL, "\\set ON_ERROR_STOP 1\n"+sql); code == 0 || !strings.Contains(out, "append-only") {
			t.Errorf("%s as a superuser: %s", sql, out)
		}
	}
	for name, c := range map[string]struct{ sql, found string }{
		"nothing":            {"", ""},
		"another actor":      {"UPDATE app.audit SET actor = 'x' WHERE id = 7", "7"},
		"a row taken out":    {"DELETE FROM app.audit WHERE id = 20", "21"},
		"the first taken":    {"DELETE FROM app.audit WHERE id = 1", "2"},
		"a row made up":      {"UPDATE app.audit SET actor = 'x', hash = app.audit_hash(audit) WHERE id = 30", "30"},
		"a detail, new hash": {"UPDATE app.audit SET detail = '{}' WHERE id = 9; UPDATE app.audit SET hash = app.audit_hash(audit) WHERE id = 9", "10"},
	} {
		got := mustPsql(t, db.OwnerURL, "\\set ON_ERROR_STOP 1\nBEGIN; SET LOCAL session_replication_role = replica; "+c.sql+"; SELECT coalesce(app.audit_break()::text, ''); ROLLBACK;")
		if got != c.found {
			t.Errorf("%s: the chain breaks at %q, want %q", name, got, c.found)
		}
	}
	if got := mustPsql(t, db.OwnerURL, "SET timezone = 'Asia/Tokyo'; SELECT app.audit_break() IS NULL, app.audit_break(40) IS NULL"); got != "t|t" {
		t.Errorf("in another time zone, and from the middle: %q", got)
	}
}

func TestARevocationStandsUntilItHasNoEffect(t *testing.T) {
	db := fresh(t)
	mustPsql(t, db.OwnerURL, "INSERT INTO app.revocations (kind, subject, reason, actor, until) VALUES ('sid', 'live', 'r', 'a', now() + interval '1 hour'), ('sid', 'past', 'r', 'a', now() - interval '1 hour')")
	if out, code := psql(t, db.OwnerURL, "\\set ON_ERROR_STOP 1\nDELETE FROM app.revocations"); code == 0 {
		t.Errorf("a live revocation was deleted: %s", out)
	}
	mustPsql(t, db.OwnerURL, "\\set ON_ERROR_STOP 1\nDELETE FROM app.revocations WHERE until < now()")
	if out, code := psql(t, db.OwnerURL, "\\set ON_ERROR_STOP 1\nUPDATE app.revocations SET until = now()"); code == 0 {
		t.Errorf("a live revocation was changed: %s", out)
	}
}
