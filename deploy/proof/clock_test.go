package proof

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/golang-jwt/jwt/v5"
	"github.com/redis/go-redis/v9"

	"rosetree/internal/devstack"
)

const clockSecret = "a-legacy-secret-of-the-clock-test"

// legacyOf is a token as the old program signs it, for a user of its own.
func legacyOf(t *testing.T, user string, issued, ends time.Duration) string {
	t.Helper()
	now := time.Now()
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": user, "email": user + "@example.com", "role": "authenticated",
		"session_id": user, "iat": now.Add(issued).Unix(), "exp": now.Add(ends).Unix()}).SignedString([]byte(clockSecret))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// asBearer is what a server answers to a token.
func asBearer(t *testing.T, s *server, method, path, token string, out any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(out); err != nil || res.StatusCode >= 300 {
		t.Fatalf("%s %s: %d %v", method, path, res.StatusCode, err)
	}
}

// counts says whether a server takes a token, and until when its session lives there.
func counts(t *testing.T, s *server, token string) (yes bool, ends time.Time) {
	t.Helper()
	var out struct {
		Authenticated bool
		Session       struct {
			ExpiresAt time.Time `json:"expires_at"`
		}
	}
	asBearer(t, s, "GET", "/api/auth/status", token, &out)
	return out.Authenticated, out.Session.ExpiresAt
}

// The wall clock of one of two servers is set an hour and a half ahead, as far behind, and right again, and one starts with a wrong
// clock. Nobody's session ends or lives longer for it, what has ended stays so, and a revocation means what it says.
func TestAWallClockThatJumpsNeitherEndsNorProlongs(t *testing.T) {
	if os.Getenv("PROOFS") != "all" {
		t.Skip("builds the standard library anew, a minute or two: make test-faults")
	}
	env := devstack.Test(t)
	db, rds := env.Database(t, migrate), env.Redis(t)
	file, bin := filepath.Join(t.TempDir(), "jump"), jumpingBinary(t)
	s := newStandWith(t, db.URL, rds.URL, bin, "LEGACY_JWT_SECRET="+clockSecret, jumpFile+"="+file)
	c := &clockCase{t: t, stand: s, right: s.servers[0], ill: s.servers[1], redis: rds.Client(t)}
	end := s.begin()
	defer end()
	c.before()
	for _, by := range []time.Duration{90 * time.Minute, -90 * time.Minute, 0} {
		s.during(fmt.Sprintf("the wall clock is off by %v", by), faultLasts(t), func() { jump(t, c.ill, file, by); c.look(by) }, func() {})
	}
	if err := os.WriteFile(file, []byte("-5400"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.ill = serveBy(t, exec.Command(bin, "serve"), s.settings...)
	jump(t, c.ill, file, -90*time.Minute)
	c.look(-90 * time.Minute)
	end()
	s.look()
	if len(s.rec.lost) > 0 {
		t.Errorf("sockets were lost: %v", s.rec.lost)
	}
	c.withoutRedis(rds, db.URL, file)
	if n := c.ill.metric("rosetree_auth_isolation_refusals_total"); n != 0 {
		t.Errorf("PostgreSQL refused %v identities for their time", n)
	}
	audit := exec.Command(bin, "audit", "verify")
	audit.Env = []string{"DATABASE_URL=" + db.URL, "REDIS_URL=" + rds.URL}
	if out, err := audit.CombinedOutput(); err != nil {
		t.Errorf("the audit log: %v %s", err, out)
	}
}

// clockCase is what must hold at every jump.
type clockCase struct {
	t          *testing.T
	stand      *stand
	right, ill *server
	redis      *redis.Client

	old    string   // a session's token from before all jumps
	legacy []string // a good one of the old program, and one that ended ten minutes ago
	users  int
	last   string // who last ended all other sessions
}

const idleLife = 24 * time.Hour // SESSION_IDLE_TTL as it is by default

// login is a program's log-in at a server, of somebody who is known or of somebody new.
func (c *clockCase) login(at *server, email string) string {
	c.t.Helper()
	v := newVisitor(c.t, newRecord(), at.url, email, goodPassword)
	v.program = true
	var grant struct{ Tokens struct{ Access string } }
	if status, err := v.ask(c.t.Context(), "POST", "/api/auth/login", "", map[string]string{"email": v.email, "password": v.password, "transport": "bearer"}, &grant); err != nil {
		c.t.Fatalf("%s cannot log in: %d %v", email, status, err)
	}
	return grant.Tokens.Access
}

func (c *clockCase) before() {
	c.old = c.login(c.ill, c.stand.visitors[0].email)
	c.legacy = []string{legacyOf(c.t, "0191d3a0-0000-7000-8000-0000000000a1", -time.Minute, time.Hour), legacyOf(c.t, "0191d3a0-0000-7000-8000-0000000000a2", -time.Hour, -10*time.Minute)}
	c.ends(c.old, "before")
}

// ends holds a session to its life, as the server tells it and as Redis keeps it.
func (c *clockCase) ends(token, what string) {
	c.t.Helper()
	for _, s := range []*server{c.right, c.ill} {
		yes, ends := counts(c.t, s, token)
		if left := time.Until(ends); !yes || left > idleLife+30*time.Second || left < idleLife-5*time.Minute {
			c.t.Errorf("a session of %s: it counts %v and ends in %v", what, yes, left.Round(time.Second))
		}
	}
}

func (c *clockCase) look(by time.Duration) {
	c.t.Helper()
	c.promises(by.String())
	c.keys(by.String())
}

// promises are kept whichever clock is off.
func (c *clockCase) promises(what string) {
	c.t.Helper()
	c.ends(c.old, "before, at "+what)
	if c.last != "" { // "everything until now" was said by a clock that showed something else
		c.ends(c.login(c.right, c.last), what+", logged in after a revocation at another time")
	}
	fresh := c.login(c.ill, c.stand.visitors[1].email)
	c.ends(fresh, what)
	if yes, _ := counts(c.t, c.ill, c.legacy[0]); !yes {
		c.t.Errorf("%s: a good legacy token is refused", what)
	}
	if yes, _ := counts(c.t, c.ill, c.legacy[1]); yes {
		c.t.Errorf("%s: a legacy token that ended ten minutes ago counts", what)
	}
	c.throttle(what)
	c.revoke(what)
	if took := c.stand.revokes(); took > 10*time.Second {
		c.t.Errorf("%s: a revocation closed its socket after %v", what, took)
	}
	c.ticket(fresh, what)
}

// keys holds what Redis forgets by itself to its time.
func (c *clockCase) keys(what string) {
	c.t.Helper()
	ctx := c.t.Context()
	looked := 0
	for _, key := range c.redis.Keys(ctx, "rt:s:*").Val() {
		looked++
		if left := c.redis.PTTL(ctx, key).Val(); left > idleLife+30*time.Second || left > 0 && left < idleLife-5*time.Minute {
			c.t.Errorf("%s: Redis keeps a session for %v", what, left)
		}
	}
	if looked == 0 {
		c.t.Error("no sessions in Redis: nothing was looked at")
	}
}

// throttle: a wrong password at one server keeps nobody from the other, whatever its clock shows.
func (c *clockCase) throttle(what string) {
	c.t.Helper()
	email := c.stand.visitors[2].email
	v := newVisitor(c.t, newRecord(), c.ill.url, email, "not the password")
	if status, err := v.ask(c.t.Context(), "POST", "/api/auth/login", "", map[string]string{"email": email, "password": v.password}, nil); status != http.StatusUnauthorized {
		c.t.Errorf("%s: a wrong password: %d %v", what, status, err)
	}
	c.login(c.right, email)
}

// revoke: "everything until now" at the ill server ends what was given out a moment ago, a legacy token too, and nothing later.
func (c *clockCase) revoke(what string) {
	c.t.Helper()
	ctx := c.t.Context()
	c.users++
	v := newVisitor(c.t, newRecord(), c.ill.url, fmt.Sprintf("everywhere%d@example.com", c.users), goodPassword)
	var made struct{ User struct{ ID string } }
	if status, err := v.ask(ctx, "POST", "/api/auth/register", "", map[string]string{"email": v.email, "password": v.password}, &made); err != nil {
		c.t.Fatal(status, err)
	}
	elsewhere := c.login(c.right, v.email)
	old := legacyOf(c.t, made.User.ID, -time.Minute, time.Hour)
	if yes, _ := counts(c.t, c.right, old); !yes {
		c.t.Errorf("%s: the old program's token does not count", what)
	}
	if status, err := v.ask(ctx, "DELETE", "/api/auth/sessions?others=true", "", nil, nil); err != nil {
		c.t.Fatalf("%s: ending the other sessions: %d %v", what, status, err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) { // the other server hears it
		session, _ := counts(c.t, c.right, elsewhere)
		token, _ := counts(c.t, c.right, old)
		if !session && !token {
			break
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("%s: after the revocation the session counts %v, the legacy token %v", what, session, token)
		}
	}
	for _, at := range []*server{c.right, c.ill} {
		again := c.login(at, v.email)
		c.ends(again, what+", after a revocation")
	}
	c.last = v.email
}

// ticket: made by one server, used at the other.
func (c *clockCase) ticket(session, what string) {
	c.t.Helper()
	for _, way := range [][2]*server{{c.ill, c.right}, {c.right, c.ill}} {
		for _, token := range []string{session, c.legacy[0]} {
			var made struct{ Ticket string }
			asBearer(c.t, way[0], "POST", "/api/auth/ticket", token, &made)
			ws, _, err := websocket.Dial(c.t.Context(), way[1].url+"/ws", &websocket.DialOptions{Subprotocols: []string{"rosetree.v1", "rosetree.ticket." + made.Ticket}})
			if err != nil {
				c.t.Errorf("%s: a ticket opens no socket at the other server: %v", what, err)
				continue
			}
			if _, _, err := ws.Read(c.t.Context()); err != nil {
				c.t.Errorf("%s: its socket: %v", what, err)
			}
			ws.CloseNow()
		}
	}
}
