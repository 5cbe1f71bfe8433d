package auth

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"rosetree/internal/api"
)

const minSecret = 32 // bytes

// SecretKey is the setting SECRET_KEY: one or more secrets of at least 32 bytes, in hex or base64,
// separated by commas. The first one signs, all of them verify, so a new one is put in front and the
// old one taken away later. Whatever prints it shows "[secret]".
type SecretKey struct{ secrets [][]byte }

// UnmarshalText makes SecretKey a setting. Its errors never repeat what was given.
func (k *SecretKey) UnmarshalText(text []byte) error {
	k.secrets = nil
	for i, part := range strings.Split(string(text), ",") {
		secret, err := decodeSecret(strings.TrimSpace(part))
		if err != nil {
			return fmt.Errorf("secret %d %w", i+1, err)
		}
		k.secrets = append(k.secrets, secret)
	}
	return nil
}

// decodeSecret prefers hex: every hex text is valid base64 too, and would be other bytes there.
func decodeSecret(s string) ([]byte, error) {
	decoders := []func(string) ([]byte, error){
		hex.DecodeString, base64.StdEncoding.DecodeString, base64.RawStdEncoding.DecodeString,
		base64.URLEncoding.DecodeString, base64.RawURLEncoding.DecodeString,
	}
	for _, decode := range decoders {
		b, err := decode(s)
		if err != nil {
			continue
		}
		if len(b) < minSecret {
			return nil, fmt.Errorf("has %d bytes and needs at least %d", len(b), minSecret)
		}
		if bytes.Count(b, b[:1]) == len(b) {
			return nil, errors.New("repeats one byte and is no secret")
		}
		return b, nil
	}
	return nil, errors.New("is neither hex nor base64")
}

// Or is k where it is set. Otherwise it is derived from the password in databaseURL, so that serve and
// migrate agree without any set-up; with neither there is no key, and the error names the setting.
func (k SecretKey) Or(databaseURL string) (SecretKey, error) {
	if len(k.secrets) > 0 {
		return k, nil
	}
	c, err := pgconn.ParseConfig(databaseURL)
	if err != nil || c.Password == "" {
		return SecretKey{}, errors.New("SECRET_KEY is not set, and DATABASE_URL holds no password to derive one from: set SECRET_KEY to at least 32 random bytes in hex or base64")
	}
	secret, err := hkdf.Key(sha256.New, []byte(c.Password), nil, "rosetree/v1/secret-key", minSecret)
	return SecretKey{secrets: [][]byte{secret}}, err
}

// IsSet tells whether there is a secret.
func (k SecretKey) IsSet() bool { return len(k.secrets) > 0 }

// Derive gives the key for one purpose from every secret, the signing one first. Keys of different
// purposes say nothing about each other or about the secret.
func (k SecretKey) Derive(purpose string, size int) [][]byte {
	keys := make([][]byte, len(k.secrets))
	for i, secret := range k.secrets {
		key, err := hkdf.Key(sha256.New, secret, nil, "rosetree/v1/"+purpose, size)
		if err != nil {
			panic(err) // only for a size beyond 8160 bytes: a mistake in this program
		}
		keys[i] = key
	}
	return keys
}

// ContextKeys are the keys that sign identity contexts; "rosetree migrate up" installs them in the database.
func (k SecretKey) ContextKeys() [][]byte { return k.Derive("rls-context", 32) }

// Whatever prints a key, with any verb, shows that it is one.
func (SecretKey) Format(f fmt.State, _ rune)   { _, _ = io.WriteString(f, api.ShownSecret) }
func (SecretKey) LogValue() slog.Value         { return slog.StringValue(api.ShownSecret) }
func (SecretKey) MarshalText() ([]byte, error) { return []byte(api.ShownSecret), nil }

// Secret is a setting's text that whatever prints it shows as "[secret]".
type Secret = api.Secret
