package auth

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// OpenRedis makes a client for REDIS_URL; it does not connect yet.
//
//	redis://user:password@host:6379/0        one server; rediss:// with TLS
//	unix:///run/redis.sock?db=0              one server on a socket
//	redis://a:6379,b:6379                    several addresses: a cluster
//	redis+cluster://a:6379,b:6379            the same, said plainly; rediss+cluster:// with TLS
//	redis+sentinel://s1:26379,s2:26379/mymaster/0   rediss+sentinel:// with TLS
//
// go-redis ignores a context's deadline by default, dials five times and retries three times: a frozen Redis then holds
// a request for five seconds. Here a command fails within 100 ms and whoever can retry does so himself, once.
func OpenRedis(rawURL string) (redis.UniversalClient, error) {
	o, err := parseRedisURL(rawURL)
	if err != nil {
		return nil, err
	}
	redis.SetLogger(silent{})
	return redis.NewUniversalClient(o), nil
}

// silent drops go-redis' own log: it writes a line to stderr for each failed dial, past our format and level, and every
// failure comes back as an error anyway, which whoever asked handles.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// connBuffer holds a pipeline of session reads. The library's 32 KiB, twice for each connection of the pool, would be
// megabytes that lie idle after a storm of log-ins.
const connBuffer = 8 << 10

func parseRedisURL(rawURL string) (*redis.UniversalOptions, error) {
	o := &redis.UniversalOptions{
		ContextTimeoutEnabled: true,
		MaxRetries:            -1,
		DialerRetries:         1,
		DialTimeout:           200 * time.Millisecond,
		ReadTimeout:           100 * time.Millisecond,
		WriteTimeout:          100 * time.Millisecond,
		PoolTimeout:           50 * time.Millisecond,
		PoolSize:              32 * runtime.GOMAXPROCS(0),
		MinIdleConns:          2,
		ReadBufferSize:        connBuffer,
		WriteBufferSize:       connBuffer,
	}
	scheme, rest, ok := strings.Cut(rawURL, "://")
	if !ok {
		return nil, errRedisURL("it has no scheme")
	}
	if secure, plain := strings.CutPrefix(scheme, "rediss"); plain {
		scheme = "redis" + secure
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if scheme == "unix" {
		return unixRedis(o, rest)
	}
	switch scheme {
	case "redis", "redis+cluster", "redis+sentinel":
	default:
		return nil, errRedisURL(fmt.Sprintf("scheme %q is not known", scheme))
	}
	path, err := redisHosts(o, rest)
	if err != nil {
		return nil, err
	}
	o.IsClusterMode = scheme == "redis+cluster" || scheme == "redis" && len(o.Addrs) > 1
	if scheme == "redis+sentinel" {
		o.MasterName, path, _ = strings.Cut(path, "/")
		if o.MasterName == "" {
			return nil, errRedisURL("a sentinel URL names its master: redis+sentinel://host:26379/mymaster")
		}
		o.SentinelUsername, o.SentinelPassword = o.Username, o.Password
	}
	if path == "" {
		return o, nil
	}
	if o.DB, err = strconv.Atoi(path); err != nil || o.DB < 0 {
		return nil, errRedisURL(fmt.Sprintf("database %q is not a number", path))
	}
	if o.IsClusterMode && o.DB != 0 {
		return nil, errRedisURL("a cluster has only database 0")
	}
	return o, nil
}

func errRedisURL(what string) error {
	return fmt.Errorf("REDIS_URL: %s; expected redis://, rediss://, unix://, redis+cluster:// or redis+sentinel://", what)
}

// redisHosts reads "user:password@host:port,host:port/path" and returns the path.
func redisHosts(o *redis.UniversalOptions, rest string) (path string, err error) {
	if strings.ContainsAny(rest, "?#") {
		return "", errRedisURL("options after ? are not taken")
	}
	authority, path, _ := strings.Cut(rest, "/")
	if at := strings.LastIndex(authority, "@"); at >= 0 {
		u, err := url.Parse("redis://" + authority[:at] + "@h")
		if err != nil {
			return "", errRedisURL("user and password cannot be read; escape special characters by %XX")
		}
		o.Username = u.User.Username()
		o.Password, _ = u.User.Password()
		authority = authority[at+1:]
	}
	for host := range strings.SplitSeq(authority, ",") {
		u, err := url.Parse("redis://" + host)
		if err != nil || u.Hostname() == "" {
			return "", errRedisURL("an address is empty or has a wrong port")
		}
		port := u.Port()
		if port == "" {
			port = "6379"
		}
		o.Addrs = append(o.Addrs, joinHostPort(u.Hostname(), port))
	}
	return path, nil
}

func joinHostPort(host, port string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]:" + port
	}
	return host + ":" + port
}

func unixRedis(o *redis.UniversalOptions, rest string) (*redis.UniversalOptions, error) {
	u, err := url.Parse("unix://" + rest)
	if err != nil || u.Path == "" {
		return nil, errRedisURL("a unix URL holds a path: unix:///run/redis.sock")
	}
	o.Username = u.User.Username()
	o.Password, _ = u.User.Password()
	o.Addrs = []string{u.Path} // go-redis takes an address that begins with / for a socket
	for name, values := range u.Query() {
		if name != "db" {
			return nil, errRedisURL(fmt.Sprintf("option %q is not taken; unix:// knows ?db=N", name))
		}
		if o.DB, err = strconv.Atoi(values[0]); err != nil || o.DB < 0 {
			return nil, errRedisURL(fmt.Sprintf("database %q is not a number", values[0]))
		}
	}
	return o, nil
}
