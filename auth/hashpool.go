package auth

import (
	"context"
	"errors"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"rosetree/internal/api"
)

const (
	hashQueue   = 512              // log-ins that may wait
	hashWait    = 10 * time.Second // and for how long
	strangersOf = 384              // of the queue's places, those that devices may take which never logged in to the account
	knownInARow = 4                // then it is a stranger's turn, where one waits
)

var (
	errHashFormat = errors.New("auth: stored password hash is neither argon2id nor bcrypt within the limits")
	errHashBusy   = api.Unavailable("too many log-ins at once; try again shortly", 5*time.Second)
)

// hashPool is the budget of all log-ins together. It bounds how many passwords are hashed at once: unbounded, 1000 log-ins took
// 19 GB and froze the hub for 13 seconds. A permit belongs to the work and not to the request, or who disconnects early would
// evade the bound. Devices that logged in to the account before go first and have places of their own: a storm of guesses from
// anywhere keeps no owner out.
type hashPool struct {
	met *metrics

	mu        sync.Mutex
	free      int       // permits; guarded by mu
	known     []*waiter // guarded by mu
	strangers []*waiter // guarded by mu
	inARow    int       // turns that known devices had while a stranger waited; guarded by mu
	permits   int       // fixed

	dearest atomic.Int32 // the highest cost of the bcrypt hashes that the old program left; 0: there are none
}

// waiter is a log-in in the queue.
type waiter struct{ turn chan struct{} }

// cores is how many processors Go's scheduler used when the program began; hashWorkers is how many hashes run at once.
var (
	cores       = runtime.GOMAXPROCS(0)
	hashWorkers = max(1, cores-1)
)

// RoomForHashing gives Go's scheduler a processor more for each hash that may run. A hash keeps one for milliseconds at a time, and
// whatever stands in that processor's queue, the hub's timers too, waits for it: with 1,000 log-ins on two cores a timer was late
// by 13 to 15 ms (p99), with the processor more by 5 to 7 ms. The kernel then shares the cores, and it lets who has slept go
// first. It is the whole process' setting, so the program calls it once at its start. A GOMAXPROCS that the operator set stays.
func RoomForHashing() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(cores + hashWorkers)
	}
}

func newHashPool(met *metrics) *hashPool {
	return &hashPool{met: met, free: hashWorkers, permits: hashWorkers}
}

// do runs work when it is its turn and is then still allowed.
func (p *hashPool) do(ctx context.Context, known bool, allowed func() error, work func()) error {
	if err := p.acquire(ctx, known); err != nil {
		return err
	}
	if err := allowed(); err != nil {
		p.release()
		return err
	}
	done := make(chan struct{})
	go func() {
		defer func() { p.release(); close(done) }()
		work()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *hashPool) acquire(ctx context.Context, known bool) error {
	w, err := p.enter(known)
	if w == nil {
		return err
	}
	late := time.NewTimer(hashWait)
	defer late.Stop()
	select {
	case <-w.turn:
		return nil
	case <-late.C:
		err = errHashBusy
	case <-ctx.Done():
		err = ctx.Err()
	}
	if !p.leave(w) {
		p.release() // its turn came in the same moment
	}
	return err
}

// enter gives a permit at once (no waiter), a place in the queue, or an error where there is none.
func (p *hashPool) enter(known bool) (*waiter, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.free > 0 {
		p.free--
		return nil, nil
	}
	if len(p.known)+len(p.strangers) >= hashQueue || !known && len(p.strangers) >= strangersOf {
		return nil, errHashBusy
	}
	w := &waiter{make(chan struct{})}
	if known {
		p.known = append(p.known, w)
	} else {
		p.strangers = append(p.strangers, w)
	}
	p.count()
	return w, nil
}

// leave takes w out of the queue; false where its turn has come already.
func (p *hashPool) leave(w *waiter) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	waiting := len(p.known) + len(p.strangers)
	mine := func(other *waiter) bool { return other == w }
	p.known, p.strangers = slices.DeleteFunc(p.known, mine), slices.DeleteFunc(p.strangers, mine)
	p.count()
	return len(p.known)+len(p.strangers) < waiting
}

// release hands the permit to who is next.
func (p *hashPool) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	queue := &p.known
	if len(p.known) == 0 || p.inARow >= knownInARow && len(p.strangers) > 0 {
		queue = &p.strangers
	}
	if len(*queue) == 0 {
		p.free++
		return
	}
	p.inARow++
	if queue == &p.strangers || len(p.strangers) == 0 {
		p.inARow = 0
	}
	w := (*queue)[0]
	*queue = slices.Delete(*queue, 0, 1)
	p.count()
	close(w.turn)
}

func (p *hashPool) count() { p.met.hashQueue.Set(float64(len(p.known) + len(p.strangers))) }

func (p *hashPool) hash(ctx context.Context, known bool, password string) (string, error) {
	result := make(chan string, 1)
	if err := p.do(ctx, known, always, func() { result <- hashPassword(password, currentCost) }); err != nil {
		return "", err
	}
	return <-result, nil
}

func always() error { return nil }

// verify says whether password made stored, and whether stored should be made anew. An empty stored hash (unknown user,
// or one without a password) costs the same and is never right; so does one that is not usable, which is also an error.
func (p *hashPool) verify(ctx context.Context, known bool, password, stored string, allowed func() error) (ok, outdated bool, err error) {
	usable := stored != ""
	h, wrong := parseHash(orElse(stored, dummyHash))
	if wrong != nil {
		h, _ = parseHash(dummyHash)
	}
	if b, is := h.(bcryptHash); is && int32(b.cost) > p.dearest.Load() {
		p.dearest.Store(int32(b.cost))
	}
	result := make(chan bool, 1)
	err = p.do(ctx, known, allowed, func() {
		right := h.matches(password) && usable && wrong == nil
		if !right {
			h.pad(password, int(p.dearest.Load()))
		}
		result <- right
	})
	if err = errors.Join(err, wrong); err != nil {
		return false, false, err
	}
	return <-result, h.outdated(password), nil
}
