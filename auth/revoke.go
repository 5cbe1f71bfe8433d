package auth

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"rosetree/internal/api"
)

// Target is what a revocation is about: one session or legacy token, a user's, or everybody's.
type Target struct {
	Kind    Kind
	Session SessionID // of kinds sid and jti
	User    UserID    // of kinds user and before
	Keep    SessionID // of kind user: the one session that stays
	Before  time.Time // of kinds before and all: what was issued until then; zero means now
	Until   time.Time // when what is revoked would have ended by itself; zero where that is not known
}

// Actor is who revokes.
type Actor struct {
	As   string // "admin", "user", "system", "operator": shown to the one whose session ends
	User UserID
	IP   string
}

func (a Actor) String() string {
	if a.User == "" {
		return a.As
	}
	return a.As + ":" + string(a.User)
}

// Reason is why: Code decides what the client is told, Text is what a person wrote.
type Reason struct {
	Code EndReason // "" means EndRevoked
	Text string
	Tell bool // Text is for the eyes of those whose sessions end, too
}

// tellMark stands between code and text where the text is told, and ": " where it is not. A server of an older version tells the code alone.
const tellMark = ":: "

func (r Reason) String() string {
	code := string(r.Code)
	if code == "" {
		code = string(EndRevoked)
	}
	if r.Text == "" {
		return code
	}
	if r.Tell {
		return code + tellMark + r.Text
	}
	return code + ": " + r.Text
}

const (
	maxReason      = 500
	recordPatience = 300 * time.Millisecond // how long a revocation waits for PostgreSQL before it takes effect without
	recordLimit    = 3 * time.Second        // how long it then waits to learn whether it is durable
	legacyLife     = 400 * 24 * time.Hour   // no legacy token lives longer than this
)

// revoker ends sessions, on this server and on all others.
type revoker struct {
	// fixed after newRevoker
	rdb      redis.UniversalClient
	watch    *watcher
	ledger   *ledger
	journal  *journal
	denied   *denylist
	receipts *receipts
	tags     func(UserID) []string
	absolute time.Duration // a session's longest life
	maxBlind time.Duration
	log      *slog.Logger
	tell     func(*revocation) // for lists that are looked at while they change; may hear a row twice

	behind atomic.Bool // Redis has missed a revocation
	known  sync.Map    // run id of each Redis server that has been brought up to date
}

// revokerConfig is what the revoker is told by Auth.
type revokerConfig struct {
	watchConfig
	Tags     func(UserID) []string // what a user's session ids may begin with
	Absolute time.Duration
	MaxBlind time.Duration
	Switched func() // the rollout's row may have changed

	JournalKeys [][]byte // the first signs
}

func newRevoker(cfg revokerConfig, db *DB, rdb redis.UniversalClient, log *slog.Logger, reg prometheus.Registerer) *revoker {
	rows, met := db.Service(ServiceAuth), newLedgerMetrics(reg)
	denied := newDenylist()
	rv := &revoker{rdb: rdb, denied: denied, tags: cfg.Tags, absolute: cfg.Absolute, maxBlind: cfg.MaxBlind, log: log, tell: func(*revocation) {}}
	rv.ledger = newLedger(rows, db.Listen, denied, log, met)
	rv.receipts = newReceipts(rows, cfg.Server, rv.ledger.clock().carried, log, met)
	rv.watch = newWatcher(cfg.watchConfig, rdb, denied, log, reg)
	rv.watch.observe, rv.watch.regain, rv.watch.probe = rv.receipts.note, rv.bringUpToDate, rv.probe
	rv.ledger.apply = rv.heard
	rv.journal = newJournal(rdb, rv.watch.prefix+journalKey, cfg.JournalKeys, log)
	rv.journal.breaker = func() *breaker { return rv.breaker(journalKey) }
	rv.journal.heard = rv.heardEarly
	rv.ledger.journal, rv.watch.journal = rv.journal, rv.journal.news
	if cfg.Switched != nil {
		rv.ledger.switched = cfg.Switched
	}
	return rv
}

// heard handles a row of the ledger that came by the feed.
func (rv *revoker) heard(r *revocation, heard string) {
	rv.watch.apply(r, heard)
	if heard != "start" {
		rv.receipts.issue(r, heard)
		rv.tell(r)
	}
}

// heardEarly handles a revocation that PostgreSQL has not taken yet.
func (rv *revoker) heardEarly(r *revocation) {
	rv.denied.add(r)
	rv.heard(r, "journal")
}

// breaker guards the Redis master that holds the keys of one user, who is known by the tag of the session ids.
func (rv *revoker) breaker(utag string) *breaker { return rv.watch.place.nodeFor(utag).breaker }

// run works until ctx ends.
func (rv *revoker) run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { _ = rv.ledger.run(ctx) })
	wg.Go(func() { rv.receipts.run(ctx) })
	wg.Go(func() { rv.endDeaf(ctx) })
	wg.Go(func() { rv.keepUp(ctx) })
	wg.Go(func() { rv.journal.run(ctx) })
	return rv.watch.run(ctx)
}

// revoke ends what t names: it becomes durable, then this server's sockets close, then Redis forgets. Other servers hear
// it from Redis or from PostgreSQL, whichever is first. Where PostgreSQL is away it stands in Redis' journal before the
// answer and moves to PostgreSQL later; where Redis is away, Redis is told before it is trusted again. With both away it
// is an error, and only this server has closed its sockets.
func (rv *revoker) revoke(ctx context.Context, t Target, by Actor, why Reason) (Receipt, error) {
	r, err := rv.row(t, by, why)
	if err != nil {
		return Receipt{}, err
	}
	return rv.carryOut(ctx, r, rv.ledger.record(r)[0])
}

// revokeBoth is revoke for two that end together: one transaction records them. The receipt is the second's.
func (rv *revoker) revokeBoth(ctx context.Context, first, second Target, by Actor, why Reason) (Receipt, error) {
	r1, err1 := rv.row(first, by, why)
	r2, err2 := rv.row(second, by, why)
	if err := cmp.Or(err1, err2); err != nil {
		return Receipt{}, err
	}
	recs := rv.ledger.record(r1, r2)
	if _, err := rv.carryOut(ctx, r1, recs[0]); err != nil {
		return Receipt{}, err
	}
	return rv.carryOut(ctx, r2, recs[1])
}

// carryOut makes r true while, or after, it is recorded.
func (rv *revoker) carryOut(ctx context.Context, r *revocation, rec *recording) (Receipt, error) {
	rec.wait(recordPatience)
	if rec.id() != 0 {
		r.ID, r.At = rec.id(), rec.row.At
	}
	out := Receipt{Sockets: rv.endHere(r)}
	inRedis, redisErr := rv.inRedis(ctx, r)
	var journalErr error
	if rec.id() == 0 {
		journalErr = rv.journal.add(ctx, r)
		rec.wait(recordLimit - recordPatience)
	}
	out.ID, out.Durable, out.Sessions = rec.id(), rec.id() != 0, max(inRedis, rec.ended)
	out.Redis = "ok"
	if redisErr != nil {
		rv.behind.Store(true)
		out.Redis = "pending"
		rv.log.Warn("revocations: Redis is told later", "cause", redisErr)
	}
	if out.Durable {
		rv.journal.wrote(r)
		return out, nil
	}
	if journalErr != nil { // it is tried again all the same, as long as this server lives
		return out, api.Unavailable("neither Redis nor PostgreSQL took the revocation; only this server's sockets were closed. Try again", time.Second)
	}
	return out, nil
}

// row is t as the ledger keeps it.
func (rv *revoker) row(t Target, by Actor, why Reason) (*revocation, error) {
	if len(why.Text) > maxReason {
		return nil, api.Invalid("reason", "at most %d bytes", maxReason)
	}
	now := rv.ledger.clock().now()
	r := &revocation{Kind: t.Kind, Keep: t.Keep, NotBefore: t.Before, Reason: why.String(), Actor: by.String(), At: now, Until: t.Until, IP: by.IP}
	switch t.Kind {
	case KindSession, KindToken:
		r.Subject = string(t.Session)
	case KindUser, KindBefore:
		r.Subject = string(t.User)
	case KindAll:
	default:
		return nil, fmt.Errorf("auth: revoke: kind %q", t.Kind)
	}
	if r.Subject == "" && t.Kind != KindAll {
		return nil, api.Invalid("id", "says nothing about whose session it is")
	}
	if r.NotBefore.IsZero() && (t.Kind == KindUser || t.Kind == KindBefore || t.Kind == KindAll) {
		r.NotBefore = now
	}
	if r.Until.IsZero() {
		r.Until = now.Add(rv.longestLife(t))
	}
	return r, nil
}

// longestLife is how long what t names could still be valid.
func (rv *revoker) longestLife(t Target) time.Duration {
	if t.Kind == KindSession && isSessionID(string(t.Session)) {
		return rv.absolute
	}
	return max(rv.absolute, legacyLife)
}

// endHere closes this server's sockets. The feed may have been faster, and may still be closing them: they count as well.
func (rv *revoker) endHere(r *revocation) (sockets int) {
	isNews := len(rv.denied.add(r)) > 0
	rv.watch.apply(r, "local")
	if isNews {
		rv.receipts.issue(r, "local")
		rv.tell(r)
	}
	return rv.receipts.sockets(r)
}

func actorName(actor string) string {
	name, _, _ := strings.Cut(actor, ":")
	return name
}
