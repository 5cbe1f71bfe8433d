package auth

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"rosetree/internal/devstack"
)

// The issuer is out, and this server starts: it goes on with the keys that any server fetched before.
func TestLegacy_AServerThatStartsInTheIssuersOutageKnowsItsKeys(t *testing.T) {
	i := newIssuer(t)
	env := devstack.Test(t)
	r, d := env.Redis(t), env.Database(t, migrate)
	cfg := sessionsOn
	cfg.LegacyJWKSURL = i.URL
	tokens := func() map[string]string {
		c := legacyClaimsOf(uuid.NewString())
		return map[string]string{"RS256": i.sign(t, jwt.SigningMethodRS256, i.rsa, "rsa-1", c),
			"ES256": i.sign(t, jwt.SigningMethodES256, i.ec, "ec-1", c), "EdDSA": i.sign(t, jwt.SigningMethodEdDSA, i.ed, "ed-1", c)}
	}
	first := joinServer(t, cfg, r, d)
	for _, raw := range tokens() {
		first.program(raw).want(200, "", "GET", "/api/auth/sessions", nil)
	}
	i.down.Store(true)
	restarted := joinServer(t, cfg, r, d)
	for name, raw := range tokens() {
		if rep := restarted.program(raw).do("GET", "/api/auth/sessions", nil); rep.status != 200 {
			t.Errorf("%s in the outage: %d %s", name, rep.status, rep.body)
		}
	}
	restarted.program("").want(200, "", "GET", "/api/health/auth-legacy", nil)

	// It is back, with another key: what was remembered does not outlive what it says now.
	i.down.Store(false)
	i.kid.Store("rsa-2")
	keys := restarted.auth.legacy.keys
	keys.mu.Lock()
	keys.tried = time.Time{}
	keys.mu.Unlock()
	restarted.program(i.sign(t, jwt.SigningMethodRS256, i.rsa, "rsa-2", legacyClaimsOf(uuid.NewString()))).want(200, "", "GET", "/api/auth/sessions", nil)
	restarted.program(tokens()["RS256"]).want(401, "unauthenticated", "GET", "/api/auth/sessions", nil)
}

// Who can write to Redis must not become the issuer, and a set that is old counts no more.
func TestLegacy_RememberedKeysThatAreNotOursOrTooOldDoNotCount(t *testing.T) {
	i := newIssuer(t)
	cfg := sessionsOn
	cfg.LegacyJWKSURL = i.URL
	s := newServer(t, cfg)
	store := s.auth.legacy.keys.store.(*keptJWKS)
	set := []byte(`{"keys":[]}`)
	store.save(t.Context(), set, time.Now())
	if got, _, err := store.load(t.Context()); err != nil || string(got) != string(set) {
		t.Fatalf("%s %v", got, err)
	}
	value, err := s.redis.Client(t).Get(t.Context(), issuerKey(store.tag)).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*keptSet){
		"another set": func(k *keptSet) { k.Set = []byte(`{"keys":[{}]}`) }, "another time": func(k *keptSet) { k.At = k.At.Add(time.Hour) },
		"no signature": func(k *keptSet) { k.Signature = "" },
	} {
		var k keptSet
		if err := json.Unmarshal(value, &k); err != nil {
			t.Fatal(err)
		}
		spoil(&k)
		spoilt, _ := json.Marshal(k)
		s.redis.Client(t).Set(t.Context(), issuerKey(store.tag), spoilt, 0)
		if _, _, err := store.load(t.Context()); err == nil {
			t.Errorf("%s: it counts", name)
		}
	}
	store.save(t.Context(), set, time.Now().Add(-jwksKept-time.Minute))
	if _, _, err := store.load(t.Context()); err == nil {
		t.Error("a set that is too old counts")
	}
	if other := newKeptJWKS(s.auth.rdb, s.auth.ends.breaker, s.auth.keys.issuer, i.URL+"/other", s.auth.log); other.tag == store.tag {
		t.Error("two issuers share what is remembered")
	}
}
