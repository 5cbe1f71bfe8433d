package proof

import (
	"crypto/ed25519"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"rosetree/auth"
	"rosetree/internal/devstack"
)

// withoutRedis: what a log-in gives for an outage of Redis counts for its quarter of an hour at both servers, wherever it was made
// and whatever the wall clock is set to meanwhile; one that has ended counts nowhere.
func (c *clockCase) withoutRedis(redis *devstack.Redis, databaseURL, file string) {
	c.t.Helper()
	jump(c.t, c.ill, file, 90*time.Minute)
	good := map[string]string{"the ill server, an hour and a half ahead": c.fallback(c.ill), "the right server": c.fallback(c.right)}
	ended := endedFallback(c.t, good["the right server"], databaseURL)
	redis.Freeze(c.t)
	defer redis.Thaw(c.t)
	for _, by := range []time.Duration{90 * time.Minute, -90 * time.Minute, 0} {
		jump(c.t, c.ill, file, by)
		for _, at := range []*server{c.right, c.ill} {
			for made, token := range good {
				if yes, ends := counts(c.t, at, token); !yes || time.Until(ends) > 15*time.Minute+5*time.Second || time.Until(ends) < 10*time.Minute {
					c.t.Errorf("%v, without Redis: a fallback token of %s counts %v and ends in %v", by, made, yes, time.Until(ends).Round(time.Second))
				}
			}
			if yes, _ := counts(c.t, at, ended); yes {
				c.t.Errorf("%v, without Redis: a fallback token that ended ten minutes ago counts", by)
			}
		}
	}
}

// fallback is the token for an outage that a program gets with its session.
func (c *clockCase) fallback(at *server) string {
	c.t.Helper()
	v := newVisitor(c.t, newRecord(), at.url, c.stand.visitors[3].email, goodPassword)
	v.program = true
	var grant struct{ Tokens struct{ Fallback string } }
	status, err := v.ask(c.t.Context(), "POST", "/api/auth/login", "", map[string]string{"email": v.email, "password": v.password, "transport": "bearer"}, &grant)
	if err != nil || grant.Tokens.Fallback == "" {
		c.t.Fatalf("no fallback token: %d %v", status, err)
	}
	return grant.Tokens.Fallback
}

// endedFallback is token as it would be had it ended ten minutes ago, signed as the servers sign.
func endedFallback(t *testing.T, token, databaseURL string) string {
	t.Helper()
	claims := jwt.MapClaims{}
	parsed, _, err := jwt.NewParser().ParseUnverified(token, claims)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := auth.SecretKey{}.Or(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	claims["iat"], claims["exp"] = time.Now().Add(-25*time.Minute).Unix(), time.Now().Add(-10*time.Minute).Unix()
	text, err := parsed.SignedString(ed25519.NewKeyFromSeed(secret.Derive("fallback-token", ed25519.SeedSize)[0]))
	if err != nil {
		t.Fatal(err)
	}
	return text
}
