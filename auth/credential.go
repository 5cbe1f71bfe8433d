package auth

import (
	"net/http"
	"slices"
	"strings"

	"rosetree/internal/api"
)

// credential is what a request presented, by its form; nothing of it is believed yet.
type credential struct {
	form     form
	raw      string
	cookie   bool   // the browser added it by itself: then the request's origin must be proven
	fallback string // the fallback cookie beside a session cookie
}

type form string

const (
	formNone     form = "none"
	formSession  form = "session"
	formLegacy   form = "legacy"
	formFallback form = "fallback"
)

var (
	errNoCredential   = api.Unauthenticated("log in first")
	errBadCredential  = api.Unauthenticated("the credential is not valid; log in again")
	errTwoCredentials = api.BadRequest("more than one credential was sent; send exactly one")
)

// credentialOf finds the one credential of r. Two that differ are refused: whoever can add a second one could choose who the caller is.
func (w surroundings) credentialOf(r *http.Request) (credential, error) {
	bearer, err := bearerOf(r)
	if err != nil {
		return credential{}, err
	}
	plain := w.plainLoopback(r)
	cookie, err := oneCookie(r, cookieName(plain))
	if err != nil {
		return credential{}, err
	}
	fallback, err := oneCookie(r, fallbackCookieName(plain))
	if err != nil {
		return credential{}, err
	}
	switch {
	case bearer != "" && cookie != "" && bearer != cookie:
		return credential{}, errTwoCredentials
	case bearer != "":
		return credential{form: formOf(bearer), raw: bearer}, nil
	case cookie != "":
		return credential{form: formOf(cookie), raw: cookie, cookie: true, fallback: fallback}, nil
	case fallback != "":
		return credential{form: formFallback, raw: fallback, cookie: true}, nil
	}
	return credential{form: formNone}, nil
}

func bearerOf(r *http.Request) (string, error) {
	values := r.Header.Values("Authorization")
	if len(values) == 0 {
		return "", nil
	}
	if slices.ContainsFunc(values, func(v string) bool { return v != values[0] }) {
		return "", errTwoCredentials
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", api.Unauthenticated("Authorization must be: Bearer TOKEN")
	}
	return token, nil
}

// oneCookie refuses a second cookie of the same name with another value: a neighbour domain can add one.
func oneCookie(r *http.Request, name string) (string, error) {
	found := ""
	for _, c := range r.CookiesNamed(name) {
		if found != "" && c.Value != found {
			return "", errTwoCredentials
		}
		found = c.Value
	}
	return found, nil
}

// formOf picks the verifier. A token that says it is one kind is never tried as another.
func formOf(raw string) form {
	switch {
	case strings.HasPrefix(raw, tokenPrefix):
		return formSession
	case strings.Count(raw, ".") == 2 && len(raw) <= maxJWT:
		if isFallback(raw) {
			return formFallback
		}
		return formLegacy
	}
	return "unknown"
}
