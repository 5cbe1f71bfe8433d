package auth

import (
	"context"
	"net/http"
	"time"

	"rosetree/internal/api"
)

type statusView struct {
	Authenticated bool          `json:"authenticated"`
	User          *User         `json:"user,omitempty"`
	Auth          Via           `json:"auth,omitempty"`
	Degraded      bool          `json:"degraded,omitempty"`
	Session       *sessionView  `json:"session,omitempty"`
	Reason        string        `json:"reason,omitempty"`      // why a credential that was sent does not count
	Refreshable   bool          `json:"refreshable,omitempty"` // POST /api/auth/refresh may help: a refresh cookie came along
	Rollout       rolloutStatus `json:"rollout"`
}

type rolloutStatus struct {
	Mode   string `json:"mode"`
	Cohort string `json:"cohort,omitempty"` // what this user's next log-in gets: session or legacy
}

// status answers 200 also to who is nobody. A browser, which learns nothing of why a socket was refused, asks here.
func (a *Auth) status(w http.ResponseWriter, r *http.Request) error {
	switches, err := a.switches.now()
	if err != nil {
		return err
	}
	out := statusView{Rollout: rolloutStatus{Mode: switches.Mode()}}
	p, err := a.Authenticate(r)
	if err == nil {
		err = a.describe(r.Context(), p, switches, &out)
	}
	if err != nil {
		problem := api.ProblemOf(err)
		if problem.Status >= 500 {
			return err
		}
		out = statusView{Rollout: rolloutStatus{Mode: switches.Mode()}, Reason: problem.Code}
		held, _ := oneCookie(r, refreshCookieName(a.where.plainLoopback(r)))
		_, wrong := parseRefresh(held)
		out.Refreshable = wrong == nil && problem.Code == "unauthenticated"
	}
	api.WriteJSON(w, http.StatusOK, out)
	return nil
}

func (a *Auth) describe(ctx context.Context, p Principal, switches Switches, out *statusView) error {
	u, err := a.people.active(ctx, p.User)
	if err != nil {
		return err
	}
	out.Authenticated, out.User, out.Auth, out.Degraded = true, &u, p.Via, p.Degraded
	out.Rollout.Cohort = string(ViaLegacy)
	if switches.issuesSession(p.User) {
		out.Rollout.Cohort = string(ViaSession)
	}
	v := sessionView{ID: p.Session, CreatedAt: p.IssuedAt.UTC(), LastSeenAt: a.clock.now().UTC(), ExpiresAt: a.clock.of(p.Expires).UTC(), Current: true,
		Sockets: a.CountSockets(p.Session), Auth: p.Via}
	if p.Via == ViaSession {
		s, err := a.lookUp(ctx, p.Session)
		if err == nil {
			v = a.view(s, p.Via, p.Session)
		}
	}
	out.Session = &v
	return nil
}

type healthView struct {
	Status string            `json:"status"`
	Checks map[string]string `json:"checks"`
}

func writeHealth(w http.ResponseWriter, checks map[string]error) {
	out, status := healthView{Status: "ok", Checks: map[string]string{}}, http.StatusOK
	for name, err := range checks {
		out.Checks[name] = "ok"
		if err != nil {
			out.Checks[name] = api.ProblemOf(err).Message
			out.Status, status = "down", http.StatusServiceUnavailable
		}
	}
	api.WriteJSON(w, status, out)
}

// healthSessions makes a session for nobody, checks it and deletes it: what a log-in and a request would do.
func (a *Auth) healthSessions(w http.ResponseWriter, r *http.Request) error {
	writeHealth(w, map[string]error{"redis": a.CheckSessions(r.Context()), "database": a.CheckDatabase(r.Context())})
	return nil
}

// CheckSessions says whether the session path can authenticate right now.
func (a *Auth) CheckSessions(ctx context.Context) error {
	now := a.clock.now()
	t := mintToken(a.keys.utag(nobody))
	s := Session{User: nobody, Role: RoleUser, IssuedAt: now, AuthAt: now, SeenAt: now, Ends: now.Add(10 * time.Second), Idle: 10 * time.Second}
	_, err := a.askRedis(ctx, utagOf(t.id), func(ctx context.Context) (Session, error) {
		if _, err := a.sessions.create(ctx, &s, t, ""); err != nil {
			return Session{}, err
		}
		return a.sessions.check(ctx, t, "")
	})
	_ = a.rdb.Del(context.WithoutCancel(ctx), sessionKey(t.id)).Err() // it ends by itself in ten seconds
	if err != nil {
		a.log.Warn("health: session path", "cause", err)
		return errRedisDown
	}
	return nil
}

// CheckDatabase says whether accounts can be read.
func (a *Auth) CheckDatabase(ctx context.Context) error {
	if _, err := a.User(ctx, nobody); err != nil && err != error(errNoUser) {
		a.log.Warn("health: database", "cause", err)
		return api.Unavailable("the database cannot be asked", time.Second)
	}
	return nil
}

// healthLegacy signs and verifies a token where this server can, and otherwise asks for the issuer's keys.
func (a *Auth) healthLegacy(w http.ResponseWriter, r *http.Request) error {
	writeHealth(w, map[string]error{"tokens": a.CheckLegacy(r.Context()), "database": a.CheckDatabase(r.Context())})
	return nil
}

// CheckLegacy says whether the legacy path can authenticate right now.
func (a *Auth) CheckLegacy(ctx context.Context) error {
	switches, err := a.switches.now()
	if err != nil {
		return err
	}
	if !switches.LegacyEnabled {
		return api.Unavailable("the legacy path is switched off", 0)
	}
	if !a.legacy.canSign() {
		return a.legacy.keys.ready(ctx)
	}
	now := a.clock.now()
	raw, _, err := a.legacy.sign(User{ID: nobody}, "self-check", now, now, now.Add(time.Minute))
	if err == nil {
		_, err = a.legacy.verify(ctx, raw)
	}
	return err
}
