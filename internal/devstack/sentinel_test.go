package devstack

import (
	"context"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

func TestSentinelsReplaceAMasterThatDied(t *testing.T) {
	s := Test(t).StartSentinel(t)
	first := s.Master(t)
	if first != s.Nodes[0] {
		t.Fatalf("the first master is %s", first.Addr)
	}
	first.Kill(t)
	waitFor(t, "another master", func(ctx context.Context) bool {
		return s.Master(t) != first && s.Master(t).Client(t).Set(ctx, "k", "v", 0).Err() == nil
	})
	first.Restart(t, true)
	waitFor(t, "the old master to follow", func(ctx context.Context) bool {
		info, _ := first.Client(t).Info(ctx, "replication").Result()
		return strings.Contains(info, "role:slave") && strings.Contains(info, "master_link_status:up")
	})
}

func TestAClusterServesAllSlotsAndSurvivesAMaster(t *testing.T) {
	c := Test(t).StartCluster(t)
	var addrs []string
	for _, n := range c.Nodes {
		addrs = append(addrs, n.Addr)
	}
	rdb := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs, Password: c.Nodes[0].Password, ContextTimeoutEnabled: true})
	defer rdb.Close()
	for _, key := range []string{"a", "b", "c", "d"} {
		if err := rdb.Set(t.Context(), key, key, 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	c.Nodes[0].Kill(t)
	heir := c.Nodes[3].Client(t)
	waitFor(t, "the replica to take over", func(ctx context.Context) bool {
		info, _ := heir.ClusterInfo(ctx).Result()
		role, _ := heir.Info(ctx, "replication").Result()
		return strings.Contains(info, "cluster_state:ok") && strings.Contains(role, "role:master")
	})
	c.Nodes[0].Restart(t, true)
	waitFor(t, "the old master to follow", func(ctx context.Context) bool {
		role, _ := c.Nodes[0].Client(t).Info(ctx, "replication").Result()
		return strings.Contains(role, "role:slave")
	})
}
