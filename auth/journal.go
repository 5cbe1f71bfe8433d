package auth

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// journal is where a revocation waits that PostgreSQL could not take: in Redis, before its caller is answered, so that it
// outlives the server that made it and reaches all others at once. Every server that reads an entry keeps it in
// memory as well; whoever reaches PostgreSQL first moves it there.
type journal struct {
	// fixed after newJournal
	rdb     redis.UniversalClient
	breaker func() *breaker
	channel string   // an event on it says that there is news
	keys    [][]byte // sign entries: who can write to Redis must not be able to revoke for good
	heard   func(*revocation)
	log     *slog.Logger
	kick    chan struct{}

	mu    sync.Mutex
	known map[string]*entry // guarded by mu: by its text in Redis
}

type entry struct {
	row     *revocation
	seen    time.Time
	durable bool // PostgreSQL has it: Redis need not
	foreign bool // not signed by us
}

const (
	journalEvery = 500 * time.Millisecond // between two reads, whatever events come
	journalMost  = 10_000                 // PostgreSQL has been away for too long then
	journalKeep  = time.Minute            // how long an entry that Redis no longer has is remembered
)

func newJournal(rdb redis.UniversalClient, channel string, keys [][]byte, log *slog.Logger) *journal {
	return &journal{rdb: rdb, channel: channel, keys: keys, log: log, heard: func(*revocation) {}, kick: make(chan struct{}, 1), known: map[string]*entry{}}
}

// add writes r down. Without an error it is as durable as Redis is.
func (j *journal) add(ctx context.Context, r *revocation) error {
	raw, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("auth: journal: %w", err)
	}
	text := sign(j.keys[0], string(raw)) + string(raw)
	if err := j.keep(text, r); err != nil {
		return err
	}
	return j.put(ctx, text, r)
}

// parse reads an entry; false where it is not signed by one of our keys.
func (j *journal) parse(text string) (*revocation, bool) {
	at := strings.IndexByte(text, '{')
	if at < 0 || !signedBy(j.keys, text[at:], text[:at]) {
		return nil, false
	}
	r := new(revocation)
	return r, json.Unmarshal([]byte(text[at:]), r) == nil
}

// keep remembers an entry of our own before others can read it.
func (j *journal) keep(text string, r *revocation) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.known) >= journalMost {
		return errQueueFull
	}
	j.known[text] = &entry{row: r, seen: time.Now()}
	return nil
}

func (j *journal) put(ctx context.Context, text string, r *revocation) error {
	err := j.breaker().try(context.WithoutCancel(ctx), func(ctx context.Context) error {
		return j.rdb.ZAdd(ctx, journalKey, redis.Z{Score: float64(r.At.UnixMilli()), Member: text}).Err()
	})
	if err != nil {
		return fmt.Errorf("auth: journal: %w", err)
	}
	// Who misses this reads it half a second later.
	_ = j.breaker().try(context.WithoutCancel(ctx), func(ctx context.Context) error {
		return j.rdb.Publish(ctx, j.channel, "journal").Err()
	})
	return nil
}

// news has the journal read now.
func (j *journal) news() {
	select {
	case j.kick <- struct{}{}:
	default:
	}
}

// run reads the journal until ctx ends.
func (j *journal) run(ctx context.Context) {
	tick := time.NewTicker(journalEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-j.kick:
		case <-tick.C:
		}
		_ = j.read(ctx) // a Redis that does not answer is known to its breaker
	}
}

// read believes what other servers wrote down, takes out what PostgreSQL has, and puts back what a Redis that lost some of
// its past no longer has.
func (j *journal) read(ctx context.Context) error {
	began := time.Now()
	var texts []string
	err := j.breaker().try(ctx, func(ctx context.Context) (err error) {
		texts, err = j.rdb.ZRange(ctx, journalKey, 0, -1).Result()
		return err
	})
	if err != nil {
		return fmt.Errorf("auth: journal: %w", err)
	}
	fresh, over, lost := j.compare(texts, began)
	for _, r := range fresh {
		j.heard(r)
	}
	for text, r := range lost {
		if err := j.put(ctx, text, r); err != nil {
			return err
		}
	}
	if len(over) == 0 {
		return nil
	}
	return j.breaker().try(ctx, func(ctx context.Context) error { return j.rdb.ZRem(ctx, journalKey, over...).Err() })
}

// compare takes what Redis held at a moment.
func (j *journal) compare(texts []string, began time.Time) (fresh []*revocation, over []any, lost map[string]*revocation) {
	j.mu.Lock()
	defer j.mu.Unlock()
	there := make(map[string]bool, len(texts))
	for _, text := range texts {
		there[text] = true
		switch e := j.known[text]; {
		case e != nil && e.durable:
			over = append(over, text)
		case e != nil:
			e.seen = began
		default:
			r, ours := j.parse(text)
			j.known[text] = &entry{row: r, seen: began, foreign: !ours}
			if !ours {
				j.log.Error("revocations: Redis holds an entry in " + journalKey + " that none of our SECRET_KEYs has signed; it does not count")
				continue
			}
			fresh = append(fresh, r)
		}
	}
	return fresh, over, j.missing(there, began)
}

// missing are the entries that Redis has lost. The caller holds mu.
func (j *journal) missing(there map[string]bool, began time.Time) map[string]*revocation {
	lost := map[string]*revocation{}
	for text, e := range j.known {
		switch {
		case there[text]:
		case e.foreign, e.durable:
			if began.Sub(e.seen) > journalKeep {
				delete(j.known, text)
			}
		case e.seen.Before(began): // one that is being written is younger
			lost[text] = e.row
		}
	}
	return lost
}

// unwritten are up to n entries that PostgreSQL does not have, and how many there are.
func (j *journal) unwritten(n int) (rows map[string]*revocation, all int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	rows = map[string]*revocation{}
	for text, e := range j.known {
		if e.durable || e.foreign {
			continue
		}
		if all++; len(rows) < n {
			rows[text] = e.row
		}
	}
	return rows, all
}

// written notes that PostgreSQL has these entries; the next read takes them out of Redis.
func (j *journal) written(rows map[string]*revocation) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for text := range rows {
		if e := j.known[text]; e != nil {
			e.durable = true
		}
	}
	j.news()
}

// wrote is written for one row.
func (j *journal) wrote(r *revocation) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range j.known {
		if e.row == r {
			e.durable = true
		}
	}
	j.news()
}
