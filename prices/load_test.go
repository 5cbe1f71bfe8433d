package prices_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
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
	rate            float64       // ticks taken a second
	believed        uint64
	first, last     float64 // mean depth of the queue in the first and the last quarter
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
	var cfg prices.Config
	if err := cfg.Feeds.UnmarshalText([]byte("sim?symbols=SOL-USD")); err != nil {
		t.Fatal(err)
	}
	s, err := prices.New(cfg, p.feed, rdb, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	s.OnlyFeed(f)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Run(ctx) }()
	defer func() { cancel(); <-done }()
	until(t, "alerts are watched and prices flow", func() bool {
		_, flows := s.Book.Quote(floodSymbol(f.symbols - 1))
		return s.WatchedAlerts() == alerts && flows
	})
	runtime.GC()
	var l load
	var depths []int
	began, cpu, sent, n := time.Now(), used(), f.sent.Load(), updates(s, f)
	for time.Since(began) < length {
		time.Sleep(10 * time.Millisecond)
		depth, reached := s.Waiting()
		depths = append(depths, depth)
		l.deepest, l.alerts = max(l.deepest, depth), max(l.alerts, reached)
	}
	taken := f.sent.Load() - sent
	l.perTick, l.rate = (used()-cpu)/time.Duration(taken), float64(taken)/time.Since(began).Seconds()
	l.believed = updates(s, f) - n
	l.first, l.last = mean(depths[:len(depths)/4]), mean(depths[len(depths)-len(depths)/4:])
	return l
}

func (l load) String() string {
	return fmt.Sprintf("%.0f ticks/s taken, %d believed, %s of CPU a tick (%.2f core), queue: mean %.0f in the first quarter, %.0f in the last, deepest %d; alerts waiting at most %d",
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
// Figures count where ROSETREE_MEASURE is set, on a quiet machine; else a short run shows that the queue stays what
// it is: never more than one tick of each symbol.
func TestTwoHundredThousandTicksASecondMakeNoQueue(t *testing.T) {
	symbols, alerts, length := 2_000, 5_000, time.Second
	rates := map[string]float64{"alone": 20_000, "with Redis": 20_000}
	measure := os.Getenv("ROSETREE_MEASURE") != ""
	if measure {
		symbols, alerts, length = 10_000, 100_000, 10*time.Second
		rates = map[string]float64{"alone": 200_000, "with Redis": 200_000}
	}
	for _, name := range []string{"alone", "with Redis"} {
		t.Run(name, func(t *testing.T) {
			p := newPeople(t)
			var r *devstack.Redis
			if name == "with Redis" {
				r = devstack.Test(t).Redis(t)
			}
			f := func() *flood { return &flood{symbols: symbols, rate: rates[name]} }
			without := flooded(t, p, r, f(), length, 0)
			addAlerts(t, p, alerts, symbols)
			with := flooded(t, p, r, f(), length, alerts)
			t.Logf("without alerts: %s", without)
			t.Logf("%d alerts:  %s", alerts, with)
			t.Logf("alerts cost %.1f %% of the CPU of a tick", 100*(float64(with.perTick)/float64(without.perTick)-1))
			for _, l := range []load{without, with} {
				if l.deepest > symbols || l.alerts != 0 || l.believed == 0 {
					t.Errorf("%s", l)
				}
				if measure && l.rate < 0.98*rates[name] {
					t.Errorf("it did not keep up: %s", l)
				}
			}
		})
	}
}
