package hub

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"rosetree/auth"
	"rosetree/internal/api"
)

// Topic is an ordered channel whose messages are the same for all who follow it, or for all connections of one user.
type Topic struct {
	Name     string
	Admin    bool // for admins alone
	Personal bool // each user has messages of their own, which wait like portfolios while a session cannot be checked
	// Now gives the messages that bring a new follower up to date. What is published meanwhile is sent
	// after them, so that a message may come twice but never be missed.
	Now func(ctx context.Context, p auth.Principal) ([]any, error)
	// Every makes the topic a figure: Now gives one message, the same for all, and is asked again so often while somebody
	// follows. Who follows is told what changed, and gaps are normal.
	Every time.Duration
}

type topic struct {
	Topic

	mu        sync.Mutex
	followers map[*subscription]struct{}
	users     map[auth.UserID]map[*subscription]struct{} // of a personal topic
}

// subscription is one connection's place at a topic.
type subscription struct {
	c    *conn
	t    *topic
	user auth.UserID

	// guarded by c.mu
	open    bool
	waiting [][]byte
	missed  bool   // something was not sent, because the session could not be checked
	shown   []byte // of a figure: what was sent last
}

// Publish sends a message with its "type" to all who follow the topic.
func (h *Hub) Publish(name string, message any) {
	push(h.topics[name].all(), message)
}

func push(followers []*subscription, message any) {
	if len(followers) == 0 {
		return
	}
	encoded := encode(message)
	for _, f := range followers {
		f.push(encoded)
	}
}

func (t *topic) all() []*subscription {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Collect(maps.Keys(t.followers))
}

func (t *topic) has(f *subscription) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, follows := t.followers[f]
	return follows
}

// PublishTo sends a message with its "type" to all connections of a user that follow a personal topic.
func (h *Hub) PublishTo(name string, user auth.UserID, message any) {
	t := h.topics[name]
	t.mu.Lock()
	followers := slices.Collect(maps.Keys(t.users[user]))
	t.mu.Unlock()
	push(followers, message)
}

// FollowsAny says whether a connection follows a topic here.
func (h *Hub) FollowsAny(name string) bool {
	t := h.topics[name]
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.followers) > 0
}

// Follows says whether a connection of user follows a personal topic here.
func (h *Hub) Follows(name string, user auth.UserID) bool {
	t := h.topics[name]
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.users[user]) > 0
}

// followers are the users who follow a personal topic here.
func (h *Hub) followers(name string) []auth.UserID {
	t := h.topics[name]
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Collect(maps.Keys(t.users))
}

// hides says whether f's messages must wait; the caller holds c.mu.
func (f *subscription) hides() bool {
	if !f.t.Personal || !f.c.paused() {
		return false
	}
	f.missed = true
	return true
}

func (t *topic) class() delivery {
	if t.Every > 0 {
		return merged
	}
	return ordered
}

// join and close keep the followers.
func (f *subscription) join() {
	f.t.mu.Lock()
	defer f.t.mu.Unlock()
	f.t.followers[f] = struct{}{}
	if !f.t.Personal {
		return
	}
	if f.t.users[f.user] == nil {
		f.t.users[f.user] = map[*subscription]struct{}{}
	}
	f.t.users[f.user][f] = struct{}{}
}

func (f *subscription) push(message []byte) {
	f.c.mu.Lock()
	defer f.c.mu.Unlock()
	switch {
	case f.c.suspended, f.hides(): // resume brings it, or the return of sight
	case f.open:
		f.c.queue(message)
	default:
		f.waiting = append(f.waiting, message)
	}
}

func (c *conn) topic(m channelMessage) (*topic, error) {
	t, known := c.hub.topics[m.Channel]
	if !known {
		p := api.BadRequest("unknown channel %q", m.Channel)
		p.Field = "channel"
		return nil, p
	}
	if p := c.identity(); t.Admin && (p.Role != auth.RoleAdmin || p.Degraded) {
		return nil, api.Forbidden("channel " + m.Channel + " is for admins")
	}
	return t, nil
}

func (c *conn) followTopic(m channelMessage) error {
	t, err := c.topic(m)
	if err != nil {
		return err
	}
	if old := c.takeTopic(t); old != nil {
		old.close()
	}
	f := &subscription{c: c, t: t, user: c.identity().User}
	c.mu.Lock()
	c.topics = append(slices.Clone(c.topics), f)
	c.mu.Unlock()
	ack := &subscribed{ID: m.ID, Type: "subscribed", Channel: m.Channel, Class: t.class()}
	if err := f.start(ack); err != nil {
		c.takeTopic(t)
		f.close()
		return err
	}
	return nil
}

// start registers first and reads then, so that nothing is missed between the two.
func (f *subscription) start(ack *subscribed) error {
	f.join()
	if f.c.over() { // its subscriptions were taken away before this one was there
		f.close()
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
	defer cancel()
	now, err := f.t.Now(ctx, f.c.identity())
	switch {
	case err == nil:
	case f.t.Every > 0:
		now = nil // it is told as soon as it can be read
	default:
		return err
	}
	f.c.mu.Lock()
	defer f.c.mu.Unlock()
	if ack != nil && len(ack.ID) > 0 {
		f.c.queue(encode(ack))
	}
	if f.c.suspended {
		return nil
	}
	if f.hides() {
		f.waiting, f.open = nil, true
		return nil
	}
	for _, message := range now {
		encoded := encode(message)
		f.c.queue(encoded)
		if f.t.Every > 0 {
			f.shown = encoded
		}
	}
	for _, message := range f.waiting {
		f.c.queue(message)
	}
	f.waiting, f.open = nil, true
	return nil
}

func (f *subscription) close() {
	f.t.mu.Lock()
	defer f.t.mu.Unlock()
	delete(f.t.followers, f)
	if delete(f.t.users[f.user], f); len(f.t.users[f.user]) == 0 {
		delete(f.t.users, f.user)
	}
}

func (c *conn) takeTopic(t *topic) *subscription {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, f := range c.topics {
		if f.t == t {
			c.topics = slices.Delete(slices.Clone(c.topics), i, i+1)
			return f
		}
	}
	return nil
}

func (c *conn) leaveTopic(m channelMessage) error {
	t, err := c.topic(m)
	if err != nil {
		return err
	}
	f := c.takeTopic(t)
	if f == nil {
		return api.NotFound("subscription")
	}
	f.close()
	return nil
}
