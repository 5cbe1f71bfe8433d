package devstack

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
)

const slots = 16384

// Cluster is a Redis Cluster of three masters, each with one replica.
type Cluster struct {
	URL   string   // redis+cluster://…
	Nodes []*Redis // three masters, then their replicas in the same order, as it was at the start
}

// StartCluster starts one and waits until every node finds it whole.
func (e *Env) StartCluster(t TB) *Cluster {
	t.Helper()
	password := rand.Text()
	c := &Cluster{}
	for range 6 {
		c.Nodes = append(c.Nodes, e.startClusterNode(t, password))
	}
	if err := joinCluster(context.Background(), c.Nodes); err != nil {
		t.Fatalf("devstack: make the cluster: %v", err)
	}
	c.URL = clusterURL(password, c.Nodes)
	return c
}

// startClusterNode starts a node. The port of the bus is given, because the usual one (10000 more) may
// be no port at all.
func (e *Env) startClusterNode(t TB, password string) *Redis {
	t.Helper()
	bus, err := freePort(0)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return e.startRedis(t, redisSpec{password: password, settings: clusterNode(bus)})
}

func clusterNode(bus int) map[string]string {
	return map[string]string{
		"cluster-enabled": "yes", "cluster-port": strconv.Itoa(bus), "cluster-node-timeout": "1500",
		"notify-keyspace-events": "Kgxe", "save": `""`, "repl-diskless-sync-delay": "0",
		"repl-ping-replica-period": "1", // a replica is listed once it has heard something: at the first ping
		// On a starved machine votes come too late, and after 16 s a replica would think its data too old to stand again.
		"cluster-replica-validity-factor": "0",
	}
}

// startStackCluster starts a Redis Cluster for a stack, in folders below servers. It begins empty each time: a cluster's
// nodes know each other by ports, which another program may have taken since. Who was logged in logs in again.
func startStackCluster(ctx context.Context, servers string, as *account, password string) (nodes []*Redis, err error) {
	defer func() {
		if err != nil {
			endNodes(nodes)
		}
	}()
	for i := range 6 {
		spec := redisSpec{dir: filepath.Join(servers, "redis-"+strconv.Itoa(i+1)), as: as, password: password}
		if err := endLeftover(leftRedis(spec.dir), syscall.SIGKILL); err != nil {
			return nodes, err
		}
		if err := errors.Join(os.RemoveAll(spec.dir), os.Mkdir(spec.dir, 0o700)); err != nil {
			return nodes, fmt.Errorf("devstack: %w", err)
		}
		bus, err := freePort(0)
		if err != nil {
			return nodes, err
		}
		spec.settings = clusterNode(bus)
		server, err := startRedis(ctx, spec)
		if err != nil {
			return nodes, err
		}
		nodes = append(nodes, &Redis{Addr: loopback(server.port), Password: password, spec: spec, server: server})
	}
	return nodes, joinCluster(ctx, nodes)
}

func endNodes(nodes []*Redis) error {
	var g errgroup.Group
	for _, n := range nodes {
		g.Go(n.server.shutdown)
	}
	return g.Wait()
}

func clusterURL(password string, nodes []*Redis) string {
	addrs := make([]string, len(nodes))
	for i, n := range nodes {
		addrs[i] = n.Addr
	}
	return "redis+cluster://:" + password + "@" + strings.Join(addrs, ",")
}

// joinCluster makes a Redis Cluster of running nodes: the first half are masters, which share the
// slots; each of the others follows one of them.
func joinCluster(ctx context.Context, nodes []*Redis) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	masters := len(nodes) / 2
	clients := make([]*redis.Client, len(nodes))
	for i, n := range nodes {
		clients[i] = redis.NewClient(&redis.Options{Addr: n.Addr, Password: n.Password, ContextTimeoutEnabled: true})
		defer clients[i].Close()
	}
	for i, c := range clients {
		if err := c.Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err(); err != nil {
			return err
		}
		if i < masters {
			if err := c.ClusterAddSlotsRange(ctx, slots*i/masters, slots*(i+1)/masters-1).Err(); err != nil {
				return err
			}
		}
		if err := meet(ctx, c, nodes[0]); err != nil {
			return err
		}
	}
	for i, c := range clients {
		if err := poll(ctx, func() bool { return known(ctx, c) == len(nodes) }); err != nil {
			return fmt.Errorf("node %d does not know the others: %w", i, err)
		}
	}
	for i, c := range clients[masters:] {
		id, err := clients[i].ClusterMyID(ctx).Result()
		if err != nil {
			return err
		}
		if err := poll(ctx, func() bool { return c.ClusterReplicate(ctx, id).Err() == nil }); err != nil {
			return fmt.Errorf("node %d does not follow its master: %w", masters+i, err)
		}
	}
	for i, c := range clients {
		if err := poll(ctx, func() bool { return whole(ctx, c, masters) }); err != nil {
			return fmt.Errorf("node %d does not find the cluster whole: %w", i, err)
		}
	}
	return nil
}

// meet introduces the node of c to first, whose bus is not on its usual port.
func meet(ctx context.Context, c *redis.Client, first *Redis) error {
	host, port, _ := strings.Cut(first.Addr, ":")
	return c.Do(ctx, "CLUSTER", "MEET", host, port, first.spec.settings["cluster-port"]).Err()
}

func known(ctx context.Context, c *redis.Client) int {
	info, _ := c.ClusterInfo(ctx).Result()
	_, rest, _ := strings.Cut(info, "cluster_known_nodes:")
	digits, _, _ := strings.Cut(rest, "\r")
	n, _ := strconv.Atoi(digits)
	return n
}

// whole tells whether c sees all slots served, and every master with its replica in step.
func whole(ctx context.Context, c *redis.Client, masters int) bool {
	info, err := c.ClusterInfo(ctx).Result()
	if err != nil || !strings.Contains(info, "cluster_state:ok") {
		return false
	}
	// The old CLUSTER SLOTS and not SHARDS: it is what clients read, and it lists a replica later.
	ranges, err := c.Do(ctx, "CLUSTER", "SLOTS").Slice()
	if err != nil || len(ranges) != masters {
		return false
	}
	for _, r := range ranges {
		if one, _ := r.([]any); len(one) != 4 { // first slot, last slot, master, replica
			return false
		}
	}
	replication, err := c.Info(ctx, "replication").Result()
	return err == nil && (strings.Contains(replication, "master_link_status:up") || strings.Contains(replication, "connected_slaves:1"))
}

func poll(ctx context.Context, holds func() bool) error {
	for !holds() {
		select {
		case <-ctx.Done():
			return errors.New("waited 30 s")
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}
