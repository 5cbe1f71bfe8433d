package prices

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed scripts/publish.lua
var publishSource string

var publishScript = redis.NewScript(publishSource)

// perPublish bounds the ticks in one call of the script, and with it how long Redis is busy.
const perPublish = 500

// publish sends ticks that were screened. token proves the lead of feed; without one no lead is needed.
// It returns the places of those that were not newer than what another sent.
func (b *bus) publish(ctx context.Context, feed, token string, ticks []Tick) (dropped []int, err error) {
	ctx, cancel := context.WithTimeout(ctx, leaseTerm)
	defer cancel()
	command := "PUBLISH"
	if b.shard {
		command = "SPUBLISH"
	}
	pipe, parts := b.rdb.Pipeline(), []*redis.Cmd(nil)
	for at := 0; at < len(ticks); at += perPublish {
		parts = append(parts, publishScript.EvalSha(ctx, pipe, []string{keyLead + feed, keyLast}, b.arguments(token, command, ticks[at:min(at+perPublish, len(ticks))])...))
	}
	_, _ = pipe.Exec(ctx) // each part has its own error
	for k, part := range parts {
		at := k * perPublish
		if redis.HasErrorPrefix(part.Err(), "NOSCRIPT") { // this node has not seen it yet
			part = publishScript.Run(ctx, b.rdb, []string{keyLead + feed, keyLast}, b.arguments(token, command, ticks[at:min(at+perPublish, len(ticks))])...)
		}
		answer, err := part.Slice()
		if err != nil {
			if strings.HasPrefix(err.Error(), "FENCED") {
				return nil, errLeaseLost
			}
			return nil, fmt.Errorf("prices: publish: %w", err)
		}
		message, _ := answer[0].(string)
		b.hearOwn(message)
		places, _ := answer[1].([]any)
		for _, p := range places {
			if place, ok := p.(int64); ok {
				dropped = append(dropped, at+int(place))
			}
		}
	}
	return dropped, nil
}

// arguments are those of publish.lua.
func (b *bus) arguments(token, command string, ticks []Tick) []any {
	lines := make([]byte, 0, 64*len(ticks))
	for i := range ticks {
		t := &ticks[i]
		q, _ := b.book.Quote(t.Symbol)
		lines = appendLine(lines, Quote{Symbol: t.Symbol, Price: t.Price, At: t.At, N: q.N, Source: t.Source})
		lines = append(lines, '\n')
	}
	return []any{token, command, channelTicks, lines}
}

// take keeps the newest of each symbol until the next publication of feed: a slow Redis conflates, and
// nothing queues.
func (b *bus) take(feed string, ticks []Tick) {
	b.mu.Lock()
	defer b.mu.Unlock()
	waiting := b.pending[feed]
	if waiting == nil {
		waiting = map[Symbol]Tick{}
		b.pending[feed] = waiting
	}
	for _, t := range ticks {
		if t.At.After(waiting[t.Symbol].At) {
			waiting[t.Symbol] = t
		}
	}
}

// depth is how many ticks wait for their publication: one of each symbol and feed at most.
func (b *bus) depth() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, waiting := range b.pending {
		n += len(waiting)
	}
	return n
}

// gather is how long ticks of a feed wait to be joined into one message.
const gather = 10 * time.Millisecond

// carry publishes what take gathered until ctx ends or another server leads.
func (b *bus) carry(ctx context.Context, feed, token string) error {
	waits := false
	for sleep(ctx, gather) == nil {
		b.mu.Lock()
		waiting := b.pending[feed]
		delete(b.pending, feed)
		b.mu.Unlock()
		if len(waiting) == 0 {
			continue
		}
		ticks := make([]Tick, 0, len(waiting))
		for _, t := range waiting {
			ticks = append(ticks, t)
		}
		slices.SortFunc(ticks, func(a, b Tick) int { return a.At.Compare(b.At) })
		_, err := b.publish(ctx, feed, token, ticks)
		if errors.Is(err, errLeaseLost) {
			return err
		}
		if err != nil {
			b.take(feed, ticks) // those to which nothing newer has come
		}
		if failed := err != nil && ctx.Err() == nil; failed != waits {
			waits = failed
			b.log.Warn("prices: ticks on their way to the other servers", "feed", feed, "wait", waits, "err", err)
		}
	}
	return nil
}

// maxOwn bounds the messages that are waited for; one that is forgotten is read twice, which changes nothing.
const maxOwn = 64

// hearOwn applies a message of this server at once, without waiting for the subscription.
func (b *bus) hearOwn(message string) {
	b.hear(message)
	if message == "" {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.own) == maxOwn {
		b.own = append(b.own[:0], b.own[1:]...)
	}
	b.own = append(b.own, message)
}

// isOwn says whether message was applied by hearOwn already. Messages come in the order in which they were published,
// so those before it were lost on the way.
func (b *bus) isOwn(message string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.Index(b.own, message)
	if i < 0 {
		return false
	}
	b.own = append(b.own[:0], b.own[i+1:]...)
	return true
}
