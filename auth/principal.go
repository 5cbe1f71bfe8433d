// Package auth says who a caller is, when that ends, and whose rows they may touch.
package auth

import "time"

// UserID is a user's UUID in canonical text form.
type UserID string

// SessionID is the public part of a session's token: it may stand in lists, logs and audit. For a
// legacy token it is the token's own session or token id.
type SessionID string

// Role is what a user may do.
type Role string

const (
	RoleUser  Role = "user"
	RoleAdmin Role = "admin"
	RoleFeed  Role = "feed" // may write prices, nothing else
)

// Via is the path on which a caller was authenticated.
type Via string

const (
	ViaSession  Via = "session"
	ViaLegacy   Via = "legacy"
	ViaFallback Via = "fallback" // our own 15-minute receipt, while Redis cannot be asked
)

// Principal is an authenticated caller. Only this package makes one from a credential.
type Principal struct {
	User     UserID
	Role     Role
	Session  SessionID
	Via      Via
	IssuedAt time.Time // when this credential was made: what a revocation of "everything before" compares with
	AuthAt   time.Time // when the password was last proven
	Expires  time.Time // when the credential ends unless it is used again before
	IP       string    // where the request came from, for the audit log
	Degraded bool      // accepted without Redis: never admin, never step-up
}

// EndReason says why a session ended; the hub turns it into a close code.
type EndReason string

const (
	EndRevoked      EndReason = "session_revoked"
	EndExpired      EndReason = "session_expired"
	EndSignedOut    EndReason = "signed_out"
	EndLockedDown   EndReason = "locked_down"
	EndReplaced     EndReason = "replaced"                      // the session limit gave its place to a newer one
	EndRoleChanged  EndReason = "credentials_renewed_elsewhere" // reconnect once
	EndPathSwitched EndReason = "auth_path_switched"            // legacy tokens count no longer: reconnect with what else there is
	EndUnavailable  EndReason = "unavailable"                   // nothing could be heard for MAX_BLIND
)

// End is the news that a session is over.
type End struct {
	Reason EndReason
	By     string    // "admin", "user", "system": who ended it, where that is known
	At     time.Time // when it was ended, as far as this server knows
	Said   string    // what whoever ended it wrote for the one whose session it was; "": nothing
	Heard  string    // how this server learnt of it: keyspace, feed, sweep, timer, local
}
