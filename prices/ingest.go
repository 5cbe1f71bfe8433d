package prices

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// ingest reads ticks that other programs add to a Redis stream:
//
//	XADD prices:ingest MAXLEN ~ 100000 * s AAPL p 189.12 t 1790000000123
//
// t may be left out; then the entry's own time counts. What is read is remembered in Redis, so that
// the server that takes over goes on where the last one stopped.
type ingest struct {
	rdb  redis.UniversalClient
	deps feedDeps
}

func (f *ingest) Name() string { return postedSource }

const ingestBatch = 1000

// Run reads until ctx ends.
func (f *ingest) Run(ctx context.Context, emit func([]Tick)) error {
	last, err := f.rdb.Get(ctx, keyIngestRead).Result()
	if errors.Is(err, redis.Nil) {
		last, err = "$", nil
	}
	if err != nil {
		return fmt.Errorf("ingest: where to go on: %w", err)
	}
	for ctx.Err() == nil {
		entries, err := f.next(ctx, last)
		if err != nil {
			return err
		}
		if len(entries) == 0 {
			continue
		}
		ticks := make([]Tick, 0, len(entries))
		for _, entry := range entries {
			if t, why := ingested(entry); why == believed {
				ticks = append(ticks, t)
			} else {
				f.deps.malformed()
			}
		}
		if len(ticks) > 0 {
			emit(ticks)
		}
		last = entries[len(entries)-1].ID
		if err := f.rdb.Set(ctx, keyIngestRead, last, 0).Err(); err != nil {
			return fmt.Errorf("ingest: remember: %w", err)
		}
	}
	return nil
}

// next waits for entries after last. "$" is what comes from now on.
func (f *ingest) next(ctx context.Context, last string) ([]redis.XMessage, error) {
	streams, err := f.rdb.XRead(ctx, &redis.XReadArgs{Streams: []string{keyIngest, last}, Count: ingestBatch, Block: time.Second}).Result()
	if errors.Is(err, redis.Nil) || ctx.Err() != nil {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("ingest: read: %w", err)
	}
	return streams[0].Messages, nil
}

// ingested is the tick that an entry says.
func ingested(m redis.XMessage) (Tick, refusal) {
	text := func(field string) string { s, _ := m.Values[field].(string); return s }
	posted := postedTick{Symbol: text("s"), Price: text("p")}
	at := text("t")
	if at == "" {
		at = m.ID // 1790000000123-0
		for i := range at {
			if at[i] == '-' {
				at = at[:i]
				break
			}
		}
	}
	ms, err := strconv.ParseInt(at, 10, 64)
	if err != nil || ms <= 0 {
		return Tick{}, notNumber
	}
	posted.Time = ms
	return posted.tick(time.Time{})
}
