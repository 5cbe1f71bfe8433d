package devstack

import (
	"crypto/rand"
	"errors"
	"maps"
	"net/url"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// Redis is a redis-server of one test, and the faults that it can have. It starts with the keyspace
// events that the program needs, and with a password.
type Redis struct {
	URL      string
	Addr     string // host:port, the same after a Restart
	Password string

	spec   redisSpec
	server *redisServer
}

// Redis starts a redis-server for this test: without data on disk, and in no one else's way.
func (e *Env) Redis(t TB) *Redis {
	t.Helper()
	return e.StartRedis(t, nil)
}

// StartRedis is Redis with settings of redis.conf beyond ours, or instead of them: "maxmemory": "2mb".
func (e *Env) StartRedis(t TB, settings map[string]string) *Redis {
	t.Helper()
	merged := map[string]string{"notify-keyspace-events": "Kgxe", "maxmemory-policy": "noeviction", "save": `""`}
	maps.Copy(merged, settings)
	return e.startRedis(t, redisSpec{settings: merged, password: rand.Text()})
}

func (e *Env) startRedis(t TB, spec redisSpec) *Redis {
	t.Helper()
	spec.dir, spec.as = e.folder(t, "redis-"+strconv.FormatInt(e.next.Add(1), 10)), e.as
	r := &Redis{Password: spec.password, spec: spec}
	r.start(t)
	r.spec.wish, r.spec.exact = r.server.port, true
	r.Addr, r.URL = loopback(r.server.port), redisURL(r.Password, r.server.port)
	t.Cleanup(func() {
		r.server.stop(syscall.SIGKILL, time.Second)
		os.RemoveAll(spec.dir)
	})
	return r
}

func (r *Redis) start(t TB) {
	t.Helper()
	ctx, cancel := patience()
	defer cancel()
	server, err := startRedis(ctx, r.spec)
	if err != nil {
		t.Fatalf("%v", err)
	}
	r.server = server
}

func redisURL(password string, port int) string {
	u := url.URL{Scheme: "redis", User: url.UserPassword("", password), Host: loopback(port), Path: "0"}
	return u.String()
}

// Client returns a client of the test's own, to look and to meddle; it is closed after the test.
func (r *Redis) Client(t TB) *redis.Client {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: r.Addr, Password: r.Password, ContextTimeoutEnabled: true})
	t.Cleanup(func() { rdb.Close() })
	return rdb
}

// Freeze stops the server without closing anything: connections stay, new ones are accepted by the
// kernel, and nothing is answered until Thaw.
func (r *Redis) Freeze(t TB) { t.Helper(); r.must(t, r.server.signal(syscall.SIGSTOP)) }

// Thaw ends a Freeze; what was sent meanwhile is answered.
func (r *Redis) Thaw(t TB) { t.Helper(); r.must(t, r.server.signal(syscall.SIGCONT)) }

// Kill ends the server as a crash does.
func (r *Redis) Kill(t TB) { t.Helper(); r.must(t, r.server.stop(syscall.SIGKILL, 5*time.Second)) }

// Restart ends the server and starts it on the same port: with its keys, or with none.
func (r *Redis) Restart(t TB, keep bool) {
	t.Helper()
	if keep {
		r.save(t)
	}
	r.must(t, r.server.stop(syscall.SIGKILL, 5*time.Second))
	if !keep {
		for _, name := range []string{"dump.rdb", "appendonlydir"} {
			r.must(t, os.RemoveAll(r.spec.dir+"/"+name))
		}
	}
	deadline := time.Now().Add(5 * time.Second)
	for {
		ctx, cancel := patience()
		server, err := startRedis(ctx, r.spec)
		cancel()
		if err == nil {
			r.server = server
			return
		}
		// Connections of the dead server may hold the port for a moment.
		if !errors.Is(err, errTaken) || time.Now().After(deadline) {
			t.Fatalf("%v", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// save writes the keys down, unless the server is already dead.
func (r *Redis) save(t TB) {
	t.Helper()
	select {
	case <-r.server.done:
		return
	default:
	}
	ctx, cancel := patience()
	defer cancel()
	r.must(t, r.Client(t).Save(ctx).Err())
}

// Configure changes a setting while the server runs: CONFIG SET.
func (r *Redis) Configure(t TB, setting, value string) {
	t.Helper()
	ctx, cancel := patience()
	defer cancel()
	r.must(t, r.Client(t).ConfigSet(ctx, setting, value).Err())
}

func (r *Redis) must(t TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("devstack: %v", err)
	}
}
