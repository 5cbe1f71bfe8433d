package portfolio

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"rosetree/auth"
)

// outbox is what this server has published and PostgreSQL still keeps a row of. Rows are taken away a
// little after their publish, many at once; what a server that died has not published stays.
type outbox struct {
	mu   sync.Mutex
	told map[key]int64 // the newest version that Redis took
}

func (o *outbox) published(batch []news) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.told == nil {
		o.told = map[key]int64{}
	}
	for _, n := range batch {
		k := key{n.User, n.Portfolio}
		o.told[k] = max(o.told[k], n.Version)
	}
}

func (o *outbox) take() map[key]int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	told := o.told
	o.told = nil
	return told
}

const (
	sweepEvery = 100 * time.Millisecond
	sweepBatch = 1000
	// sweepAge is when a row counts as one that nobody publishes: a few rounds of clearOutbox. A row that is
	// published twice does no harm, so that a server may be slower than this.
	sweepAge = 400 * time.Millisecond
)

// sweepOutbox passes on what nobody published: writes by psql, and of servers that died or could not
// reach Redis. Rows are deleted only once Redis has them.
func (s *Service) sweepOutbox(ctx context.Context) error {
	return every(ctx, sweepEvery, func() {
		if err := s.clearOutbox(ctx); err != nil && ctx.Err() == nil {
			s.log.Debug("portfolio: outbox not cleared of what is published", "error", err) // it will be published once more
		}
		if err := s.sweep(ctx); err != nil && ctx.Err() == nil {
			s.log.Debug("portfolio: outbox not swept", "error", err)
		}
	})
}

// clearOutbox deletes the rows of what this server has published. Who reads a portfolio at one version
// has read all before it, so that older rows go as well.
func (s *Service) clearOutbox(ctx context.Context) error {
	told := s.outbox.take()
	if len(told) == 0 {
		return nil
	}
	users, ids, versions := make([]string, 0, len(told)), make([]string, 0, len(told)), make([]int64, 0, len(told))
	for k, version := range told {
		users, ids, versions = append(users, string(k.user)), append(ids, string(k.id)), append(versions, version)
	}
	var b pgx.Batch
	b.Queue(`DELETE FROM app.portfolio_outbox o USING unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS n(user_id, portfolio_id, version)
		WHERE o.user_id = ANY ($1::uuid[]) AND o.user_id = n.user_id AND o.portfolio_id = n.portfolio_id AND o.version <= n.version`, users, ids, versions)
	return s.db.Service(auth.ServiceRelay).Do(ctx, &b)
}

func (s *Service) sweep(ctx context.Context) error {
	waiting := false
	var b pgx.Batch
	b.Queue(`SELECT COALESCE((SELECT at FROM app.portfolio_outbox ORDER BY id LIMIT 1) < clock_timestamp() - $1::interval, false)`, sweepAge).QueryRow(func(row pgx.Row) error { return row.Scan(&waiting) })
	if err := s.db.Service(auth.ServiceRelay).Do(ctx, &b); err != nil || !waiting {
		return err
	}
	return s.db.Service(auth.ServiceRelay).Tx(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `DELETE FROM app.portfolio_outbox WHERE pg_try_advisory_xact_lock(hashtextextended('rosetree.outbox', 0))
			AND id IN (SELECT id FROM app.portfolio_outbox WHERE at < clock_timestamp() - $2::interval ORDER BY id LIMIT $1) RETURNING user_id, portfolio_id, version`, sweepBatch, sweepAge)
		if err != nil {
			return err
		}
		found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (n news, err error) {
			return n, row.Scan(&n.User, &n.Portfolio, &n.Version)
		})
		if err != nil || len(found) == 0 {
			return err
		}
		s.metrics.swept.Add(float64(len(found)))
		found = newest(found)
		for _, n := range found {
			s.hear(n)
		}
		return s.send(ctx, found)
	})
}

// newest keeps the last version of each portfolio.
func newest(list []news) []news {
	last := map[key]int{}
	out := list[:0:0]
	for _, n := range list {
		k := key{n.User, n.Portfolio}
		if i, seen := last[k]; seen {
			out[i].Version = max(out[i].Version, n.Version)
			continue
		}
		last[k] = len(out)
		out = append(out, n)
	}
	return out
}
