package hub

import (
	"context"
	"encoding/json"
	"slices"

	"rosetree/internal/api"
	"rosetree/portfolio"
	"rosetree/prices"
)

// valuationGap joins what prices do to a portfolio: nobody reads more than ten values a second.
const valuationGap = 100

// view is one portfolio that a connection watches. Snapshots and changes are ordered: they are queued.
// Valuations merge: the newest of each symbol waits here until the connection can take it.
type view struct {
	// fixed
	c       *conn
	id      portfolio.ID
	request json.RawMessage // the id of the subscription, which its end repeats
	head    []byte          // of a valuation message

	// guarded by c.mu
	stop    func()
	open    bool                  // acknowledged, so that messages go to the queue
	gone    bool                  // nothing follows
	waiting [][]byte              // what came before the acknowledgement, or while the session cannot be checked
	pending portfolio.Valuation   // what prices did since the last valuation message
	places  map[prices.Symbol]int // of pending's holdings

	waitingSize int
	next        int64 // when the next valuation may go
}

func newView(c *conn, m channelMessage) *view {
	name, _ := json.Marshal(m.Portfolio) // a string always encodes
	return &view{c: c, id: portfolio.ID(m.Portfolio), request: m.ID, head: slices.Concat([]byte(`{"type":"valuation","portfolio":`), name, []byte(","))}
}

type portfolioMessage struct {
	Type      string              `json:"type"`
	Portfolio portfolio.ID        `json:"portfolio"`
	Version   int64               `json:"version"`
	Snapshot  bool                `json:"snapshot,omitempty"`
	Holdings  []portfolio.Holding `json:"holdings"`
	Removed   []prices.Symbol     `json:"removed,omitempty"`
	Totals    portfolio.Totals    `json:"totals"`
}

// Snapshot implements portfolio.Viewer.
func (v *view) Snapshot(s portfolio.Snapshot) {
	message := encode(portfolioMessage{Type: "portfolio", Portfolio: v.id, Version: s.Version, Snapshot: true, Holdings: orEmpty(s.Holdings), Totals: s.Totals})
	v.c.mu.Lock()
	defer v.c.mu.Unlock()
	v.forget() // the snapshot has newer values
	v.push(message)
}

// Change implements portfolio.Viewer. What prices did before the change goes out before it.
func (v *view) Change(ch portfolio.Change) {
	message := encode(portfolioMessage{Type: "portfolio", Portfolio: v.id, Version: ch.Version, Holdings: orEmpty(ch.Holdings), Removed: ch.Removed, Totals: ch.Totals})
	v.c.mu.Lock()
	defer v.c.mu.Unlock()
	if v.valued() {
		v.push(append(v.pending.AppendJSON(slices.Clone(v.head)), '}'))
		v.forget()
	}
	v.push(message)
}

// Valuation implements portfolio.Viewer.
func (v *view) Valuation(val portfolio.Valuation) {
	v.c.mu.Lock()
	defer v.c.mu.Unlock()
	if v.gone || v.c.end != nil {
		return
	}
	if v.places == nil {
		v.places = make(map[prices.Symbol]int, len(val.Holdings))
	}
	for _, m := range val.Holdings {
		i, known := v.places[m.Symbol]
		if !known {
			v.places[m.Symbol] = len(v.pending.Holdings)
			v.pending.Holdings = append(v.pending.Holdings, m)
			continue
		}
		if m.Freshness == "" {
			m.Freshness = v.pending.Holdings[i].Freshness // a change that the peer has not seen
		}
		v.pending.Holdings[i] = m
	}
	v.pending.Version, v.pending.Totals, v.pending.T = val.Version, val.Totals, val.T
	v.c.shard.mark(v.c.index)
}

// Gone implements portfolio.Viewer.
func (v *view) Gone(err error) { v.c.lose(v, err) }

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// push queues a message, or keeps it until the acknowledgement; the caller holds c.mu.
func (v *view) push(message []byte) {
	switch {
	case v.gone:
	case v.open && !v.c.paused():
		v.c.queue(message)
	default:
		v.hold(message)
	}
}

func (v *view) valued() bool { return v.pending.T != 0 }

func (v *view) forget() {
	v.pending = portfolio.Valuation{Holdings: v.pending.Holdings[:0]}
	clear(v.places)
}

// close ends the watching; the view can be opened again.
func (v *view) close() {
	v.c.mu.Lock()
	stop := v.stop
	v.stop, v.open, v.waiting, v.waitingSize = nil, false, nil, 0
	v.forget()
	v.c.mu.Unlock()
	if stop != nil {
		stop()
	}
}

// appendValuations appends what prices did since the last time.
func (c *conn) appendValuations(s *shard, b []byte, now int64) []byte {
	for _, v := range c.views {
		if !v.open || !v.valued() || c.paused() {
			continue
		}
		if now < v.next {
			s.later(c, v.next, now)
			continue
		}
		start := len(b)
		b = append(openFrame(b), v.head...)
		b = sealFrame(append(v.pending.AppendJSON(b), '}'), start)
		v.forget()
		v.next = now + valuationGap
		c.flush.sentAt = now
	}
	return b
}

func (c *conn) followPortfolio(m channelMessage) error {
	if m.Portfolio == "" {
		return missing("portfolio")
	}
	since := int64(-1)
	if m.Since != nil {
		since = *m.Since
	}
	if old := c.takeView(portfolio.ID(m.Portfolio)); old != nil {
		old.close()
	}
	v := newView(c, m)
	if err := c.addView(v); err != nil {
		return err
	}
	ack := subscribed{ID: m.ID, Type: "subscribed", Channel: "portfolio", Class: ordered, Portfolio: m.Portfolio}
	if err := c.openView(v, since, &ack); err != nil {
		c.takeView(v.id)
		return err
	}
	return nil
}

func (c *conn) addView(v *view) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if limit := c.hub.cfg.Portfolios; limit >= 0 && len(c.views) >= limit {
		return tooManySubscriptions(limit, "portfolios")
	}
	if c.end == nil {
		c.views = append(slices.Clone(c.views), v)
	}
	return nil
}

func (c *conn) takeView(id portfolio.ID) *view {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, v := range c.views {
		if v.id == id {
			c.views = slices.Delete(slices.Clone(c.views), i, i+1)
			return v
		}
	}
	return nil
}

// openView starts the watching; ack, where there is one, goes out before anything of the portfolio.
func (c *conn) openView(v *view, since int64, ack *subscribed) error {
	ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
	defer cancel()
	stop, recovered, err := c.hub.portfolios.Watch(ctx, c.identity(), v.id, since, v)
	if err != nil {
		return err
	}
	if !c.letThrough(v, stop, recovered, ack) {
		stop()
	}
	return nil
}

// letThrough lets the view's messages through, and says whether the watching is to go on.
func (c *conn) letThrough(v *view, stop func(), recovered bool, ack *subscribed) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ack != nil && len(ack.ID) > 0 {
		ack.Recovered = recovered && !c.suspended
		c.queue(encode(ack))
	}
	waiting := v.waiting
	v.waiting, v.waitingSize = nil, 0
	if c.end != nil || v.gone || c.suspended {
		return false
	}
	v.stop, v.open = stop, true
	for _, message := range waiting {
		v.push(message)
	}
	return true
}

// lose tells the client that a portfolio can no longer be watched.
func (c *conn) lose(v *view, err error) {
	c.takeView(v.id)
	c.mu.Lock()
	stop := v.stop
	v.stop, v.gone = nil, true
	c.queue(encode(failure{ID: v.request, Type: "error", Channel: "portfolio", Portfolio: string(v.id), Error: reasonOf(err)}))
	c.mu.Unlock()
	if stop != nil {
		c.hub.workers.Go(stop) // it may wait for the callback that we are in
	}
}

func (c *conn) leavePortfolio(m channelMessage) error {
	if m.Portfolio == "" {
		return missing("portfolio")
	}
	v := c.takeView(portfolio.ID(m.Portfolio))
	if v == nil {
		return api.NotFound("subscription")
	}
	v.close()
	return nil
}
