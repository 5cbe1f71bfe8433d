package auth

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
)

// keyring holds the keys that this package derives from SECRET_KEY. Where there are several, the first one makes and all verify,
// so that a secret is replaced without signing anybody out.
type keyring struct {
	tags      [][]byte
	fallbacks []ed25519.PrivateKey
	devices   [][]byte
	bootstrap [][]byte
	journal   [][]byte
	throttle  []byte
	exchange  []byte
	issuer    []byte // signs what is remembered of the issuer's keys
	legacy    []byte // signs legacy tokens where LEGACY_JWT_SECRET is not set
}

func newKeyring(s SecretKey) keyring {
	k := keyring{
		tags:      s.Derive("session-tag", 32),
		devices:   s.Derive("device-cookie", 32),
		bootstrap: s.Derive("bootstrap", 32),
		journal:   s.Derive("journal", 32),
		throttle:  s.Derive("throttle", 32)[0],
		exchange:  s.Derive("exchange", 32)[0],
		issuer:    s.Derive("issuer-keys", 32)[0],
		legacy:    s.Derive("legacy-token", 32)[0],
	}
	for _, seed := range s.Derive("fallback-token", ed25519.SeedSize) {
		k.fallbacks = append(k.fallbacks, ed25519.NewKeyFromSeed(seed))
	}
	return k
}

// utag is the user's part of new session ids.
func (k keyring) utag(user UserID) string { return utag(k.tags[0], user) }

// utags are all that sessions of the user may carry: those made before SECRET_KEY was rotated have another one.
func (k keyring) utags(user UserID) []string {
	all := make([]string, len(k.tags))
	for i, key := range k.tags {
		all[i] = utag(key, user)
	}
	return all
}

// publicKeyID names a key by its public half without telling anything of the secret.
func publicKeyID(key ed25519.PrivateKey) string {
	sum := sha256.Sum256(key.Public().(ed25519.PublicKey))
	return hex.EncodeToString(sum[:4])
}

// sign binds text to one of our keys for one purpose.
func sign(key []byte, text string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func signedBy(keys [][]byte, text, signature string) bool {
	for _, key := range keys {
		if hmac.Equal([]byte(sign(key, text)), []byte(signature)) {
			return true
		}
	}
	return false
}
