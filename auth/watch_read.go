package auth

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	readers     = 4                      // pipelines in flight at once: a mass revocation never takes more
	readBatch   = 32                     // sessions in one pipeline: prices may have to wait while the answers are worked through, 40 µs for each
	readTimeout = 300 * time.Millisecond // of one pipeline
	hintTries   = 4                      // reads after an event before the session counts as gone
	hintPause   = 60 * time.Millisecond  // between them
)

// held is what Redis holds of a session at the moment of a read.
type held struct {
	alive   bool
	user    UserID
	role    Role
	issued  time.Time
	authAt  time.Time
	expires time.Time
	ending  End // why it is gone, where whoever ended it left a note
}

// reader reads sessions in pipelines. Whoever asks while a session already waits for its turn shares the read.
type reader struct {
	rdb  redis.UniversalClient
	wake chan struct{}
	hint func(id SessionID, event string, h held, err error) // answers to events

	mu      sync.Mutex
	waiting map[SessionID]*question
}

type question struct {
	id    SessionID
	event string // "" or the event that made us ask
	tries int
	asked []chan answer
}

type answer struct {
	held held
	err  error
}

func newReader(rdb redis.UniversalClient) *reader {
	return &reader{rdb: rdb, wake: make(chan struct{}, readers), waiting: map[SessionID]*question{}}
}

// read waits for one session's state. The answer is never older than the call.
func (r *reader) read(ctx context.Context, id SessionID) (held, error) {
	ch := make(chan answer, 1)
	r.enqueue(id, func(q *question) { q.asked = append(q.asked, ch) })
	select {
	case a := <-ch:
		return a.held, a.err
	case <-ctx.Done():
		return held{}, ctx.Err()
	}
}

// look asks for a read because of an event. It never blocks: however many events come, a session waits once.
func (r *reader) look(id SessionID, event string) {
	r.enqueue(id, func(q *question) { q.because(event) })
}

// because keeps what Redis said: a question of our own (eventMoved) does not take the place of its evidence.
func (q *question) because(event string) {
	if event != eventMoved || q.event == "" {
		q.event = event
	}
}

func (r *reader) enqueue(id SessionID, with func(*question)) {
	r.mu.Lock()
	q := r.waiting[id]
	if q == nil {
		q = &question{id: id}
		r.waiting[id] = q
	}
	with(q)
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default: // every reader has been woken already and takes what waits
	}
}

func (r *reader) run(ctx context.Context) {
	for {
		batch := r.take()
		if len(batch) == 0 {
			select {
			case <-r.wake:
				continue
			case <-ctx.Done():
				return
			}
		}
		r.answer(ctx, batch)
	}
}

func (r *reader) take() []*question {
	r.mu.Lock()
	defer r.mu.Unlock()
	batch := make([]*question, 0, min(len(r.waiting), readBatch))
	for id, q := range r.waiting {
		if len(batch) == readBatch {
			break
		}
		batch = append(batch, q)
		delete(r.waiting, id)
	}
	return batch
}

func (r *reader) answer(ctx context.Context, batch []*question) {
	ids := make([]SessionID, len(batch))
	for i, q := range batch {
		ids[i] = q.id
	}
	answers := readSessions(ctx, r.rdb, ids, true)
	for i, q := range batch {
		a := answers[i]
		for _, ch := range q.asked {
			ch <- a
		}
		switch {
		case q.event == "":
		case a.err != nil && q.tries < hintTries-1 && ctx.Err() == nil:
			r.again(q)
		default:
			r.hint(q.id, q.event, a.held, a.err)
		}
	}
}

// again repeats a read that failed after an event: a moving slot or a fail-over deserves a second look.
func (r *reader) again(q *question) {
	time.AfterFunc(hintPause, func() {
		r.enqueue(q.id, func(next *question) {
			next.because(q.event)
			next.tries = q.tries + 1
		})
	})
}

// readSessions reads many sessions in one pipeline; each has its own error. The notes of why sessions are gone are worth
// asking for only where that is likely: a sweep finds nearly all alive.
func readSessions(ctx context.Context, rdb redis.UniversalClient, ids []SessionID, notes bool) []answer {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	type cmds struct {
		session *redis.SliceCmd
		left    *redis.DurationCmd
		epoch   *redis.StringCmd
		ending  *redis.SliceCmd
	}
	pipe := rdb.Pipeline()
	sent := make([]cmds, len(ids))
	for i, id := range ids {
		sent[i] = cmds{
			session: pipe.HMGet(ctx, sessionKey(id), "uid", "role", "gen", "iat", "auth", "abs", "idle", "seen"),
			left:    pipe.PTTL(ctx, sessionKey(id)),
			epoch:   pipe.Get(ctx, epochKey(utagOf(id))),
		}
		if notes {
			sent[i].ending = pipe.HMGet(ctx, endingKey(id), "reason", "by", "at", "said")
		}
	}
	_, _ = pipe.Exec(ctx) // each command carries its own error
	answers := make([]answer, len(ids))
	for i, c := range sent {
		answers[i] = decodeSession(c.session, c.left, c.epoch, c.ending)
	}
	return answers
}

// decodeSession takes a session's deadline from what Redis says is left of it, and not from the times in it: those are
// wall clocks of servers, and a clock that jumps must neither end sessions nor prolong them.
func decodeSession(session *redis.SliceCmd, left *redis.DurationCmd, epoch *redis.StringCmd, ending *redis.SliceCmd) answer {
	err := session.Err()
	if redis.HasErrorPrefix(err, "WRONGTYPE") || redis.HasErrorPrefix(epoch.Err(), "WRONGTYPE") {
		return answer{} // something overwrote the key: it is no session any more
	}
	if err != nil {
		return answer{err: err}
	}
	if err := left.Err(); err != nil {
		return answer{err: err}
	}
	if err := epoch.Err(); err != nil && !errors.Is(err, redis.Nil) {
		return answer{err: err}
	}
	f := fields(session.Val())
	h := held{
		user: UserID(f.text(0)), role: Role(f.text(1)),
		issued: f.time(3), authAt: f.time(4), expires: f.expires(5, 6, 7),
	}
	if left.Val() >= 0 { // 0: in its last millisecond
		h.expires = time.Now().Add(left.Val())
	}
	generation, current := f.number(2), parseInt(epoch.Val())
	h.alive = h.user != "" && generation >= current
	if ending == nil {
		return answer{held: h}
	}
	if e := fields(ending.Val()); !h.alive && ending.Err() == nil && e.text(0) != "" {
		h.ending = End{Reason: EndReason(e.text(0)), By: e.text(1), At: e.time(2), Said: e.text(3)}
	}
	return answer{held: h}
}

// fields are the values of an HMGET; a missing one is nil.
type fields []any

func (f fields) text(i int) string {
	if i >= len(f) {
		return ""
	}
	s, _ := f[i].(string)
	return s
}

func (f fields) number(i int) int64 { return parseInt(f.text(i)) }

func (f fields) time(i int) time.Time {
	if ms := f.number(i); ms > 0 {
		return time.UnixMilli(ms)
	}
	return time.Time{}
}

// expires is min(seen + idle, abs), all in milliseconds.
func (f fields) expires(abs, idle, seen int) time.Time {
	return time.UnixMilli(min(f.number(seen)+f.number(idle), f.number(abs)))
}

func parseInt(s string) int64 {
	s, _, _ = strings.Cut(s, ".") // Lua writes large numbers as floats where nobody stops it
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}
