package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"
)

// jwksKept is how long a remembered key set counts: longer than an issuer's outage, and shorter than a key that was replaced because
// it leaked may be trusted.
const jwksKept = 7 * 24 * time.Hour

// keptJWKS remembers the issuer's last good key set in Redis, for servers that start during an outage of the issuer. The keys are
// public. They are signed with ours: who can write to Redis must not become the issuer.
type keptJWKS struct {
	// fixed after New
	rdb   redis.UniversalClient
	guard func(tag string) *breaker // of the Redis master that holds the tag's keys
	key   []byte
	tag   string // of the issuer's address: another address is another set
	log   *slog.Logger
}

func newKeptJWKS(rdb redis.UniversalClient, guard func(string) *breaker, key []byte, url string, log *slog.Logger) *keptJWKS {
	return &keptJWKS{rdb: rdb, guard: guard, key: key, tag: sign(key, "address\x00"+url)[:20], log: log}
}

type keptSet struct {
	At        time.Time `json:"at"`
	Set       []byte    `json:"set"`
	Signature string    `json:"signature"`
}

func (k *keptJWKS) signed(s keptSet) string {
	return fmt.Sprintf("%s\x00%d\x00%s", k.tag, s.At.UnixNano(), s.Set)
}

func (k *keptJWKS) save(ctx context.Context, set []byte, at time.Time) {
	s := keptSet{At: at, Set: set}
	s.Signature = sign(k.key, k.signed(s))
	value, err := json.Marshal(s)
	if err == nil {
		err = k.guard(k.tag).do(ctx, func(ctx context.Context) error { return k.rdb.Set(ctx, issuerKey(k.tag), value, jwksKept).Err() })
	}
	if err != nil {
		k.log.Warn("legacy: the issuer's keys are not remembered beyond this process", "cause", err)
	}
}

func (k *keptJWKS) load(ctx context.Context) ([]byte, time.Time, error) {
	var value []byte
	err := k.guard(k.tag).do(ctx, func(ctx context.Context) (err error) {
		if value, err = k.rdb.Get(ctx, issuerKey(k.tag)).Bytes(); errors.Is(err, redis.Nil) {
			return nil
		}
		return err
	})
	if err != nil {
		return nil, time.Time{}, err
	}
	var s keptSet
	if err := json.Unmarshal(value, &s); err != nil || !signedBy([][]byte{k.key}, k.signed(s), s.Signature) {
		return nil, time.Time{}, errors.New("auth: none is remembered")
	}
	if time.Since(s.At) > jwksKept {
		return nil, time.Time{}, errors.New("auth: the remembered set is too old")
	}
	return s.Set, s.At, nil
}
