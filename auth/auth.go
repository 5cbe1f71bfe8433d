package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
)

// Auth is the service: log-ins, sessions, the split between them and legacy tokens, and their end.
type Auth struct {
	// fixed after New
	cfg      Config
	db       *DB
	rows     Rows // the server's own tables
	clock    *clock
	rdb      redis.UniversalClient
	log      *slog.Logger
	met      *metrics
	keys     keyring
	sessions *sessions
	hashes   *hashPool
	limits   *limiter
	spray    *spray
	refusals *refusals
	where    surroundings
	csrf     *http.CrossOriginProtection
	touched  *touches
	recent   *window
	ends     *revoker
	switches *rollout
	turned   chan struct{} // the rollout's row may have changed
	legacy   *legacyTokens
	people   *people
	guarded  *window // of the session path: what the guard judges
	guard    *guard
	shadow   *shadow
	exports  chan struct{} // one element for each export that is being made
	server   string        // this process, for the others
	news     chan SessionNews
	counts   *socketCounts

	// CountSockets is how many live sockets a session has on this server. Set before Run, by who holds the sockets.
	CountSockets SocketCounter
	// LastFrames is when the sockets of sessions were last heard on this server, of those that have one here. Set with CountSockets.
	LastFrames func([]SessionID) map[SessionID]time.Time
	// OpenSockets counts all on this server. Set with CountSockets.
	OpenSockets func() OpenSockets
	// Followed says whether somebody looks at a session here: of those OnSockets hears, where their sockets change on any server. Set with CountSockets.
	Followed  func(SessionID, UserID) bool
	OnSockets func([]SocketNews)
	// OnSession hears of sessions that begin, are renamed or end, on any server; OnSwitch of every turn of a switch. Both are set
	// before Run, and must not block.
	OnSession func(SessionNews)
	OnSwitch  func(RolloutState)
}

// SocketCounter counts a session's live sockets.
type SocketCounter func(SessionID) int

// New composes the service. Nothing is asked of Redis or PostgreSQL before Run or the first request.
func New(cfg Config, db *DB, rdb redis.UniversalClient, log *slog.Logger, reg prometheus.Registerer) (*Auth, error) {
	if wrong := cfg.Validate(); len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	cfg = cfg.withDefaults()
	where, err := newSurroundings(cfg)
	if err != nil {
		return nil, err
	}
	secret, err := db.config.Secret.Or(string(db.config.URL))
	if err != nil {
		return nil, err
	}
	a := &Auth{cfg: cfg, db: db, rows: db.Service(ServiceAuth), clock: &db.clock, rdb: rdb, log: log, met: newMetrics(reg),
		keys: newKeyring(secret), where: where, csrf: http.NewCrossOriginProtection(), recent: newWindow(),
		CountSockets: func(SessionID) int { return 0 }, LastFrames: func([]SessionID) map[SessionID]time.Time { return nil },
		OpenSockets: func() OpenSockets { return OpenSockets{} }, Followed: func(SessionID, UserID) bool { return false }, OnSockets: func([]SocketNews) {}, OnSession: func(SessionNews) {}, OnSwitch: func(RolloutState) {}}
	reg.MustRegister(newRedisFigures(rdb))
	a.sessions = &sessions{rdb: rdb, limit: cfg.SessionsPerUser, clock: a.clock}
	a.hashes = newHashPool(a.met)
	a.spray = newSpray(log, reg)
	a.refusals = newRefusals(a.note)
	a.touched = newTouches(a.rows, log)
	a.switches = newRollout(a.rows, cfg, log, a.met)
	a.turned = make(chan struct{}, 1)
	a.people = newPeople(a)
	a.server, a.news = serverName(), make(chan SessionNews, newsAhead)
	a.counts = newSocketCounts(a)
	a.guarded = newWindow()
	a.guard = newGuard(a.guarded, a.switches, a.server, log, reg)
	a.shadow = newShadow(a.twinOf, a.met)
	a.exports = make(chan struct{}, exportSlots)
	a.ends = newRevoker(revokerConfig{watchConfig: watchConfig{Server: a.server}, Tags: a.keys.utags, Absolute: cfg.SessionAbsoluteTTL,
		MaxBlind: cfg.MaxBlind, Switched: a.switched, JournalKeys: a.keys.journal}, db, rdb, log, reg)
	a.legacy = newLegacyTokens(cfg, a.clock, a.keys.legacy, newKeptJWKS(rdb, a.ends.breaker, a.keys.issuer, cfg.LegacyJWKSURL, log), log)
	a.ends.watch.consult = a.consultsRedis
	a.switches.onChange(a.follow)
	a.limits = newLimiter(rdb, a.clock, a.ends.breaker, a.keys.throttle)
	a.ends.tell = func(r *revocation) { a.OnSession(r.news()) }
	a.switches.onChange(func(Switches, Switches) { a.OnSwitch(*a.switches.state.Load()) })
	return a, nil
}

// Run works until ctx ends.
func (a *Auth) Run(parent context.Context) error {
	g, ctx := errgroup.WithContext(parent)
	g.Go(func() error { return a.touched.run(ctx) })
	g.Go(func() error { return a.switches.run(ctx, a.turned) })
	g.Go(func() error { return a.ends.run(ctx) })
	g.Go(func() error { return a.learnBcrypt(ctx) })
	g.Go(func() error { return a.refusals.run(ctx) })
	g.Go(func() error { return a.guard.run(ctx) })
	g.Go(func() error { return a.shadow.run(ctx) })
	g.Go(func() error { return a.sendNews(ctx) })
	g.Go(func() error { return a.hearNews(ctx) })
	g.Go(func() error { return a.counts.run(ctx) })
	g.Go(func() error { return a.counts.hear(ctx) })
	if err := g.Wait(); parent.Err() == nil {
		return err
	}
	return nil // being told to stop is no failure
}

// WaitReady returns when this server knows what was revoked and how the switches stand. Before that every request is
// answered "unavailable"; who listens earlier only gives worse answers.
func (a *Auth) WaitReady(ctx context.Context) error {
	for {
		if _, err := a.switches.now(); err == nil && a.ends.ledger.isLoaded() {
			return nil
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("auth: the ledger and the switches cannot be read: %w", ctx.Err())
		}
	}
}

// switched is called by the ledger's feed, which hears of the rollout's row on the same connection.
func (a *Auth) switched() {
	select {
	case a.turned <- struct{}{}:
	default:
	}
}

// serverName tells this process from the others in receipts and canary keys.
func serverName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "server"
	}
	return host + "-" + randomText(6)
}
