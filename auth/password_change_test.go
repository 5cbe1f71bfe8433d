package auth

import (
	"errors"
	"testing"
	"time"
)

// refuse makes PostgreSQL fail every insert into a table from now on.
func (s *server) refuse(table string) (again func()) {
	s.t.Helper()
	conn := s.owner()
	for _, sql := range []string{
		`CREATE OR REPLACE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused by the test'; END $$`,
		`CREATE TRIGGER refuse BEFORE INSERT ON app.` + table + ` FOR EACH ROW EXECUTE FUNCTION public.refuse()`,
	} {
		if _, err := conn.Exec(s.t.Context(), sql); err != nil {
			s.t.Fatal(err)
		}
	}
	return func() {
		if _, err := conn.Exec(s.t.Context(), `DROP TRIGGER refuse ON app.`+table); err != nil {
			s.t.Fatal(err)
		}
	}
}

const newPassword = "another good password"

// Whichever of the three writes fails, none of them happened: there is no moment at which a crash could leave the new password and
// the old one's sessions.
func TestPassword_ItsChangeItsRevocationAndItsAuditAreOneTransaction(t *testing.T) {
	s := newServer(t, sessionsOn)
	s.seedUser("ada@example.test", RoleUser)
	one, _ := s.login("ada@example.test", "bearer")
	two, _ := s.login("ada@example.test", "bearer")
	change := map[string]any{"current": goodPassword, "new": newPassword}
	for _, table := range []string{"revocations", "audit"} {
		again := s.refuse(table)
		one.want(500, "internal", "POST", "/api/auth/password", change)
		again()
		two.want(200, "", "GET", "/api/auth/sessions", nil)
		s.program("").want(200, "", "POST", "/api/auth/login", map[string]any{"email": "ada@example.test", "password": goodPassword})
	}
	var lines int
	if err := s.owner().QueryRow(t.Context(), `SELECT count(*) FROM app.audit WHERE action IN ('password.change', 'session.revoke')`).Scan(&lines); err != nil || lines != 0 {
		t.Errorf("%d lines of acts that did not happen, %v", lines, err)
	}
	one.want(204, "", "POST", "/api/auth/password", change)
	two.want(401, "session_revoked", "GET", "/api/auth/sessions", nil)
	one.want(200, "", "GET", "/api/auth/sessions", nil)
}

// The server that changed the password died before it told Redis: every other server's feed, and its own after the restart, ends
// the sessions.
func TestPassword_ChangedByAServerThatDiesBeforeRedisKnowsStillEndsTheSessions(t *testing.T) {
	s := newServer(t, sessionsOn)
	ada := s.seedUser("ada@example.test", RoleUser)
	two, g := s.login("ada@example.test", "bearer")
	// What the transaction leaves, without what follows it.
	r, err := s.auth.ends.row(Target{Kind: KindUser, User: ada.ID}, Actor{As: "user", User: ada.ID}, Reason{Text: "password changed"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.auth.ends.ledger.write(t.Context(), []*recording{{row: r}}); err != nil {
		t.Fatal(err)
	}
	s.within(10*time.Second, "the feed to end the session", func() bool { return two.do("GET", "/api/auth/sessions", nil).status == 401 })
	restarted := joinServer(t, sessionsOn, s.redis, s.db)
	restarted.program(g.Tokens.Access).want(401, "session_revoked", "GET", "/api/auth/sessions", nil)
}

func TestPassword_ALogInThatOvertookItsChangeGetsNothing(t *testing.T) {
	s := newServer(t, sessionsOn)
	ada := s.seedUser("ada@example.test", RoleUser)
	p, err := s.auth.proveByEmail(s.program("").request(), loginRequest{Email: "ada@example.test", Password: goodPassword})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.auth.setPassword(t.Context(), Principal{User: ada.ID}, hashPassword(newPassword, currentCost), "127.0.0.1"); err != nil {
		t.Fatal(err)
	}
	if g, err := s.auth.issue(t.Context(), p, origin{}, "login"); !errors.Is(err, errWrongPassword) {
		t.Errorf("%+v %v", g, err)
	}
	s.noSession()
	s.turn(Override{NewAuth: new(false)})
	if g, err := s.auth.issue(t.Context(), p, origin{}, "login"); !errors.Is(err, errWrongPassword) {
		t.Errorf("a legacy one: %+v %v", g, err)
	}
	s.noSession()
}

// noSession fails the test where a session was recorded, or stands in Redis.
func (s *server) noSession() {
	s.t.Helper()
	n, err := s.auth.CountLive(s.t.Context())
	keys, scanErr := s.redis.Client(s.t).Keys(s.t.Context(), sessionPrefix+"*").Result()
	if err != nil || scanErr != nil || n.Sessions != 0 || len(keys) != 0 {
		s.t.Errorf("%+v %v, in Redis %v %v", n, err, keys, scanErr)
	}
}

// A session is being recorded when the change of the password begins: the change waits for it, and ends it. Its clock is ahead.
func TestPassword_ASessionRecordedJustBeforeItsChangeEndsWithIt(t *testing.T) {
	s := newServer(t, sessionsOn)
	ada := s.seedUser("ada@example.test", RoleUser)
	one, g := s.login("ada@example.test", "bearer")
	conn := s.owner()
	if _, err := conn.Exec(t.Context(), `CREATE FUNCTION public.late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(4711); NEW.created_at := NEW.created_at + interval '2 s'; RETURN NEW; END $$;
		CREATE TRIGGER late BEFORE INSERT ON app.sessions FOR EACH ROW EXECUTE FUNCTION public.late(); SELECT pg_advisory_lock(4711)`); err != nil {
		t.Fatal(err)
	}
	waiting := func(n int) {
		s.within(10*time.Second, "a lock to be waited for", func() (enough bool) {
			err := conn.QueryRow(t.Context(), `SELECT count(*) >= $1 FROM pg_locks WHERE NOT granted`, n).Scan(&enough)
			return err == nil && enough
		})
	}
	second, changed := make(chan reply, 1), make(chan reply, 1)
	go func() {
		second <- s.program("").do("POST", "/api/auth/login", map[string]any{"email": "ada@example.test", "password": goodPassword, "transport": "bearer"})
	}()
	waiting(1)
	go func() {
		changed <- one.do("POST", "/api/auth/password", map[string]any{"current": goodPassword, "new": newPassword})
	}()
	waiting(2)
	if _, err := conn.Exec(t.Context(), `SELECT pg_advisory_unlock(4711)`); err != nil {
		t.Fatal(err)
	}
	if r := <-changed; r.status != 204 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	if r := <-second; r.status == 200 {
		s.program(into[grantView](t, r).Tokens.Access).want(401, "session_revoked", "GET", "/api/auth/sessions", nil)
	} else {
		t.Errorf("the log-in was first and got %d %s", r.status, r.body)
	}
	one.want(200, "", "GET", "/api/auth/sessions", nil)
	if n, err := s.auth.CountLive(t.Context()); err != nil || n.Sessions != 1 {
		t.Errorf("%s %s: %+v %v", ada.ID, g.Session.ID, n, err)
	}
}
