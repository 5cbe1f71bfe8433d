package hub

import (
	"context"
	"time"

	"rosetree/auth"
	"rosetree/internal/api"
)

// Figures is what the overview takes from the room that authenticates. Implemented by *auth.Auth.
type Figures interface {
	ErrorRate() float64        // our own failures among authentications of the last minute, from 0 to 1
	LatencyP95() time.Duration // of session validation in the last minute
	RevokeP95() time.Duration  // from a revocation to the last socket that it closed here, in the last minute; 0: there was none
	CountLive(ctx context.Context) (auth.LiveCount, error)
	SocketsElsewhere(ctx context.Context) auth.OpenSockets // of the other servers
}

// Overview is the service at a glance: sockets and sessions of all servers, times and errors of this one.
type Overview struct {
	Sockets      int      `json:"sockets"`
	Users        int      `json:"users"`
	Sessions     int      `json:"sessions"`
	SessionShare *float64 `json:"session_share"` // per cent of sockets that came with a session; null without sockets
	ErrorRate    float64  `json:"error_rate"`    // per cent
	ValidateP95  float64  `json:"validate_p95_ms"`
	RevokeP95    *float64 `json:"revoke_p95_ms"` // null without a revocation in the last minute
}

// Operations are what admins may ask the hub itself.
func (h *Hub) Operations() []api.Operation[auth.Principal] {
	return []api.Operation[auth.Principal]{api.As(api.Op("admin.overview", "GET", "/api/admin/overview", h.overview), auth.RequireAdmin)}
}

func (h *Hub) overview(ctx context.Context, _ auth.Principal, _ struct{}) (Overview, error) {
	live, err := h.figures.CountLive(ctx)
	if err != nil {
		return Overview{}, err
	}
	open, others := h.OpenSockets(), h.figures.SocketsElsewhere(ctx)
	o := Overview{Sockets: open.All + others.All, Users: live.Users, Sessions: live.Sessions,
		ErrorRate: 100 * h.figures.ErrorRate(), ValidateP95: float64(h.figures.LatencyP95()) / float64(time.Millisecond)}
	if p95 := h.figures.RevokeP95(); p95 > 0 {
		ms := float64(p95) / float64(time.Millisecond)
		o.RevokeP95 = &ms
	}
	if o.Sockets > 0 {
		share := 100 * float64(open.Sessions+others.Sessions) / float64(o.Sockets)
		o.SessionShare = &share
	}
	return o, nil
}
