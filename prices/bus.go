package prices

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// bus carries believed ticks to every server, this one included, in one order: publish.lua numbers
// them. A server applies only what went through it, so that n is the same everywhere.
type bus struct {
	rdb    redis.UniversalClient
	book   *Book
	reload func() // another server changed an instrument or its history
	told   func(hint)
	log    *slog.Logger
	shard  bool // sharded pub/sub, which a cluster needs to scale

	mu      sync.Mutex
	pending map[string]map[Symbol]Tick // by feed: the newest of each symbol that waits
	own     []string                   // messages of this server that its subscription will bring again
}

func newBus(rdb redis.UniversalClient, book *Book, reload func(), told func(hint), log *slog.Logger) *bus {
	_, cluster := rdb.(*redis.ClusterClient)
	return &bus{rdb: rdb, book: book, reload: reload, told: told, log: log, shard: cluster, pending: map[string]map[Symbol]Tick{}}
}

// changed tells the other servers that they must read symbol again.
func (b *bus) changed(ctx context.Context, symbol Symbol) error {
	return b.say(ctx, "!"+string(symbol))
}

// say sends a message to all servers.
func (b *bus) say(ctx context.Context, message string) error {
	if b.shard {
		return b.rdb.SPublish(ctx, channelTicks, message).Err()
	}
	return b.rdb.Publish(ctx, channelTicks, message).Err()
}

// listen applies what is published until ctx ends. Each new subscription starts from the snapshot,
// because what was published in between is lost.
func (b *bus) listen(ctx context.Context) error {
	for ctx.Err() == nil {
		err := b.subscribe(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if !b.book.cut.Swap(true) {
			b.log.Warn("prices: cannot hear the other servers; prices are stale until Redis is back", "err", err)
		}
		if cluster, ok := b.rdb.(*redis.ClusterClient); ok {
			cluster.ReloadState(ctx) // it would look for a replica that took over only after a minute
		}
		if sleep(ctx, 250*time.Millisecond) != nil {
			return nil
		}
	}
	return nil
}

// quiet is how long nothing may be heard before the subscription is asked for a pong.
const quiet = 500 * time.Millisecond

// subscribe works on one subscription until it fails.
func (b *bus) subscribe(ctx context.Context) error {
	sub := b.rdb.Subscribe(ctx)
	if b.shard {
		sub = b.rdb.SSubscribe(ctx)
	}
	defer sub.Close()
	defer context.AfterFunc(ctx, func() { sub.Close() })() // a receive does not end with ctx by itself
	var err error
	if b.shard {
		err = sub.SSubscribe(ctx, channelTicks)
	} else {
		err = sub.Subscribe(ctx, channelTicks)
	}
	if err != nil {
		return err
	}
	for asked := 0; ; {
		message, err := sub.ReceiveTimeout(ctx, quiet)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			asked = 0
		case asked < 2 && isTimeout(err):
			if err := sub.Ping(ctx); err != nil {
				return err
			}
			asked++
			continue
		default:
			return err
		}
		switch m := message.(type) {
		case *redis.Subscription:
			if err := b.snapshot(ctx); err != nil {
				return err
			}
			if b.book.cut.Swap(false) {
				b.log.Info("prices: the other servers are heard again")
			}
		case *redis.Message:
			if !b.isOwn(m.Payload) {
				b.hear(m.Payload)
			}
		}
	}
}

func isTimeout(err error) bool {
	t, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	return ok && t.Timeout()
}

// snapshot reads the last price of every symbol.
func (b *bus) snapshot(ctx context.Context) error {
	last, err := b.rdb.HGetAll(ctx, keyLast).Result()
	if err != nil {
		return fmt.Errorf("prices: snapshot: %w", err)
	}
	quotes := make([]Quote, 0, len(last))
	for symbol, value := range last {
		if q, ok := readLine(symbol + " " + value); ok {
			quotes = append(quotes, q)
		}
	}
	b.book.accept(quotes)
	return nil
}

// hear applies one message: lines of quotes, "!SYMBOL" for one that changed, or "~" and a hint.
func (b *bus) hear(message string) {
	if strings.HasPrefix(message, personalPrefix) {
		if h, ok := parseHint(message); ok {
			b.told(h)
		}
		return
	}
	if strings.HasPrefix(message, "!") {
		b.reload()
		return
	}
	quotes := make([]Quote, 0, strings.Count(message, "\n")+1)
	for line := range strings.SplitSeq(message, "\n") {
		if q, ok := readLine(line); ok {
			quotes = append(quotes, q)
		}
	}
	b.book.accept(quotes)
}

// A line is "SYMBOL n ms price source", in messages and, without the symbol, in the snapshot.
func appendLine(to []byte, q Quote) []byte {
	to = append(append(to, q.Symbol...), ' ')
	to = append(strconv.AppendUint(to, q.N, 10), ' ')
	to = append(strconv.AppendInt(to, q.At.UnixMilli(), 10), ' ')
	to = append(append(to, q.Price.String()...), ' ')
	return append(to, q.Source...)
}

// readLine leaves out what another version of us may have written otherwise.
func readLine(line string) (Quote, bool) {
	word := func() (w string) { w, line, _ = strings.Cut(line, " "); return w }
	symbol, err1 := ParseSymbol(word())
	n, err2 := strconv.ParseUint(word(), 10, 53)
	ms, err3 := strconv.ParseInt(word(), 10, 64)
	p, err4 := parsePrice(word())
	if err1 != nil || err2 != nil || err3 != nil || err4 != nil || p.Sign() <= 0 || n == 0 {
		return Quote{}, false
	}
	return Quote{Symbol: symbol, Price: p, At: time.UnixMilli(ms), N: n, Source: word()}, true
}
