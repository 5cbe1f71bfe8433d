package auth

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"rosetree/internal/devstack"
)

// fillAccount gives a user a row in every table that is theirs, by the fixtures of the self-test.
func fillAccount(t *testing.T, d devstack.DB, user UserID) {
	t.Helper()
	conn := superuser(t, d)
	rows, err := conn.Query(t.Context(), "select fixture from app_private.rls_class where owner_col is not null and rel not in ('users', 'credentials', 'sessions') order by ord, rel")
	if err != nil {
		t.Fatal(err)
	}
	fixtures, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fixtures {
		sql := strings.ReplaceAll(f, "%1$L", "'"+string(user)+"'")
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	if _, err := conn.Exec(t.Context(), "update app.transactions set quantity = 0.10000000000000000000000000001, note = '=cmd()' where user_id = '"+string(user)+"'"); err != nil {
		t.Fatal(err)
	}
}

// leftOf counts, per table, the rows that still belong to the user.
func leftOf(t *testing.T, d devstack.DB, user UserID) (left []string) {
	t.Helper()
	conn := superuser(t, d)
	rows, err := conn.Query(t.Context(), "select rel::text, owner_col::text from app_private.rls_class where owner_col is not null")
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct{ Rel, Col string }])
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		var n int
		if err := conn.QueryRow(t.Context(), fmt.Sprintf("select count(*) from app.%s where %s = $1", table.Rel, table.Col), string(user)).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			left = append(left, fmt.Sprintf("%s %d", table.Rel, n))
		}
	}
	return left
}

func TestAnErasedAccountLeavesNothingAndItsSessionsEnd(t *testing.T) {
	s := newServer(t, sessionsOn)
	u, other := s.seedUser("gone@example.com", RoleUser), s.seedUser("stays@example.com", RoleUser)
	fillAccount(t, s.db, u.ID)
	fillAccount(t, s.db, other.ID)
	stays := leftOf(t, s.db, other.ID)
	first, _ := s.login("gone@example.com", "bearer")
	second, _ := s.login("gone@example.com", "bearer")

	first.want(http.StatusUnprocessableEntity, "invalid", "POST", "/api/auth/erase", map[string]string{"password": goodPassword})
	first.want(http.StatusUnprocessableEntity, "invalid", "POST", "/api/auth/erase", map[string]string{"password": "wrong", "confirm": "gone@example.com"})
	s.program("").want(http.StatusUnauthorized, "unauthenticated", "POST", "/api/auth/erase", map[string]string{})
	if left := leftOf(t, s.db, u.ID); len(left) < 10 {
		t.Fatalf("before: %v", left)
	}
	first.want(http.StatusNoContent, "", "POST", "/api/auth/erase", map[string]string{"password": goodPassword, "confirm": "gone@example.com"})

	s.within(10*time.Second, "the other session to end", func() bool { return second.do("GET", "/api/auth/sessions", nil).status == http.StatusUnauthorized })
	// News that a portfolio is gone waits in the outbox for the relay; it names rows and holds none.
	if _, err := superuser(t, s.db).Exec(t.Context(), "delete from app.portfolio_outbox"); err != nil {
		t.Fatal(err)
	}
	if left := leftOf(t, s.db, u.ID); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if got := leftOf(t, s.db, other.ID); !slices.Equal(got, slices.DeleteFunc(stays, func(x string) bool { return strings.HasPrefix(x, "portfolio_outbox") })) {
		t.Errorf("another account changed: %v, was %v", got, stays)
	}
	s.program("").want(http.StatusUnauthorized, "unauthenticated", "POST", "/api/auth/login", map[string]string{"email": "gone@example.com", "password": goodPassword})
	var line string
	if err := superuser(t, s.db).QueryRow(t.Context(), "select subject from app.audit where action = 'user.erase'").Scan(&line); err != nil || line != string(u.ID) {
		t.Errorf("the audit says %q, %v", line, err)
	}
}

func TestTheOnlyAdministratorStays(t *testing.T) {
	s := newServer(t, sessionsOn)
	s.seedUser("admin@example.com", RoleAdmin)
	c, _ := s.login("admin@example.com", "bearer")
	erase := map[string]string{"password": goodPassword, "confirm": "admin@example.com"}
	c.want(http.StatusConflict, "conflict", "POST", "/api/auth/erase", erase)
	c.want(http.StatusOK, "", "GET", "/api/auth/sessions", nil)
	s.seedUser("second@example.com", RoleAdmin)
	c.want(http.StatusNoContent, "", "POST", "/api/auth/erase", erase)
}

func TestAnExportHoldsEverythingOfTheUserAndNoSecret(t *testing.T) {
	s := newServer(t, sessionsOn)
	u, other := s.seedUser("me@example.com", RoleUser), s.seedUser("other@example.com", RoleUser)
	fillAccount(t, s.db, u.ID)
	fillAccount(t, s.db, other.ID)
	c, _ := s.login("me@example.com", "bearer")
	c.want(http.StatusUnprocessableEntity, "invalid", "GET", "/api/auth/export?format=xml", nil)
	got := c.want(http.StatusOK, "", "GET", "/api/auth/export", nil)
	var all map[string]json.RawMessage
	if err := json.Unmarshal(got.body, &all); err != nil {
		t.Fatal(err)
	}
	for _, table := range exported {
		var rows []map[string]any
		if err := json.Unmarshal(all[table], &rows); err != nil || len(rows) == 0 {
			t.Errorf("%s: %s, %v", table, all[table], err)
		}
	}
	for _, hidden := range []string{string(other.ID), "other@example.com", "verifier", "$argon2", "password_hash"} {
		if bytes.Contains(got.body, []byte(hidden)) {
			t.Errorf("the export holds %q", hidden)
		}
	}
	if !bytes.Contains(all["transactions"], []byte(`"quantity":"0.10000000000000000000000000001"`)) {
		t.Errorf("decimals are not exact: %s", all["transactions"])
	}

	zipped := c.want(http.StatusOK, "", "GET", "/api/auth/export?format=csv", nil)
	z, err := zip.NewReader(bytes.NewReader(zipped.body), int64(len(zipped.body)))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range z.File {
		in, err := file.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(in)
		table, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
		if err != nil || len(table) < 2 || len(table[0]) < 3 {
			t.Errorf("%s: %v rows, %v", file.Name, len(table), err)
		}
		if file.Name == "transactions.csv" && (!slices.Contains(table[1], "'=cmd()") || !slices.Contains(table[1], "0.10000000000000000000000000001")) {
			t.Errorf("%v", table)
		}
	}
}

func TestTheExportListsEveryTableThatAUserMayRead(t *testing.T) {
	d := devstack.Test(t).Database(t, migrate)
	var readable []string
	if err := superuser(t, d).QueryRow(t.Context(), "select array_agg(rel::text order by rel) from app_private.rls_access where who = 'owner' and 'SELECT' = any (privs)").Scan(&readable); err != nil {
		t.Fatal(err)
	}
	listed := slices.Clone(exported)
	for table := range notExported {
		listed = append(listed, table)
	}
	slices.Sort(listed)
	if !slices.Equal(listed, readable) {
		t.Errorf("listed  %v\nreadable %v", listed, readable)
	}
}
