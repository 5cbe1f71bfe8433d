package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
)

func loadSymbol(i int) string { return fmt.Sprintf("LOAD%04d", i) }

// define makes the symbols known and gives each a first price.
func (w *loadWorld) define(ctx context.Context) error {
	if w.admin == nil {
		return errors.New("prices need an account that may write them: give --account of an admin")
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	all := w.o.Of + w.still
	for i := range all {
		g.Go(func() error {
			return w.ask(gctx, http.MethodPut, "/api/instruments/"+loadSymbol(i), w.admin.token,
				map[string]any{"name": "Load test " + loadSymbol(i), "kind": "crypto", "currency": "USD", "multiplier": "1", "price_adjusted": true}, nil)
		})
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("define symbols: %w", err)
	}
	for from := 0; from < all; from += 500 {
		if err := w.post(ctx, from, min(500, all-from), all); err != nil {
			return err
		}
	}
	return nil
}

type tickBody struct {
	Updates []tickUpdate `json:"updates"`
}

type tickUpdate struct {
	S string `json:"s"`
	P string `json:"p"`
	T int64  `json:"t"`
}

// post ticks n symbols from number on, around of symbols.
func (w *loadWorld) post(ctx context.Context, number, n, of int) error {
	now := time.Now()
	body := tickBody{Updates: make([]tickUpdate, n)}
	for i := range n {
		body.Updates[i] = tickUpdate{loadSymbol((number + i) % of), stampedPrice(now), now.UnixMilli()}
	}
	var answer struct {
		Accepted int
		Rejected []struct{ Symbol, Code string }
	}
	if err := w.ask(ctx, http.MethodPost, "/api/prices", w.feeder().token, body, &answer); err != nil {
		return fmt.Errorf("post prices: %w", err)
	}
	w.ticks.Add(int64(n))
	w.refused.Add(int64(len(answer.Rejected)))
	return nil
}

// feeder delivers prices. With a legacy token it does so without a question to Redis at each delivery: what is
// measured while Redis is busy is the way from tick to client, and not how a feed is authenticated.
func (w *loadWorld) feeder() *loadSession {
	if w.o.legacySecret == "" {
		return w.admin
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.legacyAdmin == nil {
		w.legacyAdmin = w.legacyFor(w.admin.user)
	}
	return w.legacyAdmin
}

// feed ticks until ctx ends: perSecond ticks, going around of symbols, a few every few milliseconds.
func (w *loadWorld) feed(ctx context.Context, perSecond, of int) error {
	if perSecond == 0 {
		return nil
	}
	every := max(time.Second/time.Duration(perSecond), 5*time.Millisecond)
	began, sent := time.Now(), 0
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		due := int(time.Since(began).Seconds()*float64(perSecond)) - sent
		due = min(due, of, 500) // never one symbol twice at one instant
		if due <= 0 {
			continue
		}
		switch err := w.post(ctx, sent, due, of); {
		case ctx.Err() != nil:
			return nil
		case busy(err):
			w.refused.Add(int64(due)) // the report names them
		case err != nil:
			return err
		}
		sent += due
	}
}
