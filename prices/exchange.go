package prices

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

// exchange is a feed over somebody else's WebSocket. It subscribes what is wanted and covered, within
// its budget, and is connected only while that is something.
type exchange struct {
	// fixed after newExchange
	name     string
	protocol protocol
	address  string
	history  string // where the past is asked for; empty: nowhere
	secret   string // part of the address or a message; never shown
	terms    terms
	always   []Symbol // subscribed whether or not somebody looks
	deps     feedDeps

	budget atomic.Int32 // shrinks where the exchange says that it is too many
}

// terms are what an exchange allows and promises.
type terms struct {
	budget     int           // symbols at a time
	perMessage int           // symbols in one subscription message
	pace       time.Duration // least time between two messages of ours
	silence    time.Duration // longest quiet: then the connection is dead, or, without heartbeats, asked by a ping
	heartbeats bool          // it promises never to be quiet for longer
}

// protocol is what differs between exchanges. Implementations keep no state: that of a connection is in wire.
type protocol interface {
	covers(i Instrument) bool
	code(s Symbol) string                     // the exchange's name of a symbol
	hello() [][]byte                          // sent first
	login() bool                              // subscriptions wait until read has set wire.ready
	subscribe(codes []string, on bool) []byte // on false: unsubscribe
	// read adds what message says to w. errMalformed is counted and skipped; any other error ends the connection.
	read(message []byte, w *wire) error
}

var (
	errMalformed = errors.New("malformed message")
	errGap       = errors.New("messages are missing")
	errSilent    = errors.New("nothing heard for too long")
	errShutdown  = errors.New("the exchange restarts")
	errBudget    = errors.New("too many symbols for the exchange")
	errIdle      = errors.New("nobody looks")
)

// throttled is an exchange that wants to be left alone for a while.
type throttled struct {
	after time.Duration
	why   string
}

func (t *throttled) Error() string { return t.why }

// wire is the state of one connection, owned by its read loop; ready and symbols are also read by the
// one that subscribes.
type wire struct {
	source   string
	ticks    []Tick
	sequence int64 // of the last message; -1 before the first
	ready    atomic.Bool
	symbols  atomic.Pointer[map[string]Symbol] // what the exchange's names mean; replaced, never changed
	now      time.Time                         // when the message came
}

// price reports that code costs text. Of several in one message the last counts. A zero at is now.
func (w *wire) price(code, text string, at time.Time) error {
	s, ok := (*w.symbols.Load())[code]
	if !ok {
		return nil // it was unsubscribed, or is an alias that we did not ask for
	}
	p, err := parseNumber(text)
	if err != nil {
		return fmt.Errorf("%w: price of %s: %w", errMalformed, s, err)
	}
	if at.IsZero() {
		at = w.now
	}
	t := Tick{s, p, at, w.source}
	if i := slices.IndexFunc(w.ticks, func(t Tick) bool { return t.Symbol == s }); i >= 0 {
		if !t.At.Before(w.ticks[i].At) {
			w.ticks[i] = t
		}
		return nil
	}
	w.ticks = append(w.ticks, t)
	return nil
}

func (e *exchange) Name() string { return e.name }

// Instruments are those of the well-known that the exchange lists.
func (e *exchange) Instruments() []Instrument {
	var all []Instrument
	for _, i := range wellKnown {
		if e.protocol.covers(i) {
			all = append(all, known(i.Symbol))
		}
	}
	return all
}

// wanted are the symbols to subscribe now.
func (e *exchange) wanted() []Symbol {
	budget := int(e.budget.Load())
	all := slices.Clone(e.always[:min(budget, len(e.always))])
	for _, s := range e.deps.demand.wanted(budget, e.covers) {
		if len(all) < budget && !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

func (e *exchange) covers(s Symbol) bool {
	i, ok := e.deps.instrument(s)
	return ok && e.protocol.covers(i)
}

// lookEvery is how often demand is compared with what is subscribed.
const lookEvery = 250 * time.Millisecond

// Run connects whenever something is wanted.
func (e *exchange) Run(ctx context.Context, emit func([]Tick)) error {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		if len(e.wanted()) > 0 {
			if err := e.connect(ctx, emit); !errors.Is(err, errIdle) {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		}
	}
}
