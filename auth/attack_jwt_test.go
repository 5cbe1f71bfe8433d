package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

const legacySecret = "an old program's secret of 40 characters"

// forge makes a token of these claims and this header, signed by HS256 with key.
func forge(t *testing.T, header, claims map[string]any, key string) string {
	t.Helper()
	part := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	text := part(header) + "." + part(claims)
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func legacyClaimsOf(user string) map[string]any {
	now := time.Now()
	return map[string]any{"sub": user, "iss": "https://old.example", "aud": "authenticated", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		"session_id": uuid.NewString(), "email": user + "@example.test", "role": "authenticated"}
}

func with(claims map[string]any, name string, value any) map[string]any {
	c := map[string]any{}
	maps.Copy(c, claims)
	if c[name] = value; value == nil {
		delete(c, name)
	}
	return c
}

// issuer is a JWKS host with an RSA and an EC key, which can be switched off.
type issuer struct {
	*httptest.Server
	rsa  *rsa.PrivateKey
	ec   *ecdsa.PrivateKey
	ed   ed25519.PrivateKey
	down atomic.Bool
	hits atomic.Int32
	kid  atomic.Value // of the RSA key
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{}
	i.kid.Store("rsa-1")
	i.rsa, _ = rsa.GenerateKey(rand.Reader, 2048)
	i.ec, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, i.ed, _ = ed25519.GenerateKey(rand.Reader)
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		i.hits.Add(1)
		if i.down.Load() {
			w.WriteHeader(503)
			return
		}
		b := func(n *big.Int) string {
			return base64.RawURLEncoding.EncodeToString(n.FillBytes(make([]byte, (n.BitLen()+7)/8)))
		}
		x, y := make([]byte, 32), make([]byte, 32)
		point, _ := i.ec.PublicKey.Bytes()
		copy(x, point[1:33])
		copy(y, point[33:])
		fmt.Fprintf(w, `{"keys":[{"kty":"RSA","kid":%q,"use":"sig","n":%q,"e":"AQAB"},{"kty":"EC","crv":"P-256","kid":"ec-1","x":%q,"y":%q},{"kty":"OKP","crv":"Ed25519","kid":"ed-1","x":%q},{"kty":"oct","kid":"odd","k":"AAAA"}]}`,
			i.kid.Load(), b(i.rsa.N), base64.RawURLEncoding.EncodeToString(x), base64.RawURLEncoding.EncodeToString(y),
			base64.RawURLEncoding.EncodeToString(i.ed.Public().(ed25519.PublicKey)))
	}))
	t.Cleanup(i.Server.Close)
	return i
}

func (i *issuer) sign(t *testing.T, method jwt.SigningMethod, key any, kid string, claims map[string]any) string {
	t.Helper()
	token := jwt.NewWithClaims(method, jwt.MapClaims(claims))
	token.Header["kid"] = kid
	raw, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestA6_JWTsThatMustNotPass(t *testing.T) {
	i := newIssuer(t)
	cfg := sessionsOn
	cfg.LegacyJWTSecret, cfg.LegacyJWTIssuer, cfg.LegacyJWTAudience, cfg.LegacyJWKSURL = legacySecret, "https://old.example", "authenticated", i.URL
	s := newServer(t, cfg)
	s.seedUser("ada@example.test", RoleUser)
	_, g := s.login("ada@example.test", "bearer")
	hs := map[string]any{"alg": "HS256", "typ": "JWT"}
	c := legacyClaimsOf(uuid.NewString())
	der, _ := x509.MarshalPKIXPublicKey(&i.rsa.PublicKey)
	public := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	good := map[string]string{
		"HS256": forge(t, hs, c, legacySecret), "HS256 without typ": forge(t, map[string]any{"alg": "HS256"}, c, legacySecret),
		"RS256": i.sign(t, jwt.SigningMethodRS256, i.rsa, "rsa-1", c), "ES256": i.sign(t, jwt.SigningMethodES256, i.ec, "ec-1", c),
		"EdDSA": i.sign(t, jwt.SigningMethodEdDSA, i.ed, "ed-1", c),
	}
	for name, raw := range good {
		if r := s.program(raw).do("GET", "/api/auth/sessions", nil); r.status != 200 {
			t.Errorf("%s is refused: %d %s", name, r.status, r.body)
		}
	}
	none := forge(t, map[string]any{"alg": "none", "typ": "JWT"}, c, "x")
	es := strings.Split(good["ES256"], ".")
	bad := map[string]string{
		"none": none, "none without signature": none[:strings.LastIndex(none, ".")+1], "None": forge(t, map[string]any{"alg": "None"}, c, legacySecret),
		"HS with the public key": forge(t, map[string]any{"alg": "HS256", "kid": "rsa-1"}, c, public), "HS384": forge(t, map[string]any{"alg": "HS384"}, c, legacySecret),
		"RS256 header on HS": forge(t, map[string]any{"alg": "RS256", "kid": "rsa-1"}, c, legacySecret), "another secret": forge(t, hs, c, legacySecret+"x"),
		"kid of a file": i.sign(t, jwt.SigningMethodRS256, i.rsa, "../../etc/passwd", c), "ES key by RSA kid": i.sign(t, jwt.SigningMethodES256, i.ec, "rsa-1", c),
		"EdDSA key by EC kid": i.sign(t, jwt.SigningMethodEdDSA, i.ed, "ec-1", c), "another EdDSA key": i.sign(t, jwt.SigningMethodEdDSA, ed25519.NewKeyFromSeed(make([]byte, 32)), "ed-1", c),
		"our fallback key": i.sign(t, jwt.SigningMethodEdDSA, s.auth.keys.fallbacks[0], "ed-1", c),
		"its own jwk":      forge(t, map[string]any{"alg": "HS256", "jwk": map[string]any{"kty": "oct", "k": "AAAA"}}, c, "\x00\x00\x00"),
		"its own jku":      forge(t, map[string]any{"alg": "RS256", "jku": "https://evil.example"}, c, "x"),
		"another iss":      forge(t, hs, with(c, "iss", "https://old.example.evil"), legacySecret), "no iss": forge(t, hs, with(c, "iss", nil), legacySecret),
		"another aud": forge(t, hs, with(c, "aud", "anon"), legacySecret), "no aud": forge(t, hs, with(c, "aud", nil), legacySecret),
		"no exp": forge(t, hs, with(c, "exp", nil), legacySecret), "expired": forge(t, hs, with(c, "exp", time.Now().Add(-time.Minute).Unix()), legacySecret),
		"no iat": forge(t, hs, with(c, "iat", nil), legacySecret), "not yet": forge(t, hs, with(c, "nbf", time.Now().Add(time.Hour).Unix()), legacySecret),
		"iat of tomorrow": forge(t, hs, with(c, "iat", time.Now().Add(24*time.Hour).Unix()), legacySecret),
		"sub is no UUID":  forge(t, hs, with(c, "sub", "admin"), legacySecret), "no sub": forge(t, hs, with(c, "sub", nil), legacySecret),
		"service role": forge(t, hs, with(c, "role", "service_role"), legacySecret), "anonymous": forge(t, hs, with(c, "role", "anon"), legacySecret),
		"a fallback's typ": forge(t, map[string]any{"alg": "HS256", "typ": fallbackType}, c, legacySecret), "an id token's typ": forge(t, map[string]any{"alg": "HS256", "typ": "id+jwt"}, c, legacySecret),
		"the fallback": g.Tokens.Fallback, "ES256 with a padded signature": es[0] + "." + es[1] + "." + es[2] + "==", "one megabyte": good["HS256"] + strings.Repeat("A", 1<<20),
	}
	for name, raw := range bad {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", "Bearer "+raw)
		if p, err := s.auth.Authenticate(r); err == nil {
			t.Errorf("%s is accepted as %+v", name, p)
		}
	}
}

func TestA6_ADeniedTokenStaysDeniedHoweverItsSignatureIsWritten(t *testing.T) {
	i := newIssuer(t)
	cfg := sessionsOn
	cfg.LegacyJWKSURL = i.URL
	s := newServer(t, cfg)
	c := legacyClaimsOf(uuid.NewString())
	raw := i.sign(t, jwt.SigningMethodES256, i.ec, "ec-1", c)
	s.program(raw).want(200, "", "GET", "/api/auth/sessions", nil)
	s.program(raw).want(204, "", "POST", "/api/auth/logout", nil)
	parts := strings.Split(raw, ".")
	sig, _ := base64.RawURLEncoding.DecodeString(parts[2])
	other := new(big.Int).Sub(elliptic.P256().Params().N, new(big.Int).SetBytes(sig[32:])) // (r, n-s) is as valid as (r, s)
	copy(sig[32:], other.FillBytes(make([]byte, 32)))
	twin := parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(sig)
	s.program(twin).want(401, "session_revoked", "GET", "/api/auth/sessions", nil)
}
