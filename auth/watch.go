package auth

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"rosetree/internal/api"
)

// watcher knows every session that has sockets on this server, hears when one ends, and tells its sockets.
//
// A session is registered first, then its channel is subscribed and acknowledged, and then the session is read
// again: whatever happened before is visible to that read, whatever comes after is an event. An event is a hint
// and leads to a read. Silence is proved by a canary (watch_canary.go); while it is not, the watcher polls.
//
// Lock order: watcher.telling before watcher.mu before node.mu. None is held across I/O, and the last two not while a socket is told.
type watcher struct {
	// fixed after newWatcher
	cfg    watchConfig
	rdb    redis.UniversalClient
	denied denials
	log    *slog.Logger
	met    *watchMetrics
	reads  *reader
	place  placement
	prefix string // of a keyspace channel: "__keyspace@<db>__:"

	telling sync.RWMutex // held for reading from a session's removal until its end has been observed

	mu       sync.Mutex
	sessions map[SessionID]*watched
	users    map[UserID]map[SessionID]*watched

	// fixed before run
	observe func(p Principal, heard string, closed []time.Time) // told of every end, and when each socket was told
	regain  func(context.Context, *redis.Client) error          // called before a Redis that was away is listened to again
	probe   func(context.Context, *node) error                  // may requests use this Redis again?
	consult func(Principal) bool                                // does Redis decide whether p's session lives?
	journal func()                                              // Redis holds a revocation that PostgreSQL does not have
}

// watchConfig is how often the watcher asks. The zero value of a field means its default.
type watchConfig struct {
	Server        string        // this process, in canary keys and receipts
	CanaryEvery   time.Duration // pause between two canaries
	CanaryTimeout time.Duration // a canary that takes longer is lost: the watcher is blind
	PollEvery     time.Duration // while blind: does every session still exist?
	SweepEvery    time.Duration // always: does every session still exist? (FLUSHDB, SWAPDB and lost keys make no event)
	ReadEvery     time.Duration // always: read every session (an overwritten key still exists)
}

func (c watchConfig) withDefaults() watchConfig {
	set := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	set(&c.CanaryEvery, 250*time.Millisecond)
	set(&c.CanaryTimeout, 500*time.Millisecond)
	set(&c.PollEvery, 500*time.Millisecond)
	set(&c.SweepEvery, 5*time.Second)
	set(&c.ReadEvery, 30*time.Second)
	return c
}

// denials is what this server knows to be revoked, whatever Redis says. Implemented by denylist.
type denials interface {
	check(Principal) (End, bool)
}

// placement says which Redis server holds a session. Implemented by single and cluster.
type placement interface {
	nodeFor(utag string) *node
	all() []*node
	run(ctx context.Context) error
}

// watched is one session with sockets on this server.
type watched struct {
	// fixed after it was made
	id      SessionID
	user    UserID
	channel string // "" where the id has not the form of a session's

	// guarded by watcher.mu
	now     Principal   // with the earliest time of issue of those who share the session
	node    *node       // nil where Redis is not consulted
	sockets []*watching // nearly always one
}

// watching is one socket's interest in a session.
type watching struct {
	end  func(End)
	over atomic.Bool // told, or not interested any more; whoever sets it first wins
}

func (w *watching) tell(e End) {
	if w.over.CompareAndSwap(false, true) {
		w.end(e)
	}
}

// watch registers p's session, waits until Redis has acknowledged the subscription and reads the session again.
// When it returns without error, an end of the session leads to one call of end, which must not block. A call
// that had begun before stop may still be running when stop returns; none begins afterwards. With an error there
// is nothing to stop; end may then have been called as well.
func (w *watcher) watch(ctx context.Context, p Principal, end func(End)) (stop func(), now Principal, err error) {
	sock := &watching{end: end}
	s, acknowledged := w.register(p, sock)
	stop = func() {
		sock.over.Store(true)
		w.forget(s, sock)
	}
	select {
	case <-acknowledged:
	case <-ctx.Done():
		stop()
		return nil, Principal{}, ctx.Err()
	}
	now, over, err := w.ask(ctx, p)
	if err != nil || over != nil {
		stop() // this socket learns it from the error; the session's other sockets from end
	}
	switch {
	case err != nil:
		return nil, Principal{}, err
	case over != nil:
		w.end(p.Session, *over)
		return nil, Principal{}, endProblem(*over)
	}
	if sock.over.Load() { // it ended while it was being registered, and this socket has been told
		return nil, Principal{}, api.Unauthenticated("this session has ended; log in again")
	}
	w.learn(now)
	return stop, now, nil
}

// register makes p's session known, so that from here on every sweep and every row of the ledger sees it.
// The channel is closed once its subscription is acknowledged, or once it is clear that only polling is left.
func (w *watcher) register(p Principal, sock *watching) (*watched, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.sessions[p.Session]
	if s == nil {
		s = &watched{id: p.Session, user: p.User, now: p}
		w.sessions[s.id] = s
		if w.users[s.user] == nil {
			w.users[s.user] = map[SessionID]*watched{}
		}
		w.users[s.user][s.id] = s
		if isSessionID(string(s.id)) {
			s.channel = w.prefix + sessionKey(s.id)
		}
		w.met.watched.Inc()
	}
	s.sockets = append(s.sockets, sock)
	if p.IssuedAt.Before(s.now.IssuedAt) {
		s.now.IssuedAt = p.IssuedAt
	}
	if s.node == nil && w.inRedis(p) {
		s.node = w.place.nodeFor(utagOf(s.id))
	}
	if s.node == nil {
		return s, closedChan
	}
	return s, s.node.add(s)
}

// keyOf is the key of a session that Redis holds, as a part of its channel, so that sweeps need not make it.
func (w *watcher) keyOf(s *watched) string { return s.channel[len(w.prefix):] }

// inRedis: a legacy token may be the companion of a session, and then dies with it.
func (w *watcher) inRedis(p Principal) bool { return isSessionID(string(p.Session)) && w.consult(p) }

var closedChan = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// forget takes one socket away, and the session with the last of them.
func (w *watcher) forget(s *watched, sock *watching) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if i := slices.Index(s.sockets, sock); i >= 0 {
		s.sockets = slices.Delete(s.sockets, i, i+1)
	}
	if len(s.sockets) == 0 && w.sessions[s.id] == s {
		w.drop(s)
	}
}

// drop removes s. The caller holds mu.
func (w *watcher) drop(s *watched) {
	delete(w.sessions, s.id)
	delete(w.users[s.user], s.id)
	if len(w.users[s.user]) == 0 {
		delete(w.users, s.user)
	}
	if s.node != nil {
		s.node.remove(s)
	}
	w.met.watched.Dec()
}

// end tells all sockets of a session that it is over.
func (w *watcher) end(id SessionID, e End) (sockets int) {
	w.telling.RLock()
	defer w.telling.RUnlock()
	w.mu.Lock()
	s := w.sessions[id]
	if s == nil {
		w.mu.Unlock()
		return 0
	}
	w.drop(s)
	told := s.sockets
	s.sockets = nil // a later stop finds nothing to remove
	now := s.now
	w.mu.Unlock()

	closed := make([]time.Time, len(told))
	for i, sock := range told {
		sock.tell(e)
		closed[i] = time.Now() // nothing more goes to it
	}
	w.observe(now, e.Heard, closed)
	w.met.ended.WithLabelValues(e.Heard, string(e.Reason)).Inc()
	return len(told)
}

// apply ends the watched sessions that a row of the ledger is about. When it returns, all of their ends have been observed, also
// those that another messenger was faster with: whoever counts the sockets misses none.
func (w *watcher) apply(r *revocation, heard string) {
	e := r.end()
	e.Heard = heard
	for _, id := range w.about(r) {
		w.end(id, e)
	}
	w.telling.Lock()
	defer w.telling.Unlock()
}

func (w *watcher) about(r *revocation) (ids []SessionID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r.Kind == KindSession || r.Kind == KindToken {
		return []SessionID{SessionID(r.Subject)}
	}
	among := w.sessions
	if r.Kind != KindAll {
		among = w.users[UserID(r.Subject)]
	}
	for id, s := range among {
		if r.covers(s.now) {
			ids = append(ids, id)
		}
	}
	return ids
}

// lookup is the session as this server last read it.
func (w *watcher) lookup(id SessionID) (Principal, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.sessions[id]; s != nil {
		return s.now, true
	}
	return Principal{}, false
}

func (w *watcher) counts() map[SessionID]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	counts := make(map[SessionID]int, len(w.sessions))
	for id, s := range w.sessions {
		counts[id] = len(s.sockets)
	}
	return counts
}

// learn keeps what a read said of a session: the deadline tells an expiry from a revocation.
func (w *watcher) learn(p Principal) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.sessions[p.Session]; s != nil {
		if s.now.IssuedAt.Before(p.IssuedAt) {
			p.IssuedAt = s.now.IssuedAt
		}
		s.now = p
	}
}

// run works until ctx ends.
func (w *watcher) run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	for range readers {
		wg.Go(func() { w.reads.run(ctx) })
	}
	return w.place.run(ctx)
}
