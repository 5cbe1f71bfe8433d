package prices_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rosetree/auth"
	"rosetree/internal/devstack"
	"rosetree/prices"
)

// In a cluster batches go by sharded pub/sub: to the node that holds the slot, and not to all of them.
func TestServersShareTheirPricesOverAClusterOfSixNodes(t *testing.T) {
	c, p := devstack.Test(t).StartCluster(t), newPeople(t)
	var nodes []*node
	var ears []*ear
	for range 2 {
		rdb, err := auth.OpenRedis(c.URL)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { rdb.Close() })
		var e *ear
		nodes = append(nodes, startOn(t, rdb, p.feed, "sim?rate=20&symbols=BTC-USD,ingest", func(s *prices.Service) { e = p.listen(s) }))
		ears = append(ears, e)
	}
	until(t, "both have the leader's prices", func() bool {
		return len(nodes[0].quotes("BTC-USD")) > 20 && len(nodes[1].quotes("BTC-USD")) > 20
	})
	slots, sharded := 0, int64(0)
	for _, n := range c.Nodes {
		on, err := n.Client(t).PubSubShardNumSub(t.Context(), "{prices}:ticks").Result()
		if err != nil {
			t.Fatal(err)
		}
		if on["{prices}:ticks"] > 0 {
			slots, sharded = slots+1, sharded+on["{prices}:ticks"]
		}
		if plain, _ := n.Client(t).PubSubNumSub(t.Context(), "{prices}:ticks").Result(); plain["{prices}:ticks"] != 0 {
			t.Error("somebody listens to the whole cluster")
		}
	}
	if slots != 1 || sharded != 2 {
		t.Errorf("%d subscriptions on %d nodes, want 2 on the one that holds the slot", sharded, slots)
	}
	byN := map[uint64]prices.Quote{}
	for _, q := range nodes[0].quotes("BTC-USD") {
		byN[q.N] = q
	}
	for _, q := range nodes[1].quotes("BTC-USD") {
		if other, ok := byN[q.N]; ok && q.N > 1 && !other.Price.Equal(q.Price) {
			t.Fatalf("n %d is %s on one server and %s on the other", q.N, q.Price, other.Price)
		}
	}

	var i prices.Instrument
	ask(t, serve(t, nodes[0].Service), "PUT", "/api/instruments/ACME", `{"currency":"USD","kind":"crypto"}`, &i)
	until(t, "the other server learns of it", func() bool { _, ok := nodes[1].Book.Instrument("ACME"); return ok })
	ana := p.join(t)
	do[prices.Alert](t, nodes[0].Service, ana, "alert.add", map[string]any{"symbol": "ACME", "kind": "above", "threshold": "100"})
	trade(t, nodes[1].Service, "ACME", "101")
	for _, e := range ears {
		until(t, "each server tells the alert", func() bool { return len(e.firings(ana.ID)) == 1 })
	}

	holder := slotHolder(t, c)
	before := len(nodes[0].quotes("BTC-USD"))
	c.Nodes[holder].Kill(t)
	until(t, "prices go on from the replica of the node that died", func() bool {
		return len(nodes[0].quotes("BTC-USD")) > before+20 && nodes[1].Book.Freshness("BTC-USD", time.Now()) == prices.Live
	})
	for k, n := range nodes {
		n.orderly(t, fmt.Sprint("server ", k))
	}
}

// slotHolder is the node that holds the slot of our keys.
func slotHolder(t testing.TB, c *devstack.Cluster) int {
	t.Helper()
	for i, n := range c.Nodes[:3] {
		if err := n.Client(t).Get(t.Context(), "{prices}:lead:sim").Err(); err == nil || err == redis.Nil {
			return i
		}
	}
	t.Fatal("no master holds the slot")
	return 0
}
