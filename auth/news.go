package auth

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// SessionNews is for whoever looks at the list of live sessions: look again, or strike this one out.
type SessionNews struct {
	Event  string    `json:"event"` // "started", "renamed" or "ended"
	ID     SessionID `json:"id,omitempty"`
	User   UserID    `json:"user,omitempty"` // where all of a user's ended
	Reason EndReason `json:"reason,omitempty"`
	By     string    `json:"by,omitempty"`
	At     time.Time `json:"at"`
}

// newsAhead is how much news may wait for Redis. What is more is dropped: it is a hint for lists that are read again anyway.
const newsAhead = 256

// heardNews is SessionNews on its way to the other servers, who learn of ends by themselves.
type heardNews struct {
	From string      `json:"from"` // the server, which has told its own pages already
	News SessionNews `json:"news"`
}

// tell says that a session began or has another name: here at once, on the other servers by way of Redis. It does not block.
func (a *Auth) tell(n SessionNews) {
	a.OnSession(n)
	select {
	case a.news <- n:
	default:
	}
}

// sendNews gives to Redis what tell left for the other servers.
func (a *Auth) sendNews(ctx context.Context) error {
	failing := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case n := <-a.news:
			text, _ := json.Marshal(heardNews{a.server, n}) // texts and a time always encode
			err := a.rdb.Publish(ctx, sessionsChannel, text).Err()
			if (err != nil) != failing && ctx.Err() == nil {
				failing = err != nil
				a.log.Warn("sessions: the other servers are told who logs in", "told", !failing, "cause", err)
			}
		}
	}
}

// hearNews passes on what the other servers say.
func (a *Auth) hearNews(ctx context.Context) error {
	sub := a.rdb.Subscribe(ctx, sessionsChannel)
	defer context.AfterFunc(ctx, func() { sub.Close() })() // a read does not end with its context
	for ctx.Err() == nil {
		msg, err := sub.ReceiveTimeout(ctx, time.Minute)
		var heard heardNews
		if m, is := msg.(*redis.Message); is && json.Unmarshal([]byte(m.Payload), &heard) == nil && heard.From != a.server {
			a.OnSession(heard.News)
		}
		if err != nil && ctx.Err() == nil {
			pause(ctx, 250*time.Millisecond) // Receive connects again by itself; not in a tight loop
		}
	}
	return nil
}

func (r *revocation) news() SessionNews {
	e := r.end()
	n := SessionNews{Event: "ended", Reason: e.Reason, By: e.By, At: r.At.UTC()}
	switch r.Kind {
	case KindSession, KindToken:
		n.ID = SessionID(r.Subject)
	case KindUser, KindBefore:
		n.User = UserID(r.Subject)
	}
	return n
}

// Owns says whether a session with this id is the user's, without asking anyone. Of a legacy token's id it cannot be told: false.
func (a *Auth) Owns(user UserID, id SessionID) bool {
	return isSessionID(string(id)) && slices.Contains(a.keys.utags(user), utagOf(id))
}
