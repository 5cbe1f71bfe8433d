package prices

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sync/errgroup"
)

// connect works on one connection until it fails, nobody looks any more, or ctx ends.
func (e *exchange) connect(ctx context.Context, emit func([]Tick)) error {
	conn, err := e.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.CloseNow() //nolint:errcheck // there is nobody left to tell
	conn.SetReadLimit(1 << 20)
	w := &wire{source: e.name, sequence: -1}
	w.symbols.Store(&map[string]Symbol{})
	w.ready.Store(!e.protocol.login())
	var heard atomic.Int64
	heard.Store(time.Now().UnixNano())
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return e.readAll(ctx, conn, w, &heard, emit) })
	g.Go(func() error { return e.watch(ctx, conn, &heard) })
	g.Go(func() error { return e.subscribeAll(ctx, conn, w) })
	err = g.Wait()
	if errors.Is(err, errBudget) {
		e.budget.Store(max(1, e.budget.Load()*3/4))
	}
	return e.hide(err)
}

// names are the exchange's names of all that it covers.
func (e *exchange) names() map[string]Symbol {
	names := map[string]Symbol{}
	for _, i := range e.deps.instruments() {
		if e.protocol.covers(i) {
			names[e.protocol.code(i.Symbol)] = i.Symbol
		}
	}
	return names
}

func (e *exchange) readAll(ctx context.Context, conn *websocket.Conn, w *wire, heard *atomic.Int64, emit func([]Tick)) error {
	for {
		_, message, err := conn.Read(ctx)
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		w.now = time.Now()
		heard.Store(w.now.UnixNano())
		w.ticks = w.ticks[:0]
		err = e.protocol.read(message, w)
		if len(w.ticks) > 0 {
			emit(w.ticks)
		}
		if errors.Is(err, errMalformed) {
			e.deps.malformed()
		} else if err != nil {
			return err
		}
	}
}

// watch ends a connection on which nothing was heard for too long.
func (e *exchange) watch(ctx context.Context, conn *websocket.Conn, heard *atomic.Int64) error {
	look := time.NewTicker(e.terms.silence / 4)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-look.C:
		}
		if time.Since(time.Unix(0, heard.Load())) < e.terms.silence {
			continue
		}
		if e.terms.heartbeats {
			return errSilent
		}
		if err := e.ping(ctx, conn); err != nil {
			return err
		}
		heard.Store(time.Now().UnixNano())
	}
}

func (e *exchange) ping(ctx context.Context, conn *websocket.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, e.terms.silence)
	defer cancel()
	if err := conn.Ping(ctx); err != nil {
		return errSilent
	}
	return nil
}

// subscribeAll keeps what is subscribed equal to what is wanted.
func (e *exchange) subscribeAll(ctx context.Context, conn *websocket.Conn, w *wire) error {
	for _, message := range e.protocol.hello() {
		if err := e.send(ctx, conn, message); err != nil {
			return err
		}
	}
	var have []Symbol
	for {
		if w.ready.Load() {
			want := e.wanted()
			if len(want) == 0 {
				return errIdle
			}
			if err := e.exchangeFor(ctx, conn, w, have, want); err != nil {
				return err
			}
			have = want
		}
		if err := sleep(ctx, lookEvery); err != nil {
			return err
		}
	}
}

// exchangeFor gives up what is no longer wanted, to make room, and then subscribes what is new.
func (e *exchange) exchangeFor(ctx context.Context, conn *websocket.Conn, w *wire, have, want []Symbol) error {
	gone, fresh := without(have, want), without(want, have)
	if len(fresh) > 0 {
		names := e.names()
		w.symbols.Store(&names)
	}
	if err := e.change(ctx, conn, gone, false); err != nil {
		return err
	}
	return e.change(ctx, conn, fresh, true)
}

func (e *exchange) change(ctx context.Context, conn *websocket.Conn, symbols []Symbol, on bool) error {
	for part := range slices.Chunk(symbols, e.terms.perMessage) {
		codes := make([]string, len(part))
		for i, s := range part {
			codes[i] = e.protocol.code(s)
		}
		if err := e.send(ctx, conn, e.protocol.subscribe(codes, on)); err != nil {
			return err
		}
	}
	return nil
}

// send writes one message and then keeps the exchange's pace.
func (e *exchange) send(ctx context.Context, conn *websocket.Conn, message []byte) error {
	write, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := conn.Write(write, websocket.MessageText, message); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return sleep(ctx, e.terms.pace)
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// without is what of a is not in b.
func without(a, b []Symbol) []Symbol {
	return slices.DeleteFunc(slices.Clone(a), func(s Symbol) bool { return slices.Contains(b, s) })
}

func (e *exchange) dial(ctx context.Context) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, response, err := websocket.Dial(ctx, e.address, nil)
	if response != nil && tooMany(response) {
		return nil, &throttled{patienceFor(response, 10*time.Second), "connect: " + response.Status}
	}
	if err != nil {
		return nil, e.hide(fmt.Errorf("connect: %w", err))
	}
	return conn, nil
}

// hide takes the secret out of an error: a failed dial names the whole address.
func (e *exchange) hide(err error) error {
	if err == nil || e.secret == "" || !strings.Contains(err.Error(), e.secret) {
		return err
	}
	return errors.New(strings.ReplaceAll(err.Error(), e.secret, "[secret]"))
}
