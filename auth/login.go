package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/jackc/pgx/v5"

	"rosetree/internal/api"
)

// loginRequest is the body of log-in and registration.
type loginRequest struct {
	Email     string `json:"email"`
	Password  string `json:"password"`
	Transport string `json:"transport"` // "cookie" (default) or "bearer"
	Device    Device `json:"device"`
	// DeviceToken came with an earlier log-in of a program, as the device cookie does to a browser.
	DeviceToken string `json:"device_token"`
}

var errWrongPassword = api.Unauthenticated("e-mail address or password is wrong")

func (a *Auth) login(w http.ResponseWriter, r *http.Request) error {
	var in loginRequest
	if err := a.begin(w, r, &in); err != nil {
		return err
	}
	if err := in.check(r); err != nil {
		return err
	}
	began := time.Now()
	p, err := a.proveByEmail(r, in)
	if err != nil {
		a.countLogin(err)
		return err
	}
	g, err := a.issue(r.Context(), p, a.originOf(r, in.Device), "login")
	a.countLogin(err)
	if err != nil {
		return err
	}
	u := p.user
	a.log.Debug("login", "user", u.ID, "auth", g.Via, "ms", time.Since(began).Milliseconds())
	a.leavePrevious(r, u.ID)
	return a.answerGrant(w, r, http.StatusOK, u, g, in.Transport)
}

// begin is what every route does first that takes a password: shed floods, read a small body strictly.
func (a *Auth) begin(w http.ResponseWriter, r *http.Request, in any) error {
	if err := a.limits.flood(a.where.clientIP(r)); err != nil {
		return err
	}
	if err := a.csrf.Check(r); err != nil {
		return errCrossOrigin // a page elsewhere must not log its visitor in as somebody else
	}
	body, err := api.ReadBody(w, r, 4<<10)
	if err != nil {
		return err
	}
	return api.Decode(body, in)
}

func (in *loginRequest) check(r *http.Request) error {
	if in.Transport == "" {
		in.Transport = "cookie"
	}
	switch {
	case in.Email == "":
		return api.Invalid("email", "is missing")
	case in.Password == "":
		return api.Invalid("password", "is missing")
	case len(in.Password) > maxPassword:
		return api.Invalid("password", "must have at most %d bytes", maxPassword)
	case in.Transport != "cookie" && in.Transport != "bearer":
		return api.Invalid("transport", "must be cookie or bearer")
	case in.Transport == "bearer" && fromBrowser(r):
		return api.Invalid("transport", "a browser gets its tokens in cookies, which no script can read")
	}
	if err := checkText("device.name", in.Device.Name, 100); err != nil {
		return err
	}
	return checkText("device.platform", in.Device.Platform, 50)
}

// fromBrowser goes by headers that a page's script cannot take away.
func fromBrowser(r *http.Request) bool {
	return r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != ""
}

func (a *Auth) originOf(r *http.Request, d Device) origin {
	return origin{device: d, userAgent: cleanText(r.UserAgent()), ip: a.where.clientIP(r).String()}
}

const selectCredential = `SELECT ` + userColumns + `, coalesce(c.password_hash, ''), c.changed_at FROM app.credentials c JOIN app.users u ON u.id = c.user_id WHERE c.email_key = $1`

// proveByEmail says whose password it is. An unknown address costs the same time and gets the same answer as a wrong password.
func (a *Auth) proveByEmail(r *http.Request, in loginRequest) (proof, error) {
	ctx := r.Context()
	var p proof
	var stored string
	var b pgx.Batch
	b.Queue(selectCredential, emailKey(cleanText(in.Email))).Query(func(rows pgx.Rows) (err error) {
		for rows.Next() {
			if p.user, err = scanUser(rows, &stored, &p.changed); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	if err := a.rows.Do(ctx, &b); err != nil {
		return proof{}, fmt.Errorf("auth: read credentials: %w", err)
	}
	u := p.user
	cookie, _ := oneCookie(r, deviceCookieName(a.where.plainLoopback(r)))
	device, known := a.keys.knownDevice(u.ID, orElse(in.DeviceToken, cookie))
	buckets := loginBuckets(emailKey(in.Email), device, a.where.clientIP(r))
	if err := a.prove(ctx, shown{in.Password, stored, u.ID, known}, buckets); err != nil {
		if errors.Is(err, errWrongPassword) {
			a.spray.failed(a.where.clientIP(r), emailKey(in.Email), time.Now())
		}
		if why := refusalOf(err); why != "" {
			a.refusals.addUnseen(ctx, AuditEntry{Actor: orElse(string(u.ID), "unknown"), Action: "login", IP: a.where.clientIP(r).String()}, why)
		}
		return proof{}, err
	}
	if u.Status != "active" {
		a.refusals.addUnseen(ctx, AuditEntry{Actor: string(u.ID), Action: "login", IP: a.where.clientIP(r).String()}, u.Status)
		return proof{}, errWrongPassword // whether an account is disabled is told to nobody but its owner's support
	}
	return p, nil
}

// loginBuckets are what a failure is counted in. A device that has logged in to the account before has its own bucket.
func loginBuckets(account, device string, ip netip.Addr) []bucket {
	all := []bucket{{"account", account, accountRate}}
	if device != "" {
		all = []bucket{{"device", account + "\x00" + device, deviceRate}}
	}
	if b, counts := ofPrefix("prefix", ip, prefixRate); counts {
		all = append(all, b)
	}
	return all
}

// shown is a password that somebody shows, and what it is compared with.
type shown struct {
	password, stored string
	user             UserID
	known            bool // from a device that logged in to the account before, or by who is logged in
}

// prove checks a password within the throttles. It asks them again when its turn to hash has come: what
// waited in the queue together must not all be guesses.
func (a *Auth) prove(ctx context.Context, s shown, buckets []bucket) error {
	if err := a.limits.allow(ctx, buckets...); err != nil {
		return err
	}
	ok, outdated, err := a.hashes.verify(ctx, s.known, s.password, s.stored, func() error { return a.limits.allow(ctx, buckets...) })
	switch {
	case errors.Is(err, errHashFormat):
		a.log.Error("a stored password hash is not usable", "user", s.user)
		return errWrongPassword
	case err != nil:
		return err
	case !ok:
		a.limits.charge(ctx, buckets...)
		return errWrongPassword
	}
	if outdated {
		a.rehash(ctx, s.user, s.password, s.stored)
	}
	return nil
}

// rehash replaces a hash that was made with other parameters. It may fail: the next log-in tries again.
func (a *Auth) rehash(ctx context.Context, user UserID, password, stored string) {
	hash, err := a.hashes.hash(ctx, true, password)
	if err != nil {
		return
	}
	var b pgx.Batch
	b.Queue(`UPDATE app.credentials SET password_hash = $1 WHERE user_id = $2::uuid AND password_hash = $3`, hash, string(user), stored)
	if err := a.rows.Do(ctx, &b); err != nil {
		a.log.Warn("password not hashed anew", "user", user, "cause", err)
	}
}

// leavePrevious ends the session that the browser held before this log-in: a new log-in is a new session, and the
// old one's cookie is overwritten, so nobody could ever end it.
func (a *Auth) leavePrevious(r *http.Request, user UserID) {
	c, err := a.where.credentialOf(r)
	if err != nil || !c.cookie || c.form != formSession {
		return
	}
	t, err := parseToken(c.raw)
	if err != nil {
		return
	}
	s, err := a.readSession(r.Context(), t, "")
	if err != nil || s.User != user {
		return
	}
	by := Actor{As: "user", User: user, IP: a.where.clientIP(r).String()}
	if _, err := a.endSession(r.Context(), s.ID, by, Reason{Code: EndSignedOut}); err != nil {
		a.log.Warn("login: the previous session stays", "session", s.ID, "cause", err)
	}
}

func (a *Auth) countLogin(err error) {
	result := "ok"
	switch {
	case err == nil:
	case errors.Is(err, context.Canceled):
		return // the client went away: nobody was let in, and nobody refused
	case isOurs(err):
		result = "failed"
	case api.ProblemOf(err).Code == "rate_limited":
		result = "limited"
	default:
		result = "refused"
	}
	a.met.logins.WithLabelValues(result).Inc()
	a.recent.record(isOurs(err) && !errors.Is(err, errHashBusy), 0) // a full queue is shed load, and strangers can fill it
}
