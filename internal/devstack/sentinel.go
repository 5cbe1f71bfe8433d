package devstack

import (
	"context"
	"crypto/rand"
	"maps"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Sentinel is a Redis with failover: a master, two replicas, three sentinels. A master that does not
// answer for half a second is replaced.
type Sentinel struct {
	URL       string   // redis+sentinel://…/rosetree
	Nodes     []*Redis // the first was the master at the start
	Sentinels []*Redis
}

const masterName = "rosetree"

// StartSentinel starts one and waits until the sentinels know all its parts.
func (e *Env) StartSentinel(t TB) *Sentinel {
	t.Helper()
	password := rand.Text()
	node := map[string]string{"notify-keyspace-events": "Kgxe", "save": `""`, "repl-diskless-sync-delay": "0", "repl-ping-replica-period": "1"}
	master := e.startRedis(t, redisSpec{settings: node, password: password})
	s := &Sentinel{Nodes: []*Redis{master}}
	replica := maps.Clone(node)
	replica["replicaof"] = strings.Replace(master.Addr, ":", " ", 1)
	for range 2 {
		s.Nodes = append(s.Nodes, e.startRedis(t, redisSpec{settings: replica, password: password}))
	}
	var addrs []string
	for range 3 {
		one := e.startRedis(t, redisSpec{args: []string{"--sentinel"}, password: password, settings: watching(master, password)})
		s.Sentinels = append(s.Sentinels, one)
		addrs = append(addrs, one.Addr)
	}
	s.URL = "redis+sentinel://:" + password + "@" + strings.Join(addrs, ",") + "/" + masterName
	for _, one := range s.Sentinels {
		waitFor(t, "the sentinels to find each other", func(ctx context.Context) bool { return s.complete(ctx, one) })
	}
	return s
}

// watching is a sentinel's configuration.
func watching(master *Redis, password string) map[string]string {
	return map[string]string{
		"sentinel monitor " + masterName:                 strings.Replace(master.Addr, ":", " ", 1) + " 2",
		"sentinel auth-pass " + masterName:               password,
		"sentinel down-after-milliseconds " + masterName: "500",
		"sentinel failover-timeout " + masterName:        "2000",
		"sentinel sentinel-pass":                         password,
	}
}

func (s *Sentinel) complete(ctx context.Context, one *Redis) bool {
	c := redis.NewSentinelClient(&redis.Options{Addr: one.Addr, Password: one.Password, ContextTimeoutEnabled: true})
	defer c.Close()
	info, err := c.Master(ctx, masterName).Result()
	return err == nil && info["flags"] == "master" && info["num-slaves"] == "2" && info["num-other-sentinels"] == "2"
}

// Master returns the node that the first sentinel which answers takes for the master.
func (s *Sentinel) Master(t TB) *Redis {
	t.Helper()
	for _, one := range s.Sentinels {
		if addr := s.ask(one); addr != "" {
			for _, node := range s.Nodes {
				if node.Addr == addr {
					return node
				}
			}
		}
	}
	t.Fatalf("devstack: no sentinel names a master")
	return nil
}

func (s *Sentinel) ask(one *Redis) string {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	c := redis.NewSentinelClient(&redis.Options{Addr: one.Addr, Password: one.Password, ContextTimeoutEnabled: true, DialerRetries: 1, MaxRetries: -1})
	defer c.Close()
	parts, err := c.GetMasterAddrByName(ctx, masterName).Result()
	if err != nil {
		return ""
	}
	return strings.Join(parts, ":")
}

// waitFor polls until holds says yes; half a minute without is a failure of the test.
func waitFor(t TB, what string, holds func(context.Context) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for !holds(ctx) {
		select {
		case <-ctx.Done():
			t.Fatalf("devstack: waited 30 s for %s", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
