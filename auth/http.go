package auth

import (
	"net/http"
	"time"

	"rosetree/internal/api"
)

// Routes mounts what is not an operation of an authenticated caller: these handlers read and write credentials.
func (a *Auth) Routes(mux *http.ServeMux) {
	for pattern, handle := range map[string]func(http.ResponseWriter, *http.Request) error{
		"POST /api/auth/register":     a.register,
		"POST /api/auth/login":        a.login,
		"POST /api/auth/refresh":      a.refresh,
		"POST /api/auth/exchange":     a.exchange,
		"POST /api/auth/logout":       a.logout,
		"GET /api/auth/status":        a.status,
		"POST /api/auth/ticket":       a.ticket,
		"POST /api/auth/password":     a.changePassword,
		"POST /api/auth/step-up":      a.stepUp,
		"POST /api/auth/erase":        a.erase,
		"GET /api/auth/export":        a.export,
		"GET /api/health/auth-legacy": a.healthLegacy,
		"GET /api/health/auth-v2":     a.healthSessions,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "no-store")
			if err := handle(w, r); err != nil {
				api.WriteProblem(w, r, err)
			}
		})
	}
}

// sessionView is a session as its owner and administrators see it. There is no secret in it, nor in what it is made from.
type sessionView struct {
	ID         SessionID `json:"id"`
	Device     Device    `json:"device"`
	UserAgent  string    `json:"user_agent"`
	IP         string    `json:"ip"`
	CreatedAt  time.Time `json:"created_at"`
	LastSeenAt time.Time `json:"last_seen_at"`
	ExpiresAt  time.Time `json:"expires_at"`
	Current    bool      `json:"current"`
	Sockets    int       `json:"sockets"`
	Auth       Via       `json:"auth"`
}

func (a *Auth) view(s Session, via Via, current SessionID) sessionView {
	return sessionView{ID: s.ID, Device: s.Device, UserAgent: s.UserAgent, IP: s.IP, CreatedAt: s.IssuedAt.UTC(), LastSeenAt: s.SeenAt.UTC(),
		ExpiresAt: s.Expires().UTC(), Current: s.ID == current, Sockets: a.CountSockets(s.ID), Auth: via}
}

// tokensView is in a body only for clients that are no browsers.
type tokensView struct {
	Access    string    `json:"access"` // Authorization: Bearer …
	ExpiresAt time.Time `json:"expires_at"`
	Fallback  string    `json:"fallback,omitempty"`
	Legacy    string    `json:"legacy,omitempty"`
	Refresh   string    `json:"refresh,omitempty"` // with a legacy access token: renews it after its end
	Device    string    `json:"device,omitempty"`  // shown at the next log-in, it has tries of its own that no stranger uses up
}

type grantView struct {
	User    User         `json:"user"`
	Auth    Via          `json:"auth"`
	Session *sessionView `json:"session,omitempty"`
	Tokens  *tokensView  `json:"tokens,omitempty"`
}

// answerGrant hands a log-in's tokens out: in cookies to browsers, in the body to others.
func (a *Auth) answerGrant(w http.ResponseWriter, r *http.Request, status int, u User, g grant, transport string) error {
	out := grantView{User: u, Auth: g.Via}
	v := a.view(g.Session, g.Via, g.Session.ID)
	out.Session = &v
	if transport == "bearer" {
		out.Tokens = &tokensView{Access: g.Access, ExpiresAt: g.Expires.UTC(), Fallback: g.Fallback, Legacy: g.Legacy,
			Refresh: g.Refresh, Device: a.keys.deviceCookie(u.ID, randomText(12))}
	} else {
		a.setCookies(w, r, u, g)
	}
	api.WriteJSON(w, status, out)
	return nil
}

func (a *Auth) setCookies(w http.ResponseWriter, r *http.Request, u User, g grant) {
	plain := a.where.plainLoopback(r)
	setCookie(w, cookieName(plain), g.Access, g.Expires)
	a.renewCookies(w, plain, g)
	if cookie, _ := oneCookie(r, deviceCookieName(plain)); !a.isKnown(u.ID, cookie) {
		setCookie(w, deviceCookieName(plain), a.keys.deviceCookie(u.ID, randomText(12)), time.Now().Add(deviceLife))
	}
}

// renewCookies sets what stands beside the credential's cookie, and takes away what a log-in on the other path left.
func (a *Auth) renewCookies(w http.ResponseWriter, plain bool, g grant) {
	for name, value := range map[string]string{fallbackCookieName(plain): g.Fallback, legacyCookieName(plain): g.Legacy, refreshCookieName(plain): g.Refresh} {
		if value == "" && g.Via == ViaLegacy && name == refreshCookieName(plain) {
			continue // a renewed access token comes without another refresh token: the one that is there stays
		}
		if value == "" {
			dropCookie(w, name)
		} else {
			setCookie(w, name, value, g.Session.Ends)
		}
	}
}

func (a *Auth) isKnown(user UserID, cookie string) bool {
	_, known := a.keys.knownDevice(user, cookie)
	return known
}

// logout ends what the caller holds. Whoever holds nothing that works any more is logged out already.
func (a *Auth) logout(w http.ResponseWriter, r *http.Request) error {
	p, err := a.Authenticate(r)
	if err != nil && api.ProblemOf(err).Status != http.StatusUnauthorized {
		return err
	}
	if err == nil {
		if _, err := a.endSession(r.Context(), p.Session, p.asUser(), Reason{Code: EndSignedOut}); err != nil {
			return err
		}
	}
	if err != nil && r.Header.Get("Authorization") != "" {
		return err // a program should learn that its token was wrong; a browser only wants to be logged out
	}
	a.forgetCookies(w, r)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *Auth) forgetCookies(w http.ResponseWriter, r *http.Request) {
	plain := a.where.plainLoopback(r)
	for _, name := range []string{cookieName(plain), fallbackCookieName(plain), legacyCookieName(plain), refreshCookieName(plain)} {
		dropCookie(w, name)
	}
	if !plain {
		w.Header().Set("Clear-Site-Data", `"cache", "storage"`) // not cookies: the device's stays
	}
}

func (a *Auth) ticket(w http.ResponseWriter, r *http.Request) error {
	if err := emptyBody(w, r); err != nil {
		return err
	}
	p, err := a.Authenticate(r)
	if err != nil {
		return err
	}
	out, err := a.makeTicket(r.Context(), p, r.Header.Get("Origin"))
	if err != nil {
		return err
	}
	api.WriteJSON(w, http.StatusOK, out)
	return nil
}

// emptyBody refuses fields where none are taken.
func emptyBody(w http.ResponseWriter, r *http.Request) error {
	body, err := api.ReadBody(w, r, 4<<10)
	if err != nil {
		return err
	}
	return api.Decode(body, &struct{}{})
}
