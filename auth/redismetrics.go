package auth

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
)

// redisFigures are Redis' own, asked for when somebody looks; where it does not answer they are absent, and the breaker's
// gauge says why.
type redisFigures struct {
	rdb                       redis.UniversalClient
	used, limit, hits, misses *prometheus.Desc
}

const redisFiguresTimeout = 300 * time.Millisecond

func newRedisFigures(rdb redis.UniversalClient) *redisFigures {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("rosetree_auth_redis_"+name, help, []string{"redis"}, nil)
	}
	return &redisFigures{rdb: rdb,
		used:   desc("memory_bytes", "Memory that Redis uses, by master."),
		limit:  desc("memory_max_bytes", "Redis' maxmemory, or its machine's memory where none is set."),
		hits:   desc("hits_total", "Keys that were asked for and there."),
		misses: desc("misses_total", "Keys that were asked for and not there."),
	}
}

// Describe names the figures.
func (f *redisFigures) Describe(to chan<- *prometheus.Desc) {
	to <- f.used
	to <- f.limit
	to <- f.hits
	to <- f.misses
}

// Collect asks every master.
func (f *redisFigures) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), redisFiguresTimeout)
	defer cancel()
	var mu sync.Mutex // ForEachMaster asks them side by side
	_ = eachMaster(ctx, f.rdb, func(ctx context.Context, master *redis.Client) error {
		info, err := master.InfoMap(ctx, "memory", "stats").Result()
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		f.report(to, master.Options().Addr, info)
		return nil
	})
}

func (f *redisFigures) report(to chan<- prometheus.Metric, addr string, info map[string]map[string]string) {
	figure := func(section, name string) float64 {
		v, _ := strconv.ParseFloat(strings.TrimSpace(info[section][name]), 64)
		return v
	}
	limit := figure("Memory", "maxmemory")
	if limit == 0 {
		limit = figure("Memory", "total_system_memory")
	}
	to <- prometheus.MustNewConstMetric(f.used, prometheus.GaugeValue, figure("Memory", "used_memory"), addr)
	to <- prometheus.MustNewConstMetric(f.limit, prometheus.GaugeValue, limit, addr)
	to <- prometheus.MustNewConstMetric(f.hits, prometheus.CounterValue, figure("Stats", "keyspace_hits"), addr)
	to <- prometheus.MustNewConstMetric(f.misses, prometheus.CounterValue, figure("Stats", "keyspace_misses"), addr)
}

// eachMaster calls do with the one server of a client, or with every master of a cluster.
func eachMaster(ctx context.Context, rdb redis.UniversalClient, do func(context.Context, *redis.Client) error) error {
	if cluster, many := rdb.(*redis.ClusterClient); many {
		return cluster.ForEachMaster(ctx, do)
	}
	return do(ctx, rdb.(*redis.Client))
}
