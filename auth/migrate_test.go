package auth

import (
	"testing"
	"time"
)

func TestMigrate_SignsNobodyOutWhoHasAsManySessionsAsHeMay(t *testing.T) {
	cfg := legacyOnly
	cfg.SessionsPerUser = 2
	s := newServer(t, cfg)
	s.seedUser("ada@example.test", RoleUser)
	_, old := s.login("ada@example.test", "bearer") // a legacy session
	s.turn(Override{NewAuth: new(true), Percentage: new(100.0)})
	var live []*client
	for range 2 {
		c, _ := s.login("ada@example.test", "bearer")
		live = append(live, c)
	}
	p, err := s.auth.MigrateLegacy(t.Context(), 0, func(Progress) {})
	if err != nil || p.Made != 0 || p.Skipped != 1 {
		t.Errorf("%+v %v", p, err)
	}
	for _, c := range live {
		c.want(200, "", "GET", "/api/auth/sessions", nil)
	}
	s.program(old.Tokens.Access).want(200, "", "GET", "/api/auth/sessions", nil)
	live[0].want(204, "", "POST", "/api/auth/logout", nil)
	if p, err = s.auth.MigrateLegacy(t.Context(), 0, func(Progress) {}); err != nil || p.Made != 1 {
		t.Errorf("with room: %+v %v", p, err)
	}
}

// Stopped in the middle and run again, it goes on where it was; and it is not faster than it is told.
func TestMigrate_GoesOnAfterAnInterruptionAndKeepsItsPace(t *testing.T) {
	s := newServer(t, legacyOnly)
	s.seedUser("ada@example.test", RoleUser)
	const n = 6
	for range n {
		s.login("ada@example.test", "bearer")
	}
	conn := s.owner()
	if _, err := conn.Exec(t.Context(), `CREATE FUNCTION public.third() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		IF (SELECT count(*) FROM app.sessions WHERE via = 'session') >= 3 THEN RAISE EXCEPTION 'interrupted by the test'; END IF; RETURN NEW; END $$;
		CREATE TRIGGER third BEFORE INSERT ON app.sessions FOR EACH ROW EXECUTE FUNCTION public.third()`); err != nil {
		t.Fatal(err)
	}
	if p, err := s.auth.MigrateLegacy(t.Context(), 0, func(Progress) {}); err == nil || p.Made != 3 || p.Failed != n-3 {
		t.Fatalf("interrupted: %+v %v", p, err)
	}
	if _, err := conn.Exec(t.Context(), `DROP TRIGGER third ON app.sessions`); err != nil {
		t.Fatal(err)
	}
	began, reports := time.Now(), 0
	p, err := s.auth.MigrateLegacy(t.Context(), 10, func(Progress) { reports++ })
	if err != nil || p.Total != n-3 || p.Made != n-3 || reports == 0 {
		t.Errorf("gone on: %+v %v, %d reports", p, err, reports)
	}
	if took := time.Since(began); took < 250*time.Millisecond {
		t.Errorf("three at ten a second took %v", took)
	}
}
