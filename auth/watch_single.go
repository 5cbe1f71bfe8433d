package auth

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
)

// newWatcher makes the watcher for whatever rdb leads to: one server (also behind sentinels) or a cluster.
func newWatcher(cfg watchConfig, rdb redis.UniversalClient, denied denials, log *slog.Logger, reg prometheus.Registerer) *watcher {
	w := &watcher{cfg: cfg.withDefaults(), rdb: rdb, denied: denied, log: log, met: newWatchMetrics(reg),
		reads: newReader(rdb), sessions: map[SessionID]*watched{}, users: map[UserID]map[SessionID]*watched{},
		observe: func(Principal, string, []time.Time) {}, regain: func(context.Context, *redis.Client) error { return nil },
		probe: func(context.Context, *node) error { return nil }, consult: func(p Principal) bool { return p.Via != ViaLegacy }, journal: func() {}}
	w.reads.hint = w.answerHint
	switch client := rdb.(type) {
	case *redis.ClusterClient:
		w.place = newCluster(w, client)
	case *redis.Client:
		w.place = newSingle(w, client)
	default: // go-redis has a third one, which spreads keys over servers that know nothing of each other
		panic(fmt.Sprintf("auth: sessions cannot live in a %T", rdb))
	}
	return w
}

// single places every session on the one server that there is. Behind sentinels a new connection goes to
// whoever is master then; the canary notices when that has changed.
type single struct{ node *node }

func newSingle(w *watcher, client *redis.Client) single {
	opt := client.Options()
	w.prefix = keyspacePrefix(opt.DB)
	n := newNode(w, opt.Addr, func() string { return canaryPrefix },
		func(context.Context, string) (*redis.Client, error) { return client, nil })
	n.many = true
	return single{n}
}

func keyspacePrefix(db int) string { return "__keyspace@" + strconv.Itoa(db) + "__:" }

func (s single) nodeFor(string) *node { return s.node }
func (s single) all() []*node         { return []*node{s.node} }

func (s single) run(ctx context.Context) error {
	s.node.run(ctx)
	return ctx.Err()
}
