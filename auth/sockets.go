package auth

import (
	"context"
	"encoding/json"
	"maps"
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
	mostAnswers   = 256                    // wait for who asked
	countsQuiet   = time.Minute            // nothing was heard for this long: is the subscription still there?
)

// OpenSockets is how many there are, and how many of them came with a session.
type OpenSockets struct {
	All      int `json:"all"`
	Sessions int `json:"sessions"`
}

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

// socketsMessage is a question (Ask, IDs or none), an answer (Ask, To, Open, All), or the hint that numbers changed (Changed).
type socketsMessage struct {
	From    string                    `json:"from"`
	Ask     uint64                    `json:"ask,omitempty"`
	IDs     []SessionID               `json:"ids,omitempty"`
	Frames  bool                      `json:"frames,omitempty"`
	To      string                    `json:"to,omitempty"`
	Open    map[SessionID]openSockets `json:"open,omitempty"`
	All     OpenSockets               `json:"all,omitzero"`
	Changed map[SessionID]UserID      `json:"changed,omitempty"`
}

type socketCounts struct {
	// fixed before run
	rdb      redis.UniversalClient
	server   string
	here     func(ids []SessionID, frames bool) map[SessionID]openSockets
	open     func() OpenSockets
	followed func(SessionID, UserID) bool
	tell     func([]SocketNews)

	wake    chan struct{}
	listens atomic.Bool
	asked   atomic.Uint64

	mu      sync.Mutex
	waiting map[uint64]chan socketsMessage // guarded by mu: by the question's number
	changed map[SessionID]UserID           // guarded by mu: here, and the others do not know
	heard   map[SessionID]UserID           // guarded by mu: on other servers, and not counted again
}

func newSocketCounts(a *Auth) *socketCounts {
	return &socketCounts{rdb: a.rdb, server: a.server, here: a.socketsHere, open: func() OpenSockets { return a.OpenSockets() },
		followed: func(id SessionID, user UserID) bool { return a.Followed(id, user) }, tell: func(n []SocketNews) { a.OnSockets(n) },
		wake: make(chan struct{}, 1), waiting: map[uint64]chan socketsMessage{}, changed: map[SessionID]UserID{}, heard: map[SessionID]UserID{}}
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
	if len(ids) > 0 {
		c.ask(ctx, socketsMessage{IDs: ids, Frames: frames}, func(answer socketsMessage) {
			for id, o := range answer.Open {
				sum[id] = sum[id].plus(o)
			}
		})
	}
	return sum
}

// SocketsElsewhere counts the sockets of all other servers.
func (a *Auth) SocketsElsewhere(ctx context.Context) (sum OpenSockets) {
	a.counts.ask(ctx, socketsMessage{}, func(answer socketsMessage) {
		sum.All += answer.All.All
		sum.Sessions += answer.All.Sessions
	})
	return sum
}

// ask puts a question to the other servers and hears their answers.
func (c *socketCounts) ask(ctx context.Context, question socketsMessage, hear func(socketsMessage)) {
	if !c.listens.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, countPatience)
	defer cancel()
	number, answers := c.expect()
	defer c.forget(number)
	question.Ask = number
	reached, err := c.publish(ctx, question)
	if err != nil {
		return
	}
	for range reached - 1 { // it reached this server, too
		select {
		case answer := <-answers:
			hear(answer)
		case <-ctx.Done():
			return
		}
	}
}

func (c *socketCounts) expect() (number uint64, answers chan socketsMessage) {
	number, answers = c.asked.Add(1), make(chan socketsMessage, mostAnswers)
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
		case c.waiting[m.Ask] <- m: // of a question that nobody waits for any more the channel is nil
		default:
		}
	case m.To == "" && m.Ask != 0:
		ctx, cancel := context.WithTimeout(ctx, countPatience)
		defer cancel()
		_, _ = c.publish(ctx, socketsMessage{To: m.From, Ask: m.Ask, Open: c.here(m.IDs, m.Frames), All: c.open()}) // who asked does not wait for ever
	case len(m.Changed) > 0:
		c.note(func(c *socketCounts) { maps.Copy(c.heard, m.Changed) })
	}
}
