package prices_test

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
	"github.com/shopspring/decimal"

	"rosetree/internal/devstack"
	"rosetree/prices"
)

// flood is a feed of so many ticks a second over so many symbols, each near its price of the start.
type flood struct {
	symbols int
	rate    float64 // a second
	sent    atomic.Int64
}

func (f *flood) Name() string { return "flood" }

func (f *flood) Instruments() []prices.Instrument {
	all := make([]prices.Instrument, f.symbols)
	for i := range all {
		all[i] = prices.Instrument{Symbol: floodSymbol(i), Name: "Load", Kind: prices.KindCrypto, Currency: "USD", Multiplier: decimal.NewFromInt(1)}
	}
	return all
}

func floodSymbol(i int) prices.Symbol { return prices.Symbol("S" + strconv.Itoa(i)) }

func (f *flood) Run(ctx context.Context, emit func([]prices.Tick)) error {
	const every = 5 * time.Millisecond
	symbols, costs := make([]prices.Symbol, f.symbols), make([]decimal.Decimal, 100)
	for i := range symbols {
		symbols[i] = floodSymbol(i)
	}
	for i := range costs {
		costs[i] = decimal.New(int64(10_000+i), -2)
	}
	batch, at, began := make([]prices.Tick, 0, 4096), 0, time.Now()
	for ticker := time.NewTicker(every); ; {
		select {
		case <-ctx.Done():
			ticker.Stop()
			return nil
		case now := <-ticker.C:
			due := int64(f.rate*now.Sub(began).Seconds()) - f.sent.Load()
			for ; due > 0; due -= int64(len(batch)) {
				batch = batch[:0]
				for range min(due, 4096) {
					batch = append(batch, prices.Tick{Symbol: symbols[at%len(symbols)], Price: costs[(at/len(symbols))%len(costs)], At: now, Source: "flood"})
					at++
				}
				emit(batch)
				f.sent.Add(int64(len(batch)))
			}
		}
	}
}

// addAlerts makes alerts that no price of the flood reaches, spread over its symbols: half above, half below.
func addAlerts(t testing.TB, p people, n, symbols int) {
	t.Helper()
	for done := 0; done < n; done += 20_000 {
		o := p.join(t)
		b := &pgx.Batch{}
		b.Queue(`INSERT INTO app.alerts (user_id, id, symbol, kind, threshold, changed_at) SELECT $1::text::uuid, gen_random_uuid(), 'S' || (i % $2), CASE i % 2 WHEN 0 THEN 'above' ELSE 'below' END,
			CASE i % 2 WHEN 0 THEN 120 + (i % 1000) / 10.0 ELSE 80 - (i % 700) / 10.0 END, now() - interval '1 hour' FROM generate_series($3::int, $4::int - 1) i`, o.ID, symbols, done, min(n, done+20_000))
		if err := o.Rows.Do(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
}

// load is what one run of a flood came to.
type load struct {
	perTick         time.Duration // CPU of this process, everything counted
	rate, believed  float64       // ticks a second: taken from the feed, and told to everybody
	first, last     float64       // mean depth of the queue in the first and the last quarter
	deepest, alerts int
}

// flooded runs a server on one core under f for some time, with Redis where r is not nil.
func flooded(t testing.TB, p people, r *devstack.Redis, f *flood, length time.Duration, alerts int) load {
	t.Helper()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var rdb redis.UniversalClient
	if r != nil {
		rdb = r.Client(t)
	}
	s := newServiceOn(t, "sim?symbols=SOL-USD", p.feed, rdb)
	s.OnlyFeed(f)
	defer inBackground(t, s)()
	until(t, "alerts are watched and prices flow", func() bool {
		_, flows := s.Book.Quote(floodSymbol(f.symbols - 1))
		return s.WatchedAlerts() == alerts && flows
	})
	runtime.GC()
	var l load
	var depths []int
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	began, cpu, sent, n := time.Now(), used(), f.sent.Load(), updates(s, f)
	for now := range look.C {
		depth, reached := s.Waiting()
		depths = append(depths, depth)
		l.deepest, l.alerts = max(l.deepest, depth), max(l.alerts, reached)
		if now.Sub(began) > length {
			break
		}
	}
	taken, seconds := f.sent.Load()-sent, time.Since(began).Seconds()
	l.perTick, l.rate, l.believed = (used()-cpu)/time.Duration(max(1, taken)), float64(taken)/seconds, float64(updates(s, f)-n)/seconds
	l.first, l.last = mean(depths[:len(depths)/4]), mean(depths[len(depths)-len(depths)/4:])
	return l
}

func (l load) String() string {
	return fmt.Sprintf("%.0f ticks/s taken, %.0f told, %s of CPU a tick (%.2f core), queue: mean %.0f in the first quarter, %.0f in the last, deepest %d; alerts waiting at most %d",
		l.rate, l.believed, l.perTick, l.rate*l.perTick.Seconds(), l.first, l.last, l.deepest, l.alerts)
}

func mean(all []int) (sum float64) {
	for _, n := range all {
		sum += float64(n)
	}
	return sum / float64(max(1, len(all)))
}

// updates is the sum of all update numbers: how many ticks were believed and told.
func updates(s *prices.Service, f *flood) (sum uint64) {
	for i := range f.symbols {
		q, _ := s.Book.Quote(floodSymbol(i))
		sum += q.N
	}
	return sum
}

func used() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// The whole way: a feed, the book, the candles and the alerts; with Redis also the way to the other servers and back.
var ways = []string{"alone", "with Redis"}

func redisFor(t testing.TB, way string) *devstack.Redis {
	if way == "alone" {
		return nil
	}
	return devstack.Test(t).Redis(t)
}

// What waits is never more than one tick of each symbol, whatever comes.
func TestTicksMakeNoQueueThatGrows(t *testing.T) {
	const symbols, alerts, rate = 2_000, 5_000, 20_000
	for _, way := range ways {
		t.Run(way, func(t *testing.T) {
			p, r := newPeople(t), redisFor(t, way)
			addAlerts(t, p, alerts, symbols)
			l := flooded(t, p, r, &flood{symbols: symbols, rate: rate}, time.Second, alerts)
			if t.Log(l); l.deepest > symbols || l.alerts != 0 || l.believed == 0 {
				t.Error("it queues, or an alert fired that no price reached")
			}
		})
	}
}

// BenchmarkTwoHundredThousandTicksASecond is 10,000 symbols on one core, without alerts and with 100,000 that no price
// reaches; -benchtime 10x is ten seconds of each. It fails where the server does not keep up or a queue grows.
func BenchmarkTwoHundredThousandTicksASecond(b *testing.B) {
	const symbols, alerts, rate = 10_000, 100_000, 200_000
	for _, way := range ways {
		p, r := newPeople(b), redisFor(b, way)
		var without load
		for _, n := range []int{0, alerts} {
			if n > 0 {
				addAlerts(b, p, n, symbols)
			}
			b.Run(fmt.Sprintf("%s/%d alerts", way, n), func(b *testing.B) {
				l := flooded(b, p, r, &flood{symbols: symbols, rate: rate}, time.Duration(b.N)*time.Second, n)
				b.Log(l)
				b.ReportMetric(l.rate, "taken/s")
				b.ReportMetric(l.believed, "told/s")
				b.ReportMetric(float64(l.perTick.Nanoseconds()), "cpu-ns/tick")
				b.ReportMetric(l.rate*l.perTick.Seconds(), "cores")
				b.ReportMetric(float64(l.deepest), "deepest-queue")
				if n == 0 {
					without = l
				} else if without.perTick > 0 {
					b.ReportMetric(100*(float64(l.perTick)/float64(without.perTick)-1), "%-for-alerts")
				}
				if l.rate < 0.98*rate || l.deepest > symbols || l.last > 2*l.first+symbols/10 || l.alerts != 0 {
					b.Error("it did not keep up")
				}
			})
		}
	}
}
