package auth

import (
	"errors"
	"net/http"

	"rosetree/internal/api"
)

type registerRequest struct {
	loginRequest
	DisplayName string `json:"display_name"`
	Bootstrap   string `json:"bootstrap"` // the one-time token that makes the first administrator
}

func (a *Auth) register(w http.ResponseWriter, r *http.Request) error {
	err := a.registered(w, r)
	a.refused(r.Context(), "register", "", a.where.clientIP(r).String(), err)
	return err
}

func (a *Auth) registered(w http.ResponseWriter, r *http.Request) error {
	var in registerRequest
	if err := a.begin(w, r, &in); err != nil {
		return err
	}
	if a.cfg.Registration != "open" && in.Bootstrap == "" {
		return api.Forbidden("registration is closed")
	}
	if err := in.check(r); err != nil {
		return err
	}
	n := NewUser{Email: in.Email, Password: in.Password, DisplayName: in.DisplayName}
	if err := a.mayRegister(r, in, &n); err != nil {
		return err
	}
	u, err := a.AddUser(r.Context(), n, "")
	a.countLogin(err)
	if err != nil {
		return err
	}
	g, err := a.issue(r.Context(), proof{user: u}, a.originOf(r, in.Device), "register")
	if err != nil {
		return err
	}
	return a.answerGrant(w, r, http.StatusCreated, u, g, in.Transport)
}

func (a *Auth) mayRegister(r *http.Request, in registerRequest, n *NewUser) error {
	if b, counts := ofPrefix("register", a.where.clientIP(r), registerRate); counts {
		if err := a.limits.allow(r.Context(), b); err != nil {
			return err
		}
		a.limits.charge(r.Context(), b)
	}
	if s, err := a.switches.now(); err != nil || s.Lockdown {
		return errors.Join(err, errLockedDown)
	}
	if in.Bootstrap == "" {
		return nil
	}
	if err := a.checkBootstrap(r.Context(), in.Bootstrap); err != nil {
		return err
	}
	n.Role, n.First = RoleAdmin, true
	return nil
}
