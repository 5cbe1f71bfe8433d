package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strings"
)

// A session token is "rt1." + session id + "." + secret. The id is public and says which key in Redis to read;
// the secret exists with the client and, while a request is checked, here. Redis holds its hash, which
// needs no salt: 256 random bits cannot be guessed.
const (
	tokenPrefix = "rt1."
	secretLen   = 43 // base64url of 32 bytes
	tokenLen    = len(tokenPrefix) + sessionIDLen + 1 + secretLen
)

// token is what a client presented, after its form has been checked and before anything was asked.
type token struct {
	id     SessionID
	secret string
}

var errMalformedToken = errors.New("auth: not a session token")

// parseToken checks alphabet and length before any part of s may touch Redis or a log.
func parseToken(s string) (token, error) {
	if len(s) != tokenLen || !strings.HasPrefix(s, tokenPrefix) || s[len(tokenPrefix)+sessionIDLen] != '.' {
		return token{}, errMalformedToken
	}
	id, secret := s[len(tokenPrefix):len(tokenPrefix)+sessionIDLen], s[tokenLen-secretLen:]
	if !isBase64URL(id) || !isBase64URL(secret) {
		return token{}, errMalformedToken
	}
	return token{SessionID(strings.Clone(id)), secret}, nil // the id may live as long as a socket, and the secret must not live with it
}

// isSessionID says whether s has the form of an id that this program makes.
func isSessionID(s string) bool { return len(s) == sessionIDLen && isBase64URL(s) }

func isBase64URL(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// mintToken makes a session id for the user that utag stands for, and its secret.
func mintToken(utag string) token {
	return token{SessionID(utag + randomText(12)), randomText(32)}
}

// randomText is n random bytes in base64url.
func randomText(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

func (t token) String() string { return tokenPrefix + string(t.id) + "." + t.secret }

// verifier is what the store keeps instead of the secret.
func (t token) verifier() string {
	sum := sha256.Sum256([]byte(t.secret))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func (t token) matches(verifier string) bool {
	return subtle.ConstantTimeCompare([]byte(t.verifier()), []byte(verifier)) == 1
}

// utag is a user's part of the session id: it puts all keys of one user in one slot of a Redis cluster
// and does not tell the user's id to who sees a session's.
func utag(key []byte, user UserID) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(user))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:9])
}
