package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// ledgerWatch notes when each version of a portfolio arrived.
type ledgerWatch struct {
	mu    sync.Mutex
	seen  int64
	at    map[int64]time.Time
	newer chan struct{}
}

func (l *ledgerWatch) receive(message []byte) {
	if !bytes.HasPrefix(message, []byte(`{"type":"portfolio"`)) {
		return
	}
	now := time.Now()
	var m struct{ Version int64 }
	if json.Unmarshal(message, &m) != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for v := l.seen + 1; v <= m.Version; v++ { // versions may be joined in one message
		l.at[v] = now
	}
	l.seen = m.Version
	close(l.newer)
	l.newer = make(chan struct{})
}

// arrived waits for a version.
func (l *ledgerWatch) arrived(ctx context.Context, version int64) (time.Time, error) {
	for {
		l.mu.Lock()
		at, ok := l.at[version]
		newer := l.newer
		l.mu.Unlock()
		if ok {
			return at, nil
		}
		select {
		case <-newer:
		case <-ctx.Done():
			return at, ctx.Err()
		case <-time.After(5 * time.Second):
			return at, fmt.Errorf("version %d did not come within 5 s", version)
		}
	}
}

// loadLedger writes on one device and waits for the push on another.
func loadLedger(ctx context.Context, w *loadWorld) error {
	if len(w.users) == 0 {
		return errors.New("no user: give --account or --users")
	}
	if err := w.enough(ctx, 2*len(w.users)); err != nil {
		return err
	}
	user := w.users[0]
	devices := w.sessionsOf(user)
	if len(devices) < 2 {
		return errors.New("two sessions of one user are needed")
	}
	id, err := w.loadPortfolio(ctx, devices[0])
	if err != nil {
		return err
	}
	watch := &ledgerWatch{at: map[int64]time.Time{}, newer: make(chan struct{})}
	there, err := w.open(ctx, devices[1], &spread{}, watch.receive)
	if err != nil {
		return err
	}
	if err := there.send(`{"type":"subscribe","channel":"portfolio","portfolio":"` + id + `"}`); err != nil {
		return err
	}
	if err := pause(ctx, time.Second); err != nil {
		return err
	}
	watch.mu.Lock()
	version := watch.seen
	watch.mu.Unlock()
	if version == 0 {
		return errors.New("the portfolio's snapshot did not come")
	}
	return w.writeAndWait(ctx, devices[0], id, version, watch)
}

func (w *loadWorld) sessionsOf(u *loadUser) (all []*loadSession) {
	for _, s := range w.sessions {
		if s.user == u {
			all = append(all, s)
		}
	}
	return all
}

// loadPortfolio is a fresh portfolio, so that the writes are not in anybody's way.
func (w *loadWorld) loadPortfolio(ctx context.Context, s *loadSession) (string, error) {
	var made struct{ ID string }
	err := w.ask(ctx, http.MethodPost, "/api/portfolios", s.token, map[string]string{"name": fmt.Sprintf("Load %d", time.Now().UnixMilli()), "base_currency": "USD"}, &made)
	if err != nil {
		return "", fmt.Errorf("make a portfolio: %w", err)
	}
	return made.ID, nil
}

func (w *loadWorld) writeAndWait(ctx context.Context, s *loadSession, id string, version int64, watch *ledgerWatch) error {
	pushed, answered := &spread{}, &spread{}
	every := time.Second / time.Duration(max(w.o.Rate, 1))
	for i := range w.o.Count {
		next := time.Now().Add(every)
		began := time.Now()
		err := w.ask(ctx, http.MethodPost, "/api/portfolios/"+id+"/transactions", s.token, map[string]any{"type": "deposit", "amount": "1", "currency": "USD",
			"executed_at": began.UTC().Format(time.RFC3339)}, nil)
		if err != nil {
			return fmt.Errorf("write: %w", err)
		}
		answered.add(time.Since(began))
		version++
		at, err := watch.arrived(ctx, version)
		if err != nil {
			return err
		}
		pushed.add(at.Sub(began))
		progress("%d of %d writes", i+1, w.o.Count)
		if err := pause(ctx, time.Until(next)); err != nil {
			return err
		}
	}
	w.report.latency("write to answer", answered)
	w.report.latency("write to push", pushed)
	return nil
}
