package auth

import (
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// The fallback token is a receipt for a session, signed by us: it counts only while Redis cannot be asked or in rollback, and
// then only while the revocations are fresh. It lives a quarter of an hour, so its holder loses little if it is lost.
const (
	fallbackLife = 15 * time.Minute
	fallbackType = "rt-fb+jwt"
	fallbackAud  = "rosetree-fallback"
)

type fallbackClaims struct {
	jwt.RegisteredClaims
	SID    SessionID `json:"sid"`
	Role   Role      `json:"role"`
	Issued int64     `json:"siat"` // when the session began, Unix ms: what revocations compare with
	AuthAt int64     `json:"auth"` // Unix ms
	Ends   int64     `json:"sexp"` // when the session ends in any case, Unix ms
}

var errFallbackToken = errors.New("auth: not a valid fallback token")

// mintFallback makes the token for a session. An admin's says user: what is accepted without Redis never acts as an admin.
func (k keyring) mintFallback(s Session, now time.Time) (string, time.Time, error) {
	exp := now.Add(fallbackLife)
	if s.Ends.Before(exp) {
		exp = s.Ends
	}
	t := jwt.NewWithClaims(jwt.SigningMethodEdDSA, fallbackClaims{
		RegisteredClaims: jwt.RegisteredClaims{Audience: jwt.ClaimStrings{fallbackAud}, Subject: string(s.User),
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(exp)},
		SID: s.ID, Role: RoleUser, Issued: s.IssuedAt.UnixMilli(), AuthAt: s.AuthAt.UnixMilli(), Ends: s.Ends.UnixMilli(),
	})
	t.Header["typ"] = fallbackType
	t.Header["kid"] = publicKeyID(k.fallbacks[0])
	signed, err := t.SignedString(k.fallbacks[0])
	return signed, exp, err
}

// isFallback tells by a JWT's header which of the two rules answers; it believes nothing yet.
func isFallback(raw string) bool {
	t, _, err := jwt.NewParser().ParseUnverified(raw, jwt.MapClaims{})
	return err == nil && t.Header["typ"] == fallbackType
}

var fallbackRules = []jwt.ParserOption{jwt.WithValidMethods([]string{"EdDSA"}), jwt.WithAudience(fallbackAud),
	jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(5 * time.Second), jwt.WithStrictDecoding()}

// verifyFallback checks the token by itself; whether it counts at all is asked before.
func (k keyring) verifyFallback(raw string, at *clock) (Principal, error) {
	if len(raw) > maxJWT {
		return Principal{}, errFallbackToken
	}
	var c fallbackClaims
	parser := jwt.NewParser(append(fallbackRules[:len(fallbackRules):len(fallbackRules)], jwt.WithTimeFunc(at.now))...)
	_, err := parser.ParseWithClaims(raw, &c, func(t *jwt.Token) (any, error) {
		if t.Header["typ"] != fallbackType {
			return nil, errFallbackToken
		}
		for _, key := range k.fallbacks {
			if t.Header["kid"] == publicKeyID(key) {
				return key.Public(), nil
			}
		}
		return nil, errFallbackToken
	})
	if err != nil {
		return Principal{}, fmt.Errorf("%w: %w", errFallbackToken, err)
	}
	if !isSessionID(string(c.SID)) || c.Role != RoleUser || checkUserID(UserID(c.Subject)) != nil {
		return Principal{}, errFallbackToken
	}
	return Principal{User: UserID(c.Subject), Role: RoleUser, Session: c.SID, Via: ViaFallback, Degraded: true,
		IssuedAt: time.UnixMilli(c.Issued), AuthAt: time.UnixMilli(c.AuthAt), Expires: c.ExpiresAt.Time}, nil
}
