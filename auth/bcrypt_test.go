package auth

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"rosetree/internal/devstack"
)

func bcryptOf(t *testing.T, version, password string, cost int) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), cost)
	if err != nil {
		t.Fatal(err)
	}
	return "$" + version + strings.TrimPrefix(string(hash), "$2a")
}

func (s *server) setHash(email, hash string) {
	s.t.Helper()
	if tag, err := superuser(s.t, s.db).Exec(s.t.Context(), `UPDATE app.credentials SET password_hash = $2 WHERE email_key = $1`, email, hash); err != nil || tag.RowsAffected() != 1 {
		s.t.Fatal(tag, err)
	}
}

func (s *server) hashOf(email string) (hash string) {
	s.t.Helper()
	if err := superuser(s.t, s.db).QueryRow(s.t.Context(), `SELECT password_hash FROM app.credentials WHERE email_key = $1`, email).Scan(&hash); err != nil {
		s.t.Fatal(err)
	}
	return hash
}

// The database of the old program is adopted by the migration, and its user logs in here with the password of old.
func TestBcrypt_AUserOfTheOldProgramLogsInWithTheOldPassword(t *testing.T) {
	env := devstack.Test(t)
	d := env.Empty(t)
	old, err := os.ReadFile("../migrations/testdata/legacy.sql")
	if err != nil {
		t.Fatal(err)
	}
	owner := superuser(t, d)
	const password = "the password of old"
	for _, sql := range []string{string(old), `UPDATE public.users SET password_hash = '` + bcryptOf(t, "2b", password, 10) + `' WHERE name = 'Alice'`} {
		if _, err := owner.PgConn().Exec(t.Context(), sql).ReadAll(); err != nil {
			t.Fatal(err)
		}
	}
	if err := migrate(t.Context(), d.OwnerURL, d.URL); err != nil {
		t.Fatal(err)
	}
	s := joinServer(t, sessionsOn, env.Redis(t), d)
	c := s.program("")
	ask := map[string]any{"email": "alice@example.com", "password": password, "transport": "bearer"}
	wrong := map[string]any{"email": "alice@example.com", "password": "another password", "transport": "bearer"}
	c.want(401, "unauthenticated", "POST", "/api/auth/login", wrong)
	first := into[grantView](t, c.want(200, "", "POST", "/api/auth/login", ask))
	if first.Auth != ViaSession || first.User.DisplayName != "Alice" {
		t.Errorf("%+v", first)
	}
	if hash := s.hashOf("alice@example.com"); !strings.HasPrefix(hash, "$argon2id$") {
		t.Errorf("after the log-in: %s", hash)
	}
	c.want(200, "", "POST", "/api/auth/login", ask)
	c.want(401, "unauthenticated", "POST", "/api/auth/login", wrong)
	s.program(first.Tokens.Access).want(200, "", "GET", "/api/auth/sessions", nil) // the password is the same: nothing ended
}

func TestBcrypt_EverySpellingAndNothingElse(t *testing.T) {
	s := newServer(t, sessionsOn)
	s.seedUser("ada@example.test", RoleUser)
	long := strings.Repeat("long ", 15) // 75 bytes, of which bcrypt reads 72
	try := func(hash, password string) int {
		s.setHash("ada@example.test", hash)
		return s.program("").do("POST", "/api/auth/login", map[string]any{"email": "ada@example.test", "password": password, "transport": "bearer"}).status
	}
	for _, version := range []string{"2a", "2b", "2y"} {
		if got := try(bcryptOf(t, version, goodPassword, 4), goodPassword); got != 200 {
			t.Errorf("%s: %d", version, got)
		}
	}
	good := bcryptOf(t, "2a", goodPassword, 4)
	for name, hash := range map[string]string{"2x": strings.Replace(good, "$2a", "$2x", 1), "short": good[:59], "a cost of a minute": strings.Replace(good, "$04$", "$20$", 1),
		"cost 3": strings.Replace(good, "$04$", "$03$", 1), "no cost": strings.Replace(good, "$04$", "$+4$", 1), "not of its alphabet": good[:59] + "="} {
		if got := try(hash, goodPassword); got != 401 {
			t.Errorf("%s: %d", name, got)
		}
	}
	// What the old program did not look at may be mistyped; it must not become part of the password.
	cut := bcryptOf(t, "2b", long[:72], 4)
	if got := try(cut, long+"?"); got != 200 {
		t.Errorf("a long password: %d", got)
	}
	if s.hashOf("ada@example.test") != cut {
		t.Error("a password of which bcrypt read a part was hashed anew")
	}
}

// While there are bcrypt hashes, a wrong password takes the same for each kind of account and for none. One sample in a hundred
// differs by chance, so two must.
func TestBcrypt_TheTimeOfAWrongPasswordDoesNotTellTheKindOfAccount(t *testing.T) {
	s := newServer(t, sessionsOn)
	const n = 12
	kinds := []string{"unknown", "argon2", "bcrypt7", "bcrypt9"}
	for kind, hash := range map[string]string{"argon2": goodHash, "bcrypt7": bcryptOf(t, "2b", goodPassword, 7), "bcrypt9": bcryptOf(t, "2b", goodPassword, 9)} {
		for i := range n {
			email := fmt.Sprintf("%s-%d@example.test", kind, i)
			s.seedUser(email, RoleUser)
			s.setHash(email, hash)
		}
	}
	if err := s.auth.lookForBcrypt(t.Context()); err != nil || s.auth.hashes.dearest.Load() != 9 {
		t.Fatal(s.auth.hashes.dearest.Load(), err)
	}
	for round := 1; ; round++ {
		took := timesOf(s, kinds, n)
		least := 1.0
		for _, kind := range kinds[1:] {
			p := mannWhitney(took["unknown"], took[kind])
			t.Logf("medians %v unknown, %v %s: p = %.4f", median(took["unknown"]), median(took[kind]), kind, p)
			least = min(least, p)
		}
		if least > 0.01/3 {
			return
		}
		if round == 3 {
			t.Fatal("the time tells one kind of account from another")
		}
	}
}

// timesOf is how long a wrong password takes at n accounts of each kind, in turns.
func timesOf(s *server, kinds []string, n int) map[string][]time.Duration {
	c, took := s.program(""), map[string][]time.Duration{}
	for i := range n {
		for k := range kinds {
			kind := kinds[(i+k)%len(kinds)]
			began := time.Now()
			c.want(401, "unauthenticated", "POST", "/api/auth/login", map[string]any{"email": fmt.Sprintf("%s-%d@example.test", kind, i), "password": "a wrong password"})
			took[kind] = append(took[kind], time.Since(began))
		}
	}
	return took
}
