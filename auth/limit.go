package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"net/netip"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"rosetree/internal/api"
)

//go:embed scripts/gcra.lua
var gcraLua string

var gcraScript = redis.NewScript(gcraLua)

// rate allows burst events at once and then one per every.
type rate struct {
	burst int
	every time.Duration
}

// The throttles, cheapest first. Failures are counted and not attempts: whoever knows the password is never slowed
// down, and a thousand people behind one address can log in at once. What failures cost is bounded by the hash pool.
var (
	floodRate    = rate{2000, 10 * time.Millisecond} // requests to the log-in routes per address prefix, in this process
	prefixRate   = rate{60, time.Second}             // failures per address prefix
	accountRate  = rate{10, 30 * time.Second}        // failures per account from devices that have never logged in to it
	deviceRate   = rate{10, 30 * time.Second}        // failures per account and known device: a stranger cannot use it up
	registerRate = rate{30, 10 * time.Second}        // registrations per address prefix
	badTokenRate = rate{600, 100 * time.Millisecond} // unknown session tokens per address prefix
	stepUpRate   = rate{10, 30 * time.Second}        // failures to prove the password again, per user
)

// limiter counts in Redis, so that all servers count together; while Redis is out each server counts for itself, at half the rate.
type limiter struct {
	rdb   redis.UniversalClient
	clock *clock                    // a bucket that was filled by a clock ahead of the others would be full for all of them
	guard func(tag string) *breaker // of the Redis master that holds the tag's keys
	key   []byte                    // names of accounts and addresses do not stand in Redis in the clear
	local *buckets
}

func newLimiter(rdb redis.UniversalClient, clock *clock, guard func(tag string) *breaker, key []byte) *limiter {
	return &limiter{rdb: rdb, clock: clock, guard: guard, key: key, local: &buckets{full: map[string]time.Time{}}}
}

// flood sheds before anything was decoded. Loopback is whoever is on this machine already: tools, tests and a proxy
// that TRUSTED_PROXIES does not name, where one bucket would be everybody's.
func (l *limiter) flood(ip netip.Addr) error {
	if ip.IsLoopback() {
		return nil
	}
	return limited(l.local.take("flood:"+prefix(ip), floodRate, true))
}

// bucket is one thing that is counted.
type bucket struct {
	kind, subject string
	rate          rate
}

func ofPrefix(kind string, ip netip.Addr, r rate) (bucket, bool) {
	return bucket{kind, prefix(ip), r}, !ip.IsLoopback()
}

// allow says whether every bucket has room, and charges none.
func (l *limiter) allow(ctx context.Context, all ...bucket) error {
	for _, b := range all {
		if wait := l.take(ctx, b, false); wait > 0 {
			return limited(wait)
		}
	}
	return nil
}

// charge counts one event in every bucket.
func (l *limiter) charge(ctx context.Context, all ...bucket) {
	for _, b := range all {
		l.take(ctx, b, true)
	}
}

func (l *limiter) take(ctx context.Context, b bucket, charge bool) time.Duration {
	tag, flag := l.tag(b), 0
	if charge {
		flag = 1
	}
	name := throttlePrefix + b.kind + ":{" + tag + "}"
	var ms int64
	err := l.guard(tag).do(ctx, func(ctx context.Context) (err error) {
		ms, err = gcraScript.Run(ctx, l.rdb, []string{name}, l.clock.now().UnixMilli(), b.rate.every.Milliseconds(), b.rate.burst, flag).Int64()
		return err
	})
	if err != nil {
		return l.local.take(name, rate{max(1, b.rate.burst/2), b.rate.every * 2}, charge)
	}
	return time.Duration(ms) * time.Millisecond
}

func (l *limiter) tag(b bucket) string {
	mac := hmac.New(sha256.New, l.key)
	mac.Write([]byte(b.kind + "\x00" + b.subject))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:15])
}

func limited(wait time.Duration) error {
	if wait <= 0 {
		return nil
	}
	return api.RateLimited(wait)
}

// buckets are the same algorithm in memory.
type buckets struct {
	mu    sync.Mutex
	full  map[string]time.Time // when the bucket is empty of charges
	swept time.Time
}

func (b *buckets) take(name string, r rate, charge bool) time.Duration {
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sweep(now)
	full := b.full[name]
	if full.Before(now) {
		full = now
	}
	brim := now.Add(time.Duration(r.burst) * r.every)
	next := full.Add(r.every)
	wait := next.Sub(brim)
	if charge {
		if next.After(brim) {
			next = brim
		}
		b.full[name] = next
	}
	return wait
}

// sweep forgets buckets that are full again, at most once a second: the map stays as small as the last minutes' strangers.
func (b *buckets) sweep(now time.Time) {
	if now.Sub(b.swept) < time.Second {
		return
	}
	b.swept = now
	for name, full := range b.full {
		if full.Before(now) {
			delete(b.full, name)
		}
	}
}
