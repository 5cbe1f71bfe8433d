package auth

import (
	"slices"
	"time"
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
