package hub

import (
	"fmt"
	"time"

	"rosetree/auth"
)

// Close codes. The range is the rule, so that an old client can handle a new code:
// 4000–4499 reconnect, 4500–4999 do not. Those below 4000 are the standard's (RFC 6455 §7.4).
const (
	codeNormal         = 1000 // the client closed
	codeProtocol       = 1002 // broken framing
	codeInvalidText    = 1007 // text that is not UTF-8
	codeTooLarge       = 1009 // a message above the limit
	codeRestart        = 1012 // this server stops; retry_ms spreads the return
	codeUnavailable    = 1013 // who the caller is cannot be checked any longer
	codeDrain          = 4000 // sent to another server while this one goes on
	codeSlowConsumer   = 4001 // nothing was read for too long, or an ordered queue ran over
	codeHeartbeat      = 4002 // the peer was silent for two heartbeats
	codeRenewed        = 4003 // role or factor changed: reconnect once
	codePathSwitched   = 4004 // this way of authenticating was switched off
	codeRateLimited    = 4029 // too many messages
	codeRevoked        = 4500
	codeExpired        = 4501
	codeSignedOut      = 4502
	codeForbidden      = 4503 // locked down, or not allowed any longer
	codeReplaced       = 4504 // a newer session took the place
	codeTooManySockets = 4505
	codeProtocolError  = 4510 // not this protocol: a binary message
)

// goodbye says why the server ends a connection.
type goodbye struct {
	code   int
	reason string // short code; the close frame's reason
	retry  time.Duration
	by     string
	text   string // what whoever ended the session wrote for its user
	at     time.Time

	// cut destroys what waits in the kernel, where the peer has not read it: after a revocation, cutting
	// data beats delivering a code.
	cut bool
}

// endings lists what auth reports; a reason that is not here ends as revoked.
var endings = map[auth.EndReason]goodbye{
	auth.EndRevoked:      {code: codeRevoked, reason: "session_revoked", cut: true},
	auth.EndExpired:      {code: codeExpired, reason: "session_expired", cut: true},
	auth.EndSignedOut:    {code: codeSignedOut, reason: "signed_out", cut: true},
	auth.EndLockedDown:   {code: codeForbidden, reason: "locked_down", cut: true},
	auth.EndReplaced:     {code: codeReplaced, reason: "replaced", cut: true},
	auth.EndRoleChanged:  {code: codeRenewed, reason: "credentials_renewed_elsewhere", cut: true},
	auth.EndUnavailable:  {code: codeUnavailable, reason: "unavailable", cut: true, retry: 2 * time.Second},
	auth.EndPathSwitched: {code: codePathSwitched, reason: "auth_path_switched", cut: true},
}

func goodbyeOf(e auth.End) goodbye {
	g, ok := endings[e.Reason]
	if !ok {
		g = endings[auth.EndRevoked]
	}
	g.by, g.at, g.text = e.By, e.At, e.Said
	return g
}

// closeReason is the text of the close frame: the short code, and for those who cannot read the bye
// message when to come back.
func (g goodbye) closeReason() string {
	if g.retry > 0 {
		return fmt.Sprintf("%s retry_ms=%d", g.reason, g.retry.Milliseconds())
	}
	return g.reason
}
