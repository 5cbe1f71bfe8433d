package proof

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rosetree/internal/devstack"
)

// rehearsal is one run of the migration plan on servers, a database and a Redis of its own.
type rehearsal struct {
	t        *testing.T
	line     *timeline
	rec      *record
	env      []string // of the operator
	settings []string // of the servers
	db       devstack.DB
	redis    *devstack.Redis
	toRedis  *devstack.Link // from the last server alone
	servers  []*server
	all      []*server // also those that a deploy has replaced
	front    *devstack.Balancer
	visitors []*visitor
	dwell    time.Duration // how long a phase is watched
	legacy   atomic.Int64  // log-ins that got a legacy token
	session  atomic.Int64  // log-ins that got a session
	paused   atomic.Bool   // nobody exchanges a legacy token for a session yet
	program  *oldProgram
	oldToken string // a legacy token that nobody exchanges
}

// step types what an operator types, and returns what it printed and how long it took.
func (r *rehearsal) step(script string, args ...string) (string, time.Duration) {
	r.t.Helper()
	out, took, err := r.try(script, args...)
	if err != nil {
		r.t.Fatalf("%s %v: %v\n%s", script, args, err, out)
	}
	r.line.say("%s %s (%v)", script, strings.Join(args, " "), took.Round(10*time.Millisecond))
	return out, took
}

func (r *rehearsal) try(script string, args ...string) (string, time.Duration, error) {
	ctx, cancel := context.WithTimeout(r.t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "../migration/"+script, args...)
	urls := make([]string, len(r.servers))
	for i, s := range r.servers {
		urls[i] = s.url
	}
	cmd.Env = append(r.env, "SERVERS="+strings.Join(urls, " "))
	began := time.Now()
	out, err := cmd.CombinedOutput()
	return string(out), time.Since(began), err
}

// roll replaces the servers one after the other, as a rolling deploy does: the new one is ready before the old one goes.
func (r *rehearsal) roll(settings ...string) {
	r.t.Helper()
	r.settings = append(r.settings, settings...)
	for i, old := range r.servers {
		r.servers[i] = r.serve(r.settings)
		r.front.Use(addrs(append([]*server{old}, r.servers...))...)
		r.front.Use(addrs(r.servers)...) // what is new goes to the others; what the old one has it sends away itself
		rest(r.t.Context(), time.Second) // as preStop does: what the balancer has just passed on is still answered
		old.stop()
	}
	r.line.say("servers replaced one by one with %v: %d sockets sent away so far", settings, r.rec.counted("socket sent away: restart"))
}

func (r *rehearsal) serve(settings []string) *server {
	r.t.Helper()
	s := serve(r.t, settings...)
	r.all = append(r.all, s)
	return s
}

// visit is a visitor's life: it looks, writes, logs in on a second device, and exchanges its legacy token once it may.
func (r *rehearsal) visit(ctx context.Context, v *visitor) {
	for ctx.Err() == nil {
		switch n := rand.IntN(100); {
		case n < 3:
			r.secondDevice(ctx, v)
		case n < 25:
			v.write(context.WithoutCancel(ctx)) // what was sent counts, also where the run ends meanwhile
		case n < 40 && !r.paused.Load():
			v.upgrade(ctx)
		default:
			v.look(ctx)
		}
		rest(ctx, 100*time.Millisecond+rand.N(400*time.Millisecond))
	}
}

// secondDevice logs in elsewhere, which shows the path that log-ins get, and out again.
func (r *rehearsal) secondDevice(ctx context.Context, v *visitor) {
	other := *newVisitor(r.t, r.rec, v.front, v.email, v.password)
	switch other.login(ctx) {
	case "session":
		r.session.Add(1)
	case "legacy":
		r.legacy.Add(1)
	default:
		return
	}
	other.must(ctx, "log-out", "POST", "/api/auth/logout", "", nil, nil)
}

// modes waits until every server is in mode, and returns how long that took.
func (r *rehearsal) modes(mode string) time.Duration {
	r.t.Helper()
	began := time.Now()
	for _, s := range r.servers {
		for s.mode() != mode {
			if time.Since(began) > time.Minute {
				r.t.Fatalf("%s is %q and not %q", s.url, s.mode(), mode)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	return time.Since(began)
}

func (s *server) mode() string {
	var out struct{ Rollout struct{ Mode string } }
	_, body := s.get("/api/auth/status")
	_ = json.Unmarshal([]byte(body), &out)
	return out.Rollout.Mode
}

// watch is a phase's monitoring: it lets the load run, asks the operator's script, and writes the figures down.
func (r *rehearsal) watch(phase string) {
	r.t.Helper()
	before := [2]int64{r.legacy.Load(), r.session.Load()}
	rest(r.t.Context(), r.dwell)
	out, _, err := r.try("watch.sh")
	if err != nil {
		r.line.say("%s: watch.sh says no: %s", phase, out)
	}
	r.line.say("%-28s log-ins %d legacy, %d session; ledger writes %v; reads %v; failed so far %d", phase, r.legacy.Load()-before[0], r.session.Load()-before[1],
		r.rec.cut("ledger write"), r.rec.cut("ledger read"), len(r.rec.failures))
}

// paths counts by what the visitors' browsers are let in.
func (r *rehearsal) paths() (legacy, session int) {
	for _, v := range r.visitors {
		var status struct{ Auth string }
		if v.must(r.t.Context(), "status", "GET", "/api/auth/status", "", nil, &status) && status.Auth == "session" {
			session++
		} else {
			legacy++
		}
	}
	return legacy, session
}

func newRehearsal(t *testing.T) *rehearsal {
	began := time.Now()
	rec := newRecord()
	r := &rehearsal{t: t, line: &timeline{t, began}, rec: rec, dwell: span(t, "ROSETREE_REHEARSAL", 4*time.Second)}
	t.Cleanup(func() {
		for _, line := range slices.Concat(rec.failures, rec.lost, rec.wrong) {
			t.Log(line)
			for _, s := range r.all {
				s.explain(line)
			}
		}
	})
	people := make([]string, 20)
	for i := range people {
		people[i] = fmt.Sprintf("visitor%d@example.com", i)
	}
	var old string
	r.db, old = oldDatabase(t, people)
	r.redis = devstack.Test(t).Redis(t)
	r.toRedis = devstack.StartLink(t, r.redis.Addr)
	common := []string{"DATABASE_URL=" + r.db.URL, "SECRET_KEY=" + strings.Repeat("5ec4e7", 11)}
	r.env = append(append([]string{"PATH=" + filepath.Dir(binary(t)) + ":" + os.Getenv("PATH"), "HOME=" + t.TempDir(),
		"MIGRATE_DATABASE_URL=" + r.db.OwnerURL, "REDIS_URL=" + r.redis.URL}, common...), "LATENCY_LIMIT=1000", "ERROR_LIMIT=100")
	if newVerdicts(t).rehearse {
		r.env = r.env[:len(r.env)-2] // the plan's own limits
	}
	r.settings = append(common, "REDIS_URL="+r.redis.URL, "NEW_AUTH_ENABLED=false", "PRICE_FEEDS=sim?rate=20", "WS_DRAIN=1s")

	r.line.say("a legacy database with %s transactions of %s users, and the old program at work on it", ask(t, old, "SELECT count(*) FROM transactions"), ask(t, old, "SELECT count(*) FROM users"))
	r.program = startOldProgram(t, rec, old)
	before := ask(t, old, oldRows)
	r.step("1-database.sh")
	if after := ask(t, old, oldRows); after != before {
		rec.add(&rec.wrong, "the old program sees other rows after the migration")
	}
	r.line.say("the old program sees the same rows after row security came")

	for i := range 3 {
		settings := r.settings
		if i == 2 { // its way to Redis will fail
			settings = append(settings[:len(settings):len(settings)], "REDIS_URL="+strings.Replace(r.redis.URL, r.redis.Addr, r.toRedis.Addr, 1))
		}
		r.servers = append(r.servers, r.serve(settings))
	}
	front, err := devstack.StartBalancer("127.0.0.1:0", addrs(r.servers)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(front.Close)
	r.front = front
	r.step("2-both-paths.sh")
	r.oldToken = r.bareToken("ey")
	for _, email := range people {
		v := newVisitor(t, rec, "http://"+front.Addr, email, goodPassword)
		if path := v.login(t.Context()); path != "legacy" {
			t.Errorf("before the switch %s logs in by %q", email, path)
		}
		v.adopt(t.Context())
		if v.written != oldRowsEach {
			rec.add(&rec.wrong, "%s has %d of %d transactions after the migration", email, v.written, oldRowsEach)
		}
		r.visitors = append(r.visitors, v)
	}
	return r
}

// begin lets everybody live, until end is called.
func (r *rehearsal) begin() (end func()) {
	ctx, stop := context.WithCancel(r.t.Context())
	var living sync.WaitGroup
	for _, v := range r.visitors {
		living.Go(func() { v.live(ctx) })
		living.Go(func() { r.visit(ctx, v) })
	}
	return sync.OnceFunc(func() { stop(); living.Wait() })
}

// guard makes the last server's way to Redis half-open, so that what presents a bare session token there fails because
// of us, until the guard rolls back by itself. Browsers go on by their fallback cookie.
func (r *rehearsal) guard() time.Duration {
	r.t.Helper()
	ill := r.servers[len(r.servers)-1]
	token := r.bareToken("rt1.")
	began := time.Now()
	r.toRedis.Stall()
	r.line.say("fault: the third server's network to Redis is half-open")
	for failed := 0; ill.mode() != "rollback"; {
		if time.Since(began) > time.Minute {
			r.t.Fatalf("the guard has not rolled back after %d failures in a minute", failed)
		}
		var wg sync.WaitGroup
		for range 40 {
			wg.Go(func() { presents(ill.url, token) })
		}
		wg.Wait()
		failed += 40
	}
	r.modes("rollback")
	took := time.Since(began)
	r.toRedis.Restore()
	if who := ask(r.t, r.db.OwnerURL, "SELECT actor FROM app.rollout"); who != "guard" {
		r.t.Fatalf("%s rolled back, and not the guard", who)
	}
	r.line.say("the guard rolled back on all servers %v after the fault; the fault is over", took.Round(10*time.Millisecond))
	return took
}

// bareToken logs in as a program does, and keeps no fallback.
func (r *rehearsal) bareToken(prefix string) string {
	r.t.Helper()
	v := newVisitor(r.t, newRecord(), "http://"+r.front.Addr, "visitor0@example.com", goodPassword)
	v.program = true
	var out struct{ Tokens struct{ Access string } }
	_, err := v.ask(r.t.Context(), "POST", "/api/auth/login", "", map[string]string{"email": v.email, "password": v.password, "transport": "bearer"}, &out)
	if err != nil || !strings.HasPrefix(out.Tokens.Access, prefix) {
		r.t.Fatalf("no token %s…: %v", prefix, err)
	}
	return out.Tokens.Access
}

// presents asks with a token who it is, and returns the status; 0 where there was no answer.
func presents(url, token string) int {
	q, err := http.NewRequest("GET", url+"/api/auth/sessions", nil)
	if err != nil {
		return 0
	}
	q.Header.Set("Authorization", "Bearer "+token)
	client := http.Client{Timeout: 10 * time.Second}
	res, err := client.Do(q)
	if err != nil {
		return 0
	}
	res.Body.Close()
	return res.StatusCode
}
