package main

import (
	"context"
	"time"

	"rosetree/auth"
	"rosetree/hub"
	"rosetree/portfolio"
	"rosetree/prices"
)

// The channels that administrators follow beside what everybody may: the live list of sessions, the switches, how the parts
// are, and that the audit log has grown. The hub adds its overview.
const (
	sessionsTopic = "sessions"
	rolloutTopic  = "rollout"
	healthTopic   = "health"
	auditTopic    = "audit"

	healthEvery = 2 * time.Second
	auditEvery  = time.Second
)

type sessionMessage struct {
	Type string `json:"type"` // "session"
	auth.SessionNews
}

type socketsMessage struct {
	Type string                 `json:"type"` // "sockets"
	Open map[auth.SessionID]int `json:"open"` // on all servers, of the sessions where that changed
}

type rolloutMessage struct {
	Type string `json:"type"` // "rollout"
	auth.RolloutState
}

type healthMessage struct {
	Type string `json:"type"` // "health"
	health
	Paths map[auth.Via]bool `json:"paths"` // whether each way of authenticating works right now
}

type auditMessage struct {
	Type   string `json:"type"`   // "audit"
	Newest int64  `json:"newest"` // the id of the newest line; who may read it asks for it
}

// adminTopics: who begins to follow the switches is told how they stand; the list of sessions is asked for by its pages.
func adminTopics(callers *auth.Auth, parts *readiness) []hub.Topic {
	return []hub.Topic{
		{Name: sessionsTopic, Admin: true, Now: func(context.Context, auth.Principal) ([]any, error) { return nil, nil }},
		{Name: rolloutTopic, Admin: true, Now: func(context.Context, auth.Principal) ([]any, error) {
			state, err := callers.Rollout()
			return []any{rolloutMessage{"rollout", state}}, err
		}},
		{Name: healthTopic, Admin: true, Every: healthEvery, Now: func(ctx context.Context, _ auth.Principal) ([]any, error) {
			accounts := callers.CheckDatabase(ctx) == nil
			return []any{healthMessage{"health", parts.ask(ctx), map[auth.Via]bool{
				auth.ViaSession: accounts && callers.CheckSessions(ctx) == nil, auth.ViaLegacy: accounts && callers.CheckLegacy(ctx) == nil}}}, nil
		}},
		{Name: auditTopic, Admin: true, Every: auditEvery, Now: func(ctx context.Context, _ auth.Principal) ([]any, error) {
			newest, err := callers.NewestAudit(ctx)
			return []any{auditMessage{"audit", newest}}, err
		}},
	}
}

// followCallers tells those who follow sessions and switches, and each user of their own sessions.
func followCallers(callers *auth.Auth, sockets *hub.Hub) {
	callers.OnSession = func(n auth.SessionNews) {
		sockets.Publish(sessionsTopic, sessionMessage{"session", n})
		sockets.TellDevices(n, callers.Owns)
	}
	callers.Followed = func(_ auth.SessionID, user auth.UserID) bool {
		return sockets.FollowsAny(sessionsTopic) || sockets.Follows(hub.DevicesTopic, user)
	}
	callers.OnSockets = func(news []auth.SocketNews) {
		open := make(map[auth.SessionID]int, len(news))
		for _, n := range news {
			open[n.Session] = n.Open
		}
		sockets.Publish(sessionsTopic, socketsMessage{"sockets", open})
		sockets.TellSockets(news)
	}
	callers.OnSwitch = func(s auth.RolloutState) { sockets.Publish(rolloutTopic, rolloutMessage{"rollout", s}) }
}

// personalTopics are what each user follows of their own: alerts that came true and were not seen, watchlists, and
// how far long imports are.
func personalTopics(market *prices.Service, portfolios *portfolio.Service, db *auth.DB) []hub.Topic {
	return []hub.Topic{
		{Name: prices.AlertsChannel, Personal: true, Now: func(ctx context.Context, p auth.Principal) ([]any, error) {
			return market.UnseenAlerts(ctx, ownerOf(db, p))
		}},
		{Name: prices.WatchlistsChannel, Personal: true, Now: func(ctx context.Context, p auth.Principal) ([]any, error) {
			return market.CurrentWatchlists(ctx, ownerOf(db, p))
		}},
		{Name: portfolio.ImportsChannel, Personal: true, Now: portfolios.ImportsUnderWay},
	}
}

// followUsers tells them.
func followUsers(market *prices.Service, portfolios *portfolio.Service, db *auth.DB, sockets *hub.Hub) {
	portfolios.OnImport = func(user auth.UserID, p portfolio.ImportProgress) {
		sockets.PublishTo(portfolio.ImportsChannel, user, p)
	}
	market.FollowUsers(prices.Audience{
		Follows: func(channel, user string) bool { return sockets.Follows(channel, auth.UserID(user)) },
		Tell:    func(channel, user string, message any) { sockets.PublishTo(channel, auth.UserID(user), message) },
		Rows:    func(user string) prices.DB { return db.As(auth.Principal{User: auth.UserID(user)}) },
	})
}
