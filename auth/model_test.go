package auth

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"rosetree/internal/devstack"
)

// TestModel does random things to random sessions on two servers while Redis and PostgreSQL fail one after the other,
// and holds what happens against a model:
//
//	no socket stays open more than a second after its session was revoked;
//	no session is accepted after its revocation was acknowledged, whatever Redis has lost or brought back (where one of
//	the two stores was away: a second later, because the other servers have only one messenger then);
//	no socket closes whose session lives.
//
// It runs for five seconds. For an hour: ROSETREE_MODEL_DURATION=1h go test -run TestModel -timeout 2h ./auth
// What a step does depends on the seed and on the step's number alone, so a failing run is repeated without most of its
// steps until few are left (model_shrink_test.go). ROSETREE_MODEL_SEED repeats a run's choices (not its timing).
func TestModel(t *testing.T) {
	m := newModel(t, modelSeed(t))
	t.Logf("seed %d", m.seed)
	deadline, told := time.Now().Add(modelDuration(t)), time.Now()
	for time.Now().Before(deadline) && len(m.violations) == 0 {
		m.step(m.steps + 1)
		m.check()
		if time.Since(told) > time.Minute {
			told = time.Now()
			t.Logf("%v left, %d steps, %d violations", time.Until(deadline).Round(time.Second), m.steps, len(m.violations))
		}
	}
	m.settle()
	m.stop()
	t.Logf("seed %d: %d steps, %s", m.seed, m.steps, m.tally())
	if len(m.violations) == 0 {
		return
	}
	t.Errorf("seed %d: %s\nthe last steps:\n%s", m.seed, strings.Join(m.violations, "\n"), strings.Join(m.log, "\n"))
	reportShrunk(t, m)
}

func modelDuration(t *testing.T) time.Duration {
	d, err := time.ParseDuration(os.Getenv("ROSETREE_MODEL_DURATION"))
	if err != nil {
		if testing.Short() {
			return 3 * time.Second
		}
		return 5 * time.Second
	}
	return d
}

func modelSeed(t *testing.T) uint64 {
	if seed, err := strconv.ParseUint(os.Getenv("ROSETREE_MODEL_SEED"), 10, 64); err == nil {
		return seed
	}
	if os.Getenv("ROSETREE_MODEL_DURATION") == "" {
		return 1 // the short run of every check is the same each time; looking for new sequences takes longer
	}
	return rand.Uint64()
}

// grace is the promise, and what a busy test machine may add to it.
func grace() time.Duration { return bar + slack() }

// subject is one session as the model knows it.
type subject struct {
	p       Principal
	over    time.Time // zero while it lives
	acked   bool      // its revocation was acknowledged, so it never comes back
	refused time.Time // where acked: from when on every server must know
	unsure  bool      // Redis has lost or brought back keys: it may live or not
	sockets map[int]bool
}

type model struct {
	t     *testing.T
	seed  uint64
	rng   *rand.Rand
	redis *devstack.Redis
	admin *redis.Client
	wire  *devstack.Link // to Redis
	sql   *devstack.Link // to PostgreSQL
	dsn   string

	servers    [2]*modelServer
	sockets    int
	subjects   []*subject
	steps      int      // the number of the newest
	log        []string // the newest lines
	counts     map[string]int
	violations []string

	faulty time.Time // until then something is broken
	repair func()

	mu   sync.Mutex
	told map[int]told // by socket
}

type modelServer struct {
	rv   *revoker
	db   *DB
	stop func()
}

func newModel(t *testing.T, seed uint64) *model {
	env := devstack.Test(t)
	r := env.Redis(t)
	dsn, sql := through(t, env.Database(t, migrate).URL)
	m := &model{t: t, seed: seed, redis: r, admin: r.Client(t), wire: devstack.StartLink(t, r.Addr),
		sql: sql, dsn: dsn, counts: map[string]int{}, told: map[int]told{}}
	for i := range m.servers {
		m.start(i)
	}
	return m
}

func (m *model) start(i int) {
	opt := authOptions(m.redis)
	opt.Addr = m.wire.Addr
	rdb := redis.NewClient(opt)
	var db *DB
	var err error
	for deadline := time.Now().Add(time.Minute); db == nil; { // it may start into a fault of PostgreSQL, as the operator's supervisor would start it again
		db, err = OpenDB(context.Background(), DBConfig{URL: Secret(m.dsn), AcquireWait: 300 * time.Millisecond, QueryTimeout: time.Second}, prometheus.NewRegistry())
		if err != nil && time.Now().After(deadline) {
			m.t.Fatalf("start server %d: %v", i, err)
		}
	}
	rv := newRevoker(revokerConfig{watchConfig: watchConfig{Server: fmt.Sprintf("server-%d", i)},
		JournalKeys: [][]byte{[]byte("test")},
		Tags:        func(u UserID) []string { return []string{utag([]byte("test"), u)} },
		Absolute:    time.Hour, MaxBlind: time.Minute}, db, rdb, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); rv.run(ctx) }()
	m.servers[i] = &modelServer{rv, db, func() { cancel(); <-done; db.Close(); rdb.Close() }}
	for deadline := time.Now().Add(10 * time.Second); !rv.ledger.isLoaded() && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
}

func (m *model) stop() {
	m.heal(true)
	for _, s := range m.servers {
		s.stop()
	}
}

func (m *model) say(format string, args ...any) {
	m.log = append(m.log[max(0, len(m.log)-logLines):], fmt.Sprintf("%5d %s", m.steps, fmt.Sprintf(format, args...)))
	m.counts[strings.Fields(format)[0]]++
}

// logLines are enough to see what came before a violation; an hour has a million.
const logLines = 60

func (m *model) violated(format string, args ...any) {
	m.violations = append(m.violations, fmt.Sprintf(format, args...))
}

func (m *model) tally() string { return fmt.Sprint(m.counts) }

// step does what the seed says of the n-th step.
func (m *model) step(n int) {
	m.steps = n
	m.rng = rand.New(rand.NewPCG(m.seed, uint64(n)))
	m.heal(false)
	time.Sleep(time.Duration(m.rng.IntN(20)) * time.Millisecond)
	switch n := m.rng.IntN(100); {
	case n < 28:
		m.create()
	case n < 35:
		m.createLegacy()
	case n < 50:
		m.open(m.any())
	case n < 65:
		m.revoke(m.any())
	case n < 70:
		m.revokeUser(m.any())
	case n < 78:
		m.deleteByHand(m.any())
	case n < 84:
		m.touch(m.any())
	case n < 92:
		m.tryRevoked()
	case n < 96:
		m.breakSomething()
	case n < 97:
		m.restart()
	}
}

func (m *model) any() *subject {
	if len(m.subjects) == 0 {
		m.heal(true) // nothing can be made while something is broken
		m.create()
	}
	return m.subjects[m.rng.IntN(len(m.subjects))]
}

func (m *model) broken() bool { return m.repair != nil }

func (m *model) create() {
	if m.broken() {
		return
	}
	user := UserID(fmt.Sprintf("00000000-0000-7000-8000-%012d", m.rng.IntN(20)))
	now := m.servers[m.rng.IntN(2)].rv.denied.issueTime(user, time.Now())
	made := &Session{User: user, Role: RoleUser, IssuedAt: now, AuthAt: now, SeenAt: now, Ends: now.Add(time.Hour), Idle: time.Hour}
	store := sessions{rdb: m.admin, limit: 1000}
	if _, err := store.create(context.Background(), made, mintToken(utag([]byte("test"), user)), ""); err != nil {
		m.t.Fatalf("create: %v", err)
	}
	p := made.principal()
	m.say("create %s", p.Session)
	s := &subject{p: p, sockets: map[int]bool{}}
	m.subjects = append(m.subjects, s)
	m.open(s)
}

// createLegacy makes a legacy token: it has no key in Redis.
func (m *model) createLegacy() {
	user := UserID(fmt.Sprintf("00000000-0000-7000-8000-%012d", m.rng.IntN(20)))
	now := m.servers[m.rng.IntN(2)].rv.denied.issueTime(user, time.Now())
	p := Principal{User: user, Role: RoleUser, Session: SessionID(fmt.Sprintf("legacy-%d", m.sockets)), Via: ViaLegacy, IssuedAt: now, Expires: now.Add(time.Hour)}
	m.say("create %s", p.Session)
	s := &subject{p: p, sockets: map[int]bool{}}
	m.subjects = append(m.subjects, s)
	m.open(s)
}

func (s *subject) isLegacy() bool { return s.p.Via == ViaLegacy }

// open opens a socket on one of the servers.
func (m *model) open(s *subject) {
	m.sockets++
	id := m.sockets
	server, began := m.servers[m.rng.IntN(2)], time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_, _, err := server.rv.watch.watch(ctx, s.p, func(e End) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.told[id] = told{e, time.Now()}
	})
	m.say("open %s: %v", s.p.Session, err)
	switch {
	case err == nil:
		s.sockets[id] = true
		if s.acked && began.After(s.refused) {
			m.violated("%s is accepted %v after its revocation was acknowledged", s.p.Session, time.Since(s.over))
		}
	case s.over.IsZero() && !s.unsure && !m.broken() && problemCode(err) != "unavailable":
		m.violated("a living session is refused: %v", err)
	}
}

func (m *model) revoke(s *subject) {
	m.end(Target{Kind: KindSession, Session: s.p.Session}, []*subject{s})
}

func (m *model) revokeUser(s *subject) {
	var all []*subject
	for _, other := range m.subjects {
		if other.p.User == s.p.User && other != s {
			all = append(all, other)
		}
	}
	m.end(Target{Kind: KindUser, User: s.p.User, Keep: s.p.Session}, all)
}

func (m *model) end(t Target, all []*subject) {
	before := time.Now()
	receipt, err := m.servers[m.rng.IntN(2)].rv.revoke(context.Background(), t, admin, Reason{})
	m.say("revoke %s %s%s: %+v %v", t.Kind, t.Session, t.User, receipt, err)
	for _, s := range all {
		if err != nil {
			s.unsure = true
			continue
		}
		if s.over.IsZero() || !s.acked {
			s.over = before
		}
		refused := time.Now()
		if !receipt.Durable || receipt.Redis != "ok" || s.isLegacy() { // one messenger has to do, and it takes its time
			refused = refused.Add(grace())
		}
		if !s.acked || refused.Before(s.refused) {
			s.refused = refused
		}
		s.acked = true
	}
}

func (m *model) deleteByHand(s *subject) {
	if m.broken() || s.isLegacy() {
		return
	}
	m.say("delete %s", s.p.Session)
	at := time.Now()
	m.admin.Del(context.Background(), sessionKey(s.p.Session))
	if s.over.IsZero() {
		s.over = at
	}
}

func (m *model) touch(s *subject) {
	if m.broken() || s.isLegacy() || !s.over.IsZero() || s.unsure {
		return
	}
	m.say("touch %s", s.p.Session)
	m.admin.HSet(context.Background(), sessionKey(s.p.Session), "seen", time.Now().UnixMilli())
	m.admin.PExpire(context.Background(), sessionKey(s.p.Session), time.Hour)
}

// tryRevoked presents sessions whose revocation was acknowledged.
func (m *model) tryRevoked() {
	for range 5 {
		if s := m.any(); s.acked {
			m.open(s)
		}
	}
}

// check holds what the sockets were told against the model.
func (m *model) check() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.subjects {
		for id := range s.sockets {
			end, isTold := m.told[id]
			switch {
			case isTold && s.over.IsZero() && !s.unsure:
				m.violated("a living session's socket was closed: %+v", end.End)
				delete(s.sockets, id)
			case isTold:
				delete(s.sockets, id)
				delete(m.told, id)
			case m.mustBeClosed(s):
				m.violated("a socket of %s is open %v after the end of its session", s.p.Session, time.Since(s.over))
				delete(s.sockets, id)
			}
		}
	}
	m.forget()
}

// mustBeClosed: a revocation is heard from PostgreSQL when not from Redis, or the other way round; a deletion by hand only
// from Redis.
func (m *model) mustBeClosed(s *subject) bool {
	if s.over.IsZero() || time.Since(s.over) < grace() {
		return false
	}
	return s.acked || !s.unsure && !m.broken() && time.Since(m.faulty) > grace()
}

// forget keeps the model small: what is over and has no sockets is kept for a while, to be tried again.
func (m *model) forget() {
	if len(m.subjects) < 200 {
		return
	}
	kept := m.subjects[:0]
	for _, s := range m.subjects {
		if s.over.IsZero() && !s.unsure || time.Since(s.over) < 10*time.Second {
			kept = append(kept, s)
		}
	}
	m.subjects = kept
	if len(kept) > 150 {
		m.revokeHalf()
	}
}

func (m *model) revokeHalf() {
	for _, s := range m.subjects[:len(m.subjects)/2] {
		s.unsure = true
	}
}

// settle repairs everything and waits for what is still owed.
func (m *model) settle() {
	m.heal(true)
	time.Sleep(grace())
	m.check()
}
