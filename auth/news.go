package auth

import "time"

// SessionNews is for whoever looks at the list of live sessions: look again, or strike this one out.
type SessionNews struct {
	Event  string    `json:"event"` // "started" or "ended"
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
