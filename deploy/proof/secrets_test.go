package proof

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rosetree/internal/devstack"
)

const secretKey = "5ec4e75ec4e75ec4e75ec4e75ec4e75ec4e75ec4e75ec4e75ec4e75ec4e75ec4"

// secrets are what was issued or set, each with what it is.
type secrets map[string]string

// add also looks for a token's parts: whoever has the secret half needs no more.
func (s secrets) add(t *testing.T, what, secret string) {
	t.Helper()
	if len(secret) < 12 {
		t.Fatalf("%s is %q: nothing to look for", what, secret)
	}
	s[secret] = what
	if parts := strings.Split(secret, "."); strings.HasPrefix(secret, "rt1.") && len(parts) > 2 {
		s[parts[len(parts)-1]] = what + ", its secret"
	} else if len(parts) == 3 {
		s[parts[2]] = what + ", its signature"
	}
}

// find says which secrets stand in text, in the clear or in the usual spellings.
func (s secrets) find(t *testing.T, where string, text []byte) {
	t.Helper()
	if len(text) < 1000 {
		t.Errorf("%s: only %d bytes, so nothing was looked at: %s", where, len(text), text)
	}
	for secret, what := range s {
		for _, spelt := range []string{secret, url.QueryEscape(secret), hex.EncodeToString([]byte(secret)), base64.StdEncoding.EncodeToString([]byte(secret))} {
			if bytes.Contains(text, []byte(spelt)) {
				t.Errorf("%s holds %s", where, what)
				break
			}
		}
	}
}

// busy makes a visitor do everything by which a secret is issued or shown, right and wrong, and collects them.
func (s secrets) busy(t *testing.T, front string, i int) {
	t.Helper()
	ctx := t.Context()
	email := fmt.Sprintf("secret%d@example.com", i)
	browser := newVisitor(t, newRecord(), front, email, fmt.Sprintf("orchid-tandem-%d-browser", i))
	s.add(t, "a password", browser.password)
	if status, err := browser.ask(ctx, "POST", "/api/auth/register", "", map[string]string{"email": email, "password": browser.password}, nil); err != nil {
		t.Fatal(status, err)
	}
	program := newVisitor(t, newRecord(), front, email, browser.password)
	program.program = true
	var grant struct{ Tokens map[string]any }
	if status, err := program.ask(ctx, "POST", "/api/auth/login", "", map[string]string{"email": email, "password": browser.password, "transport": "bearer"}, &grant); err != nil {
		t.Fatal(status, err)
	}
	access := s.tokens(t, "a program's", grant.Tokens)
	access = s.renew(t, front, "/api/auth/refresh", access, map[string]string{})
	access = s.renew(t, front, "/api/auth/step-up", access, map[string]string{"password": browser.password})
	var ticket struct{ Ticket string }
	_, err := browser.ask(ctx, "POST", "/api/auth/ticket", "", map[string]string{}, &ticket)
	if err != nil || ticket.Ticket == "" {
		t.Fatalf("no ticket: %v", err)
	}
	s.add(t, "a ticket", ticket.Ticket)
	wrong := fmt.Sprintf("not-the-password-%d", i)
	s.add(t, "a wrong password", wrong)
	_, _ = browser.ask(ctx, "POST", "/api/auth/login", "", map[string]string{"email": email, "password": wrong}, nil)
	next := fmt.Sprintf("tandem-orchid-%d-after", i)
	s.add(t, "a new password", next)
	if status, err := browser.ask(ctx, "POST", "/api/auth/password", "", map[string]string{"current": browser.password, "new": next}, nil); err != nil {
		t.Fatal(status, err)
	}
	for _, c := range browser.client.Jar.Cookies(mustURL(front)) {
		s.add(t, "the cookie "+c.Name, c.Value)
	}
	presents(front, access)       // it was ended by the change of password
	presents(front, access+"x")   // damaged
	presents(front, wrong+".a.b") // nonsense that looks like a token
	browser.adopt(ctx)
	browser.write(ctx)
	var alert struct {
		Secret string `json:"webhook_secret"`
	}
	if status, err := browser.ask(ctx, "POST", "/api/alerts", "", map[string]string{"symbol": "AAPL", "kind": "above", "threshold": "1000000", "webhook": "https://hooks.example/rosetree"}, &alert); err != nil {
		t.Fatal(status, err)
	}
	s.add(t, "the secret of a webhook", alert.Secret)
	socket, stop := context.WithTimeout(ctx, 20*time.Second)
	defer stop()
	if ws := browser.dial(socket); ws != nil {
		_, _, _ = ws.Read(socket)
		_ = ws.CloseNow()
	}
}

// tokens adds what a log-in gave a program, and returns its access token.
func (s secrets) tokens(t *testing.T, whose string, tokens map[string]any) (access string) {
	t.Helper()
	for name, value := range tokens {
		if text, ok := value.(string); ok && name != "expires_at" {
			s.add(t, whose+" "+name+" token", text)
		}
	}
	access, _ = tokens["access"].(string)
	return access
}

// renew has a server give a program other tokens for access.
func (s secrets) renew(t *testing.T, front, path, access string, in any) string {
	t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), "POST", front+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+access)
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var grant struct{ Tokens map[string]any }
	if err := json.NewDecoder(res.Body).Decode(&grant); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %v", path, res.StatusCode, err)
	}
	return s.tokens(t, "after "+path+" a program's", grant.Tokens)
}

func mustURL(text string) *url.URL {
	u, err := url.Parse(text)
	if err != nil {
		panic(err)
	}
	return u
}

// dumpRedis reads every key and every value.
func dumpRedis(t *testing.T, rdb *redis.Client) []byte {
	t.Helper()
	var all bytes.Buffer
	for _, key := range rdb.Keys(t.Context(), "*").Val() {
		kind := rdb.Type(t.Context(), key).Val()
		fmt.Fprintln(&all, key, kind)
		switch kind {
		case "hash":
			fmt.Fprintln(&all, rdb.HGetAll(t.Context(), key).Val())
		case "zset":
			fmt.Fprintln(&all, rdb.ZRange(t.Context(), key, 0, -1).Val())
		case "string":
			fmt.Fprintln(&all, rdb.Get(t.Context(), key).Val())
		default:
			fmt.Fprintln(&all, rdb.Dump(t.Context(), key).Val())
		}
	}
	return all.Bytes()
}

// TestNothingThatABusyServerWritesHoldsASecret: whoever gets the logs, the metrics, a dump of Redis or of PostgreSQL can log in as nobody,
// and sign nothing that a user's webhook believes.
func TestNothingThatABusyServerWritesHoldsASecret(t *testing.T) {
	env := devstack.Test(t)
	db, rds := env.Database(t, migrate), env.Redis(t)
	const channel = "T0SECRET/B0SECRET/of-the-alert-channel"
	const legacySecret = "0123456789abcdef0123456789abcdef"
	settings := []string{"DATABASE_URL=" + db.URL, "REDIS_URL=" + rds.URL, "SECRET_KEY=" + secretKey, "LEGACY_JWT_SECRET=" + legacySecret,
		"NEW_AUTH_ENABLED=true", "LOG_LEVEL=debug", "ALERT_WEBHOOK_URL=http://127.0.0.1:1/" + channel, "PRICE_FEEDS=sim?rate=5", "WS_DRAIN=200ms"}
	issued := secrets{}
	issued.add(t, "SECRET_KEY", secretKey)
	issued.add(t, "LEGACY_JWT_SECRET", legacySecret)
	issued.add(t, "ALERT_WEBHOOK_URL", channel)
	issued.add(t, "the password of DATABASE_URL", passwordOf(t, db.URL))
	issued.add(t, "the password of Redis", rds.Password)

	up := exec.Command(binary(t), "migrate", "up") // installs the context key of this SECRET_KEY
	up.Env = append(settings, "MIGRATE_DATABASE_URL="+db.OwnerURL)
	if out, err := up.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	bootstrap := exec.Command(binary(t), "user", "bootstrap")
	bootstrap.Env = settings
	token, err := bootstrap.Output()
	if err != nil {
		t.Fatal(err)
	}
	issued.add(t, "the bootstrap token", strings.TrimSpace(string(token)))
	legacy := serve(t, append(settings, "NEW_AUTH_PERCENTAGE=0")...)
	for i := range 3 {
		issued.busy(t, legacy.url, i)
	}
	sessions := serve(t, append(settings, "NEW_AUTH_PERCENTAGE=100")...)
	for i := range 5 {
		issued.busy(t, sessions.url, 100+i)
	}
	t.Logf("%d secrets were issued", len(issued))
	for name, s := range map[string]*server{"of the legacy path": legacy, "of the sessions": sessions} {
		status, metrics := s.get("/metrics")
		if status != http.StatusOK {
			t.Fatal(status)
		}
		issued.find(t, "the metrics "+name, []byte(metrics))
		issued.find(t, "the log "+name, []byte(s.log.String()))
	}
	issued.find(t, "Redis", dumpRedis(t, rds.Client(t)))
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/pg_dump")
	dump := exec.Command(append(found, "pg_dump")[0], "--column-inserts", db.OwnerURL)
	out, err := dump.Output()
	if err != nil {
		t.Fatal(err)
	}
	issued.find(t, "the dump of PostgreSQL", out)
	for _, plain := range []string{"secret104@example.com", "https://hooks.example/rosetree"} {
		if !bytes.Contains(out, []byte(plain)) {
			t.Errorf("the dump has not %s, which is no secret, either: nothing was looked at", plain)
		}
	}
}

func passwordOf(t *testing.T, text string) string {
	t.Helper()
	password, _ := mustURL(text).User.Password()
	if password == "" {
		t.Fatal("no password")
	}
	return password
}
