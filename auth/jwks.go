package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"sync"
	"time"

	"rosetree/internal/api"
)

const (
	jwksFresh   = 10 * time.Minute // after that the set is fetched again, beside the request
	jwksPause   = 10 * time.Second // between two fetches: unknown kids must not become requests to the issuer
	jwksTimeout = 3 * time.Second
	maxJWKS     = 256 << 10
)

// jwks is the issuer's key set. Keys that were once fetched keep working while the issuer cannot be reached: its outage is not ours.
type jwks struct {
	url    string
	client *http.Client
	store  jwksStore
	log    *slog.Logger

	fetching sync.Mutex // one fetch at a time
	mu       sync.Mutex
	keys     map[string]jwksKey // guarded by mu
	fetched  time.Time          // guarded by mu
	tried    time.Time          // guarded by mu
}

type jwksKey struct {
	alg string
	key any
}

// jwksError says that the key could not be had because the issuer did not answer: our failure, and not a bad token.
type jwksError struct{ cause error }

func (e *jwksError) Error() string { return "auth: JWKS: " + e.cause.Error() }
func (e *jwksError) Unwrap() error { return e.cause }

// jwksStore remembers the last good set beyond this process: keptJWKS.
type jwksStore interface {
	save(ctx context.Context, set []byte, at time.Time)
	load(ctx context.Context) (set []byte, at time.Time, err error)
}

func newJWKS(url string, store jwksStore, log *slog.Logger) *jwks {
	return &jwks{url: url, client: &http.Client{Timeout: jwksTimeout}, store: store, log: log}
}

// key is the key of that id, where it is meant for alg.
func (j *jwks) key(ctx context.Context, kid, alg string) (any, error) {
	k, known, stale := j.cached(kid)
	switch {
	case known && stale:
		go func() { _ = j.fetch(context.WithoutCancel(ctx)) }() // the old key still answers; a failure shows in the next try
	case !known:
		if err := j.fetch(ctx); err != nil {
			return nil, &jwksError{err}
		}
		k, known, _ = j.cached(kid)
	}
	if !known || k.alg != alg {
		return nil, errors.New("no such key")
	}
	return k.key, nil
}

// cached finds a key. A set of one key may be used without a kid.
func (j *jwks) cached(kid string) (k jwksKey, known, stale bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	k, known = j.keys[kid]
	if kid == "" && len(j.keys) == 1 {
		for _, only := range j.keys {
			k, known = only, true
		}
	}
	return k, known, time.Since(j.fetched) > jwksFresh
}

// fetch reads the set, at most once per jwksPause.
func (j *jwks) fetch(ctx context.Context) error {
	j.fetching.Lock()
	defer j.fetching.Unlock()
	j.mu.Lock()
	soon, have := time.Since(j.tried) < jwksPause, j.keys != nil
	if !soon {
		j.tried = time.Now()
	}
	j.mu.Unlock()
	if soon {
		if !have {
			return errors.New("no key set yet")
		}
		return nil
	}
	keys, at, err := j.read(ctx)
	if err != nil {
		j.log.Warn("legacy: the issuer's keys cannot be fetched; known ones go on", "known", have, "cause", err)
		if have {
			return nil // the kid is unknown among the keys that we have
		}
		if keys, at = j.remembered(ctx); keys == nil {
			return err
		}
	}
	j.mu.Lock()
	j.keys, j.fetched = keys, at
	j.mu.Unlock()
	return nil
}

// remembered is the set that some server fetched last, for one that starts while the issuer cannot be reached. It is stale: the
// next token makes it be fetched again.
func (j *jwks) remembered(ctx context.Context) (map[string]jwksKey, time.Time) {
	set, at, err := j.store.load(ctx)
	if err != nil {
		j.log.Warn("legacy: no remembered keys of the issuer either", "cause", err)
		return nil, at
	}
	keys, err := parseJWKS(set)
	if err != nil {
		return nil, at
	}
	j.log.Warn("legacy: the issuer cannot be reached; going on with its keys as they were", "fetched", at.UTC())
	return keys, at
}

// read fetches the set and remembers it.
func (j *jwks) read(ctx context.Context) (map[string]jwksKey, time.Time, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), jwksTimeout)
	defer cancel()
	at := time.Now()
	set, err := j.get(ctx)
	if err != nil {
		return nil, at, err
	}
	keys, err := parseJWKS(set)
	if err == nil {
		j.store.save(ctx, set, at)
	}
	return keys, at, err
}

func (j *jwks) get(ctx context.Context) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, j.url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := j.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("answered %d", resp.StatusCode)
	}
	return io.ReadAll(io.LimitReader(resp.Body, maxJWKS))
}

// jwk is one key of RFC 7517; only what verifies.
type jwk struct {
	Kty, Kid, Use, Crv, N, E, X, Y string
}

// parseJWKS takes the keys that can verify and leaves the others: one that we do not know must not lose us those that we do.
func parseJWKS(body []byte) (map[string]jwksKey, error) {
	var set struct{ Keys []jwk }
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, fmt.Errorf("not a key set: %w", err)
	}
	keys := map[string]jwksKey{}
	for _, k := range set.Keys {
		if k.Use != "" && k.Use != "sig" {
			continue
		}
		if parsed, err := k.parse(); err == nil {
			keys[k.Kid] = parsed
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("no usable key in the set")
	}
	return keys, nil
}

func (k jwk) parse() (jwksKey, error) {
	b := func(s string) []byte { v, _ := base64.RawURLEncoding.DecodeString(s); return v }
	switch {
	case k.Kty == "RSA":
		n, e := new(big.Int).SetBytes(b(k.N)), new(big.Int).SetBytes(b(k.E))
		if n.BitLen() < 2048 || !e.IsInt64() || e.Int64() < 3 || e.Int64() > 1<<31-1 {
			return jwksKey{}, errors.New("weak RSA key")
		}
		return jwksKey{"RS256", &rsa.PublicKey{N: n, E: int(e.Int64())}}, nil
	case k.Kty == "EC" && k.Crv == "P-256":
		point := append([]byte{4}, append(b(k.X), b(k.Y)...)...)
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
		return jwksKey{"ES256", key}, err
	case k.Kty == "OKP" && k.Crv == "Ed25519" && len(b(k.X)) == ed25519.PublicKeySize:
		return jwksKey{"EdDSA", ed25519.PublicKey(b(k.X))}, nil
	}
	return jwksKey{}, errors.New("unknown key type")
}

// ready says whether there are keys, and fetches them where there are none.
func (j *jwks) ready(ctx context.Context) error {
	j.mu.Lock()
	have := j.keys != nil
	j.mu.Unlock()
	if have {
		return nil
	}
	if err := j.fetch(ctx); err != nil {
		return api.Unavailable("the issuer's keys cannot be fetched", jwksPause)
	}
	return nil
}
