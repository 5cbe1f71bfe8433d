package auth

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// A session's sockets may be open on several servers. Who looks at a list wants them all, so its server asks the others and waits
// for as many answers as Redis says that the question reached. That a number changed is told as a hint, joined for many sessions,
// and counted again only where somebody looks: where nothing opens or closes, nothing is said.

// SocketNews is how many sockets a session has on all servers.
type SocketNews struct {
	Session SessionID
	User    UserID
	Open    int
}

const (
	countPatience = 200 * time.Millisecond // for the other servers' answers; one that stands still is left out
	changesJoined = 100 * time.Millisecond // changes of this time are told together
	mostChanges   = 1000                   // in one message
	mostAnswers   = 256                    // wait for who asked
	countsQuiet   = time.Minute            // nothing was heard for this long: is the subscription still there?
)

// openSockets is what one server, or several, have open of a session.
type openSockets struct {
	N  int        `json:"n"`
	At *time.Time `json:"at,omitempty"` // when one of them was last heard, where that was asked for
}

func (o openSockets) plus(p openSockets) openSockets {
	if o.At == nil || p.At != nil && p.At.After(*o.At) {
		o.At = p.At
	}
	return openSockets{N: o.N + p.N, At: o.At}
}

// socketsMessage is a question (Ask, IDs), an answer (Ask, To, Open), or the hint that numbers changed (Changed).
type socketsMessage struct {
	From    string                    `json:"from"`
	Ask     uint64                    `json:"ask,omitempty"`
	IDs     []SessionID               `json:"ids,omitempty"`
	Frames  bool                      `json:"frames,omitempty"`
	To      string                    `json:"to,omitempty"`
	Open    map[SessionID]openSockets `json:"open,omitempty"`
	Changed map[SessionID]UserID      `json:"changed,omitempty"`
}

type socketCounts struct {
	// fixed before run
	rdb      redis.UniversalClient
	server   string
	here     func(ids []SessionID, frames bool) map[SessionID]openSockets
	followed func(SessionID, UserID) bool
	tell     func([]SocketNews)

	wake    chan struct{}
	listens atomic.Bool
	asked   atomic.Uint64

	mu      sync.Mutex
	waiting map[uint64]chan map[SessionID]openSockets // guarded by mu: by the question's number
	changed map[SessionID]UserID                      // guarded by mu: here, and the others do not know
	heard   map[SessionID]UserID                      // guarded by mu: on other servers, and not counted again
}

func newSocketCounts(a *Auth) *socketCounts {
	return &socketCounts{rdb: a.rdb, server: a.server, here: a.socketsHere,
		followed: func(id SessionID, user UserID) bool { return a.Followed(id, user) }, tell: func(n []SocketNews) { a.OnSockets(n) },
		wake: make(chan struct{}, 1), waiting: map[uint64]chan map[SessionID]openSockets{}, changed: map[SessionID]UserID{}, heard: map[SessionID]UserID{}}
}

// SocketsChanged says that a session has another number of sockets on this server. It does not block.
func (a *Auth) SocketsChanged(id SessionID, user UserID) {
	a.counts.note(func(c *socketCounts) { c.changed[id] = user })
}

// note does what writes down a change, and has it told.
func (c *socketCounts) note(write func(*socketCounts)) {
	c.mu.Lock()
	write(c)
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// socketsHere counts on this server; what has none is left out.
func (a *Auth) socketsHere(ids []SessionID, frames bool) map[SessionID]openSockets {
	open := map[SessionID]openSockets{}
	var heard map[SessionID]time.Time
	if frames {
		heard = a.LastFrames(ids)
	}
	for _, id := range ids {
		if n := a.CountSockets(id); n > 0 {
			open[id] = openSockets{N: n}
			if at, known := heard[id]; known {
				open[id] = openSockets{n, &at}
			}
		}
	}
	return open
}

// countEverywhere gives views their sockets on all servers.
func (a *Auth) countEverywhere(ctx context.Context, views []sessionView, frames bool) map[SessionID]openSockets {
	ids := make([]SessionID, len(views))
	for i, v := range views {
		ids[i] = v.ID
	}
	open := a.counts.all(ctx, ids, frames)
	for i, v := range views {
		views[i].Sockets = open[v.ID].N
	}
	return open
}

// all counts on all servers. Where Redis does not answer, this server's are all that is known.
func (c *socketCounts) all(ctx context.Context, ids []SessionID, frames bool) map[SessionID]openSockets {
	sum := c.here(ids, frames)
	if len(ids) == 0 || !c.listens.Load() {
		return sum
	}
	ctx, cancel := context.WithTimeout(ctx, countPatience)
	defer cancel()
	number, answers := c.expect()
	defer c.forget(number)
	reached, err := c.publish(ctx, socketsMessage{Ask: number, IDs: ids, Frames: frames})
	if err != nil {
		return sum
	}
	for range reached - 1 { // it reached this server, too
		select {
		case open := <-answers:
			for id, o := range open {
				sum[id] = sum[id].plus(o)
			}
		case <-ctx.Done():
			return sum
		}
	}
	return sum
}

func (c *socketCounts) expect() (number uint64, answers chan map[SessionID]openSockets) {
	number, answers = c.asked.Add(1), make(chan map[SessionID]openSockets, mostAnswers)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting[number] = answers
	return number, answers
}

func (c *socketCounts) forget(number uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, number)
}

// publish says how many servers it reached. The channel is sharded: in a cluster an unsharded one tells only of one node's.
func (c *socketCounts) publish(ctx context.Context, m socketsMessage) (reached int64, err error) {
	m.From = c.server
	text, _ := json.Marshal(m) // texts, numbers and times always encode
	return c.rdb.SPublish(ctx, socketsChannel, text).Result()
}

// run tells the others what changed here, and whoever looks here what changed anywhere, one round after the other: what was
// told last is the newest count.
func (c *socketCounts) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.wake:
		}
		pause(ctx, changesJoined)
		c.mu.Lock()
		here, all := maps.Clone(c.changed), maps.Clone(c.heard)
		clear(c.changed)
		clear(c.heard)
		c.mu.Unlock()
		maps.Copy(all, here)
		c.tellChanges(ctx, here)
		c.recount(ctx, all)
	}
}

func (c *socketCounts) tellChanges(ctx context.Context, changed map[SessionID]UserID) {
	for part := range slices.Chunk(slices.Collect(maps.Keys(changed)), mostChanges) {
		m := socketsMessage{Changed: make(map[SessionID]UserID, len(part))}
		for _, id := range part {
			m.Changed[id] = changed[id]
		}
		ctx, cancel := context.WithTimeout(ctx, countPatience)
		_, _ = c.publish(ctx, m) // a hint: lists are read again anyway
		cancel()
	}
}

func (c *socketCounts) recount(ctx context.Context, changed map[SessionID]UserID) {
	maps.DeleteFunc(changed, func(id SessionID, user UserID) bool { return !c.followed(id, user) })
	for ids := range slices.Chunk(slices.Collect(maps.Keys(changed)), mostChanges) {
		open := c.all(ctx, ids, false)
		news := make([]SocketNews, len(ids))
		for i, id := range ids {
			news[i] = SocketNews{id, changed[id], open[id].N}
		}
		c.tell(news)
	}
}

// hear answers the other servers until ctx ends.
func (c *socketCounts) hear(ctx context.Context) error {
	for ctx.Err() == nil {
		c.listen(ctx)
		c.listens.Store(false)
		pause(ctx, 250*time.Millisecond)
	}
	return nil
}

// listen works on one subscription until it fails, or its slot has moved to another node.
func (c *socketCounts) listen(ctx context.Context) {
	sub := c.rdb.SSubscribe(ctx, socketsChannel)
	defer sub.Close()
	defer context.AfterFunc(ctx, func() { sub.Close() })() // a read does not end with its context
	for doubted := false; ; {
		msg, err := sub.ReceiveTimeout(ctx, countsQuiet)
		if err != nil {
			if doubted || ctx.Err() != nil || sub.Ping(ctx) != nil {
				return
			}
			doubted = true
			continue
		}
		doubted = false
		switch m := msg.(type) {
		case *redis.Subscription:
			if m.Kind == "sunsubscribe" {
				return
			}
			c.listens.Store(true)
		case *redis.Message:
			c.take(ctx, m.Payload)
		}
	}
}

func (c *socketCounts) take(ctx context.Context, text string) {
	var m socketsMessage
	if json.Unmarshal([]byte(text), &m) != nil || m.From == c.server {
		return
	}
	switch {
	case m.To == c.server:
		c.mu.Lock()
		defer c.mu.Unlock()
		select {
		case c.waiting[m.Ask] <- m.Open: // of a question that nobody waits for any more the channel is nil
		default:
		}
	case m.To == "" && m.Ask != 0:
		ctx, cancel := context.WithTimeout(ctx, countPatience)
		defer cancel()
		_, _ = c.publish(ctx, socketsMessage{To: m.From, Ask: m.Ask, Open: c.here(m.IDs, m.Frames)}) // who asked does not wait for ever
	case len(m.Changed) > 0:
		c.note(func(c *socketCounts) { maps.Copy(c.heard, m.Changed) })
	}
}
