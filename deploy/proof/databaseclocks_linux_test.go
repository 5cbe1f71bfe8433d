package proof

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// The wall clocks of PostgreSQL and of Redis are set an hour ahead, as far behind and right again under everybody. Nobody's session ends
// or lives longer, no socket is lost, no write fails, prices go on, a revocation means what it says, and the switches stay as they are.
func TestAWallClockOfPostgreSQLOrRedisThatJumpsNeitherEndsNorProlongs(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	clocks := newWrongClocks(t, dir, "postgres", "redis-server")
	stack := startStack(t, dir, clocks.env()...)
	s := newStandWith(t, stack.DatabaseURL, stack.RedisURL, binary(t), "LEGACY_JWT_SECRET="+clockSecret)
	c := &clockCase{t: t, stand: s, right: s.servers[0], ill: s.servers[1], redis: clientOf(t, stack.RedisURL)}
	end := s.begin()
	defer end()
	c.before()
	c.revoked(stack.OwnerURL)
	switches := ask(t, stack.OwnerURL, "SELECT version FROM app.rollout")
	for _, by := range []time.Duration{time.Hour, -time.Hour, 0} {
		s.during(fmt.Sprintf("PostgreSQL's clock is off by %v", by), 0, func() { c.refuses(func() { clocks.set("postgres", by) }) }, func() {})
		c.look(by)
		c.startsAnew()
	}
	for _, by := range []time.Duration{time.Hour, -time.Hour, 0} {
		s.during(fmt.Sprintf("Redis' clock is off by %v", by), faultLasts(t), func() { clocks.set("redis-server", by) }, func() {})
		c.promises("Redis " + by.String())
		c.idle("Redis " + by.String())
		c.prices()
	}
	end()
	s.look()
	if len(s.rec.lost) > 0 {
		t.Errorf("sockets were lost: %v", s.rec.lost)
	}
	if now := ask(t, stack.OwnerURL, "SELECT version FROM app.rollout"); now != switches {
		t.Errorf("the switches were turned: version %s after %s", now, switches)
	}
	audit := exec.Command(binary(t), "audit", "verify")
	audit.Env = []string{"DATABASE_URL=" + stack.DatabaseURL, "REDIS_URL=" + stack.RedisURL}
	if out, err := audit.CombinedOutput(); err != nil {
		t.Errorf("the audit log: %v %s", err, out)
	}
}

func clientOf(t *testing.T, url string) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	t.Cleanup(func() { client.Close() })
	return client
}

// refuses: PostgreSQL takes no identity whose time it does not believe; each server learns the time from that, and says so in a metric.
func (c *clockCase) refuses(jump func()) {
	c.t.Helper()
	refused := func(s *server) float64 {
		return s.metric(`rosetree_auth_isolation_refusals_total{code="RT002"}`)
	}
	before := []float64{refused(c.right), refused(c.ill)}
	jump()
	for i, s := range []*server{c.right, c.ill} {
		waitUntil(c.t, "a server to be refused by PostgreSQL", func() bool { return refused(s) > before[i] })
	}
}

// revoked writes a revocation by hand that ends within the hour, with the token that it is about.
func (c *clockCase) revoked(ownerURL string) {
	c.t.Helper()
	const user = "0191d3a0-0000-7000-8000-0000000000a3"
	c.legacy = append(c.legacy, legacyOf(c.t, user, -time.Minute, 50*time.Minute))
	owns(c.t, ownerURL, "INSERT INTO app.revocations (kind, subject, reason, actor, until) VALUES ('sid', '"+user+"', 'revoked', 'system', now() + interval '50 minutes')")
}

// startsAnew: a server that starts now goes by PostgreSQL's clock. It knows what was revoked all the same, and sessions live on.
func (c *clockCase) startsAnew() {
	c.t.Helper()
	s := serve(c.t, c.stand.settings...)
	defer s.stop()
	if yes, _ := counts(c.t, s, c.legacy[2]); yes {
		c.t.Error("a server that starts takes a token that was revoked")
	}
	if yes, _ := counts(c.t, s, c.old); !yes {
		c.t.Error("a server that starts takes no session")
	}
}

// idle: a session that was not used for too long is over, also while a clock that was set back keeps its key.
func (c *clockCase) idle(what string) {
	c.t.Helper()
	ctx := c.t.Context()
	token := c.login(c.right, c.stand.visitors[4].email)
	id := strings.Split(token, ".")[1]
	key := "rt:s:{" + id[:12] + "}" + id[12:]
	if n := c.redis.HSet(ctx, key, "seen", time.Now().Add(-idleLife-30*time.Minute).UnixMilli()).Val(); n != 0 || c.redis.PTTL(ctx, key).Val() < 0 {
		c.t.Fatalf("%s is no session's key", key)
	}
	for _, s := range []*server{c.right, c.ill} {
		if yes, _ := counts(c.t, s, token); yes {
			c.t.Errorf("%s: a session that was not used for a day and a half hour counts", what)
		}
	}
}

func (c *clockCase) prices() {
	c.t.Helper()
	before := c.stand.rec.counted("price")
	waitUntil(c.t, "the next prices", func() bool { return c.stand.rec.counted("price") > before+50 })
}

func waitUntil(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for !holds() {
		if ctx.Err() != nil {
			t.Fatalf("waited in vain for %s", what)
		}
		rest(ctx, 20*time.Millisecond)
	}
}
