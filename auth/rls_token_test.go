package auth

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"rosetree/internal/devstack"
)

// raw is a connection of the runtime role on which a test claims what it likes.
func raw(t *testing.T, d devstack.DB) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), d.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(t.Context()) })
	return conn
}

// claim is what the database makes of a context: the user, the service, or the SQLSTATE of its refusal.
func claim(t *testing.T, conn *pgx.Conn, token string) string {
	t.Helper()
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	if _, err := tx.Exec(t.Context(), "select set_config('rosetree.ctx', $1, true)", token); err != nil {
		return sqlState(err)
	}
	var uid, service *string
	if err := tx.QueryRow(t.Context(), "select app.uid()::text, app.service()").Scan(&uid, &service); err != nil {
		return sqlState(err)
	}
	switch {
	case uid != nil && service == nil:
		return *uid
	case uid == nil && service != nil:
		return *service
	case uid == nil:
		return "nobody"
	}
	return "both"
}

func TestTheDatabaseAcceptsWhatWeSignAndWeSignWhatItWould(t *testing.T) {
	d := devstack.Test(t).Database(t, migrate)
	db, conn := openDB(t, d), raw(t, d)
	pid := conn.PgConn().PID()
	for range 50 {
		id := uuid.NewString()
		if got := claim(t, conn, db.signer.mint(scopeUser, id, time.Now(), contextTTL, pid)); got != id {
			t.Fatalf("%s is taken for %q", id, got)
		}
	}
	for _, s := range []Service{ServiceAuth, ServiceFeed, ServiceRelay} {
		if got := claim(t, conn, db.signer.mint(string(s), string(nobody), time.Now(), contextTTL, 0)); got != string(s) {
			t.Errorf("service %s is taken for %q", s, got)
		}
	}
	// What SQL signs for an operator equals ours to the letter. session_user is under the MAC, so sign as the superuser's name.
	super := superuser(t, d)
	var theirs, login string
	var exp int64
	id := uuid.NewString()
	err := super.QueryRow(t.Context(), "select app_private.mint_ctx($1, 'u', $2, 30, 7), session_user::text", db.signer.kid, id).Scan(&theirs, &login)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(strings.Split(theirs, ".")[4], &exp); err != nil {
		t.Fatal(err)
	}
	secret, err := SecretKey{}.Or(d.URL)
	if err != nil {
		t.Fatal(err)
	}
	same := newSigner(secret.ContextKeys()[0], d.Name, login)
	if ours := same.mint(scopeUser, id, time.Unix(exp-30, 0), 30*time.Second, 7); ours != theirs {
		t.Errorf("we sign %s, PostgreSQL %s", ours, theirs)
	}
}

func TestEveryOtherContextIsRefused(t *testing.T) {
	d := devstack.Test(t).Database(t, migrate)
	db, conn := openDB(t, d), raw(t, d)
	me, now, pid := uuid.NewString(), time.Now(), conn.PgConn().PID()
	sign := db.signer.mint
	secret, err := SecretKey{}.Or(d.URL)
	if err != nil {
		t.Fatal(err)
	}
	key := secret.ContextKeys()[0]
	good := sign(scopeUser, me, now, contextTTL, pid)
	for name, c := range map[string]struct{ token, want string }{
		"none":                  {"", "nobody"},
		"good":                  {good, me},
		"expired a moment ago":  {sign(scopeUser, me, now.Add(-contextTTL-2*time.Second), contextTTL, pid), "RT002"},
		"our clock 20 s behind": {sign(scopeUser, me, now.Add(-20*time.Second), contextTTL, pid), me},
		"our clock 4 min ahead": {sign(scopeUser, me, now.Add(4*time.Minute), contextTTL, pid), me},
		"our clock 6 min ahead": {sign(scopeUser, me, now.Add(6*time.Minute), contextTTL, pid), "RT002"},
		"a life of a day":       {sign(scopeUser, me, now, 24*time.Hour, pid), "RT002"},
		"another connection's":  {sign(scopeUser, me, now, contextTTL, pid+1), "RT003"},
		"another database's":    {newSigner(key, "other", "rosetree_api").mint(scopeUser, me, now, contextTTL, pid), "RT001"},
		"another login's":       {newSigner(key, d.Name, "rosetree_feed").mint(scopeUser, me, now, contextTTL, pid), "RT001"},
		"another key's":         {newSigner([]byte(strings.Repeat("k", 32)), d.Name, "rosetree_api").mint(scopeUser, me, now, contextTTL, pid), "RT001"},
		"another version":       {"v2" + good[2:], "RT001"},
		"a part more":           {good + ".x", "RT001"},
		"a part less":           {good[:strings.LastIndexByte(good, '.')], "RT001"},
		"a huge one":            {good + strings.Repeat("0", 1<<16), "RT001"},
		"white space":           {good + " ", "RT001"},
		"the MAC in capitals":   {good[:len(good)-64] + strings.ToUpper(good[len(good)-64:]), "RT001"},
		"no MAC":                {good[:len(good)-64], "RT001"},
		"only dots":             {"......", "RT001"},
		"SQL":                   {"v1.1.u.' or true --.1.0.x", "RT001"},
	} {
		if got := claim(t, conn, c.token); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestAContextOfAKeyThatIsNoMoreIsRefused(t *testing.T) {
	d := devstack.Test(t).Database(t, migrate)
	db, conn, id := openDB(t, d), raw(t, d), uuid.NewString()
	if got := claim(t, conn, db.signer.mint(scopeUser, id, time.Now(), contextTTL, 0)); got != id {
		t.Fatal(got)
	}
	if _, err := superuser(t, d).Exec(t.Context(), "update app_private.ctx_key set not_after = now() - interval '1 second'"); err != nil {
		t.Fatal(err)
	}
	for _, scope := range []string{scopeUser, string(ServiceAuth)} {
		if got := claim(t, conn, db.signer.mint(scope, id, time.Now(), contextTTL, 0)); got != "RT001" {
			t.Errorf("scope %s of a spent key: %q", scope, got)
		}
	}
}

func TestAnyChangedBitOfAContextIsRefused(t *testing.T) {
	d := devstack.Test(t).Database(t, migrate)
	db, conn := openDB(t, d), raw(t, d)
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for range 600 {
		token := []byte(db.signer.mint(scopeUser, uuid.NewString(), time.Now(), contextTTL, 0))
		switch r.IntN(4) {
		case 0: // a bit, within ASCII: others are no valid text and do not reach app.uid()
			token[r.IntN(len(token))] ^= 1 << r.IntN(7)
		case 1:
			i := r.IntN(len(token))
			token = append(token[:i], token[i+1:]...)
		case 2:
			i := r.IntN(len(token))
			token = append(token[:i], append([]byte{byte(33 + r.IntN(90))}, token[i:]...)...)
		default:
			token = token[:1+r.IntN(len(token)-1)]
		}
		if bytes.IndexByte(token, 0) >= 0 {
			continue // refused before it is a setting
		}
		if got := claim(t, conn, string(token)); got != "RT001" {
			t.Errorf("seed %d: %q is taken for %q", seed, token, got)
		}
	}
}

func TestASecretIsNeverShown(t *testing.T) {
	var k SecretKey
	secret := strings.Repeat("0123456789abcdef", 4)
	if err := k.UnmarshalText([]byte(secret)); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "key", k, "config", DBConfig{Secret: k})
	asJSON, err := json.Marshal(DBConfig{Secret: k})
	shown := fmt.Sprintf("%v %+v %#v %s %q %x %s %s %v", k, k, k, k, k, k, log.String(), asJSON, err)
	for _, bare := range []string{secret[:16], "1 35 69", "0x1, 0x23", "ASNFZ4mrze8"} {
		if strings.Contains(shown, bare) {
			t.Errorf("the secret shows as %q in %s", bare, shown)
		}
	}
	for _, wrong := range []string{"hunter2hunter2", strings.Repeat("ab", 31), strings.Repeat("00", 32), "not/of any*kind", secret + ","} {
		if err := new(SecretKey).UnmarshalText([]byte(wrong)); err == nil || strings.Contains(err.Error(), wrong) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

func TestSecretsForDifferentPurposesDiffer(t *testing.T) {
	var k SecretKey
	if err := k.UnmarshalText([]byte(strings.Repeat("ab", 31) + "cd, " + strings.Repeat("12", 31) + "34")); err != nil {
		t.Fatal(err)
	}
	a, b := k.Derive("one", 32), k.Derive("two", 32)
	if len(a) != 2 || bytes.Equal(a[0], a[1]) || bytes.Equal(a[0], b[0]) || !bytes.Equal(a[0], k.Derive("one", 32)[0]) {
		t.Error("derivation is not a function of secret and purpose alone")
	}
	if _, err := (SecretKey{}).Or("postgres://rosetree_api@h/db"); err == nil || !strings.Contains(err.Error(), "SECRET_KEY") {
		t.Errorf("neither secret nor password: %v", err)
	}
	one, err := SecretKey{}.Or("postgres://rosetree_api:password@h/db")
	two, err2 := SecretKey{}.Or("host=other user=rosetree_api password=password")
	if err != nil || err2 != nil || !bytes.Equal(one.ContextKeys()[0], two.ContextKeys()[0]) {
		t.Errorf("serve and migrate would not agree: %v, %v", err, err2)
	}
}

func BenchmarkMint(b *testing.B) {
	s := newSigner(bytes.Repeat([]byte("k"), 32), "rosetree", "rosetree_api")
	b.ReportAllocs()
	for b.Loop() {
		s.mint(scopeUser, string(nobody), time.Unix(1_800_000_000, 0), contextTTL, 1234)
	}
}
