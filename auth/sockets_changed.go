package auth

import (
	"context"
	"maps"
	"slices"
	"time"
)

const (
	changesJoined = 100 * time.Millisecond // changes of this time are told together
	mostChanges   = 1000                   // in one message
)

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
