package auth

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestConfig_NamesEveryWrongValue(t *testing.T) {
	c := Config{NewAuthPercentage: 101, LegacyJWTSecret: "short", LegacyJWKSURL: "file:///etc/passwd", SessionIdleTTL: -1, MaxBlind: -time.Second,
		SessionsPerUser: -1, AllowedOrigins: []string{"example.com"}, TrustedProxies: []string{"proxy"}, Registration: "maybe"}
	var all []string
	for _, err := range c.Validate() {
		all = append(all, err.Error())
	}
	text := strings.Join(all, "\n")
	for _, name := range []string{"NEW_AUTH_PERCENTAGE", "LEGACY_JWT_SECRET", "LEGACY_JWKS_URL", "SESSION_IDLE_TTL", "MAX_BLIND", "SESSIONS_PER_USER", "ALLOWED_ORIGINS", "TRUSTED_PROXIES", "REGISTRATION"} {
		if !strings.Contains(text, name) {
			t.Errorf("%s is not named in:\n%s", name, text)
		}
	}
	if strings.Contains(text, "short") {
		t.Error("the secret is shown")
	}
	if wrong := (Config{}).Validate(); len(wrong) > 0 {
		t.Errorf("the zero value: %v", wrong)
	}
	if wrong := (Config{LegacyJWTSecret: "super-secret-jwt-token-with-at-least-32-characters-long"}).Validate(); len(wrong) != 1 {
		t.Error("the example secret of every tutorial is accepted")
	}
}

func TestRedisURL_EveryFormThatIsPromised(t *testing.T) {
	for url, want := range map[string]struct {
		addrs, user, password, master string
		db                            int
		cluster, tls                  bool
	}{
		"redis://localhost":                        {addrs: "localhost:6379"},
		"redis://:s%40cret@10.0.0.1:7000/3":        {addrs: "10.0.0.1:7000", password: "s@cret", db: 3},
		"rediss://u:p@[::1]:6380":                  {addrs: "[::1]:6380", user: "u", password: "p", tls: true},
		"redis://a:1,b:2,c":                        {addrs: "a:1 b:2 c:6379", cluster: true},
		"redis+cluster://:p@a:1":                   {addrs: "a:1", password: "p", cluster: true},
		"rediss+cluster://a:1,b:2":                 {addrs: "a:1 b:2", cluster: true, tls: true},
		"redis+sentinel://:p@s1:26379,s2:1/main/2": {addrs: "s1:26379 s2:1", password: "p", master: "main", db: 2},
		"unix:///run/redis.sock?db=4":              {addrs: "/run/redis.sock", db: 4},
		"unix://:p@/run/redis.sock":                {addrs: "/run/redis.sock", password: "p"},
	} {
		o, err := parseRedisURL(url)
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		if got := strings.Join(o.Addrs, " "); got != want.addrs || o.Username != want.user || o.Password != want.password || o.MasterName != want.master ||
			o.DB != want.db || o.IsClusterMode != want.cluster || (o.TLSConfig != nil) != want.tls {
			t.Errorf("%s: %+v", url, o)
		}
		if !o.ContextTimeoutEnabled || o.MaxRetries != -1 {
			t.Errorf("%s: not the safe options", url)
		}
	}
	for _, url := range []string{"", "localhost:6379", "http://localhost", "redis://", "redis://a:x", "redis://a/b", "redis://a:1,,b", "redis+cluster://a:1/1", "redis+sentinel://s:1", "redis://a?pool=1", "unix://", "unix:///s?x=1"} {
		if _, err := OpenRedis(url); err == nil || !strings.HasPrefix(err.Error(), "REDIS_URL: ") {
			t.Errorf("%q: %v", url, err)
		}
	}
}

func TestCookies_AreBoundToTheHostExceptOnPlainLoopback(t *testing.T) {
	w, err := newSurroundings(Config{TrustedProxies: []string{"192.0.2.1"}})
	if err != nil {
		t.Fatal(err)
	}
	for url, plain := range map[string]bool{"http://localhost:8080/": true, "http://127.0.0.1/": true, "http://[::1]:8080/": true, "http://app.example.com/": false,
		"https://localhost/": false, "http://10.0.0.1/": false, "http://localhost.evil.example/": false} {
		r := httptest.NewRequest("GET", url, nil)
		if got := w.plainLoopback(r); got != plain {
			t.Errorf("%s: plain %t", url, got)
		}
	}
	rec := httptest.NewRecorder()
	setCookie(rec, cookieName(false), "x", time.Now().Add(time.Hour))
	header := rec.Header().Get("Set-Cookie")
	for _, part := range []string{"__Host-rosetree=x", "Path=/", "HttpOnly", "Secure", "SameSite=Strict"} {
		if !strings.Contains(header, part) {
			t.Errorf("%s is missing in %s", part, header)
		}
	}
	if strings.Contains(header, "Domain") {
		t.Error(header)
	}
}
