package prices

import (
	"log/slog"
	"math/rand/v2"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/shopspring/decimal"
)

// Alerts that are reached are those that a comparison with each of them finds, whatever comes in between.
func TestALadderReachesWhatAComparisonWithEachAlertReaches(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		l := &ladder{up: steps{rising: true}, all: map[string]*watched{}}
		none := func(Symbol) (Instrument, bool) { return Instrument{}, false }
		number := func() decimal.Decimal { return decimal.New(int64(900+r.IntN(200)), -int32(r.IntN(3))) }
		model := map[string]watched{}
		for step := range 200 {
			switch id := strconv.Itoa(r.IntN(20)); r.IntN(3) {
			case 0:
				a := watched{id: id, kind: []AlertKind{AlertAbove, AlertBelow, AlertDayPct}[r.IntN(3)], threshold: number(), armed: r.IntN(2) == 0}
				if a.kind == AlertDayPct {
					a.threshold = decimal.New(int64(r.IntN(40)*2-39), -1)
				}
				model[id] = a
				put := a
				l.put(&put, nil)
			case 1:
				delete(model, id)
				l.drop(id)
			default:
				q := Quote{Symbol: "X", Price: number(), Previous: decimal.NullDecimal{Decimal: decimal.New(int64(90+r.IntN(3)), 0), Valid: r.IntN(4) > 0}}
				want := map[string]bool{}
				for id, a := range model {
					level, rising, ok := a.aim(a.threshold, q.Previous)
					if ok && (rising && q.Price.GreaterThanOrEqual(level) || !rising && q.Price.LessThanOrEqual(level)) {
						want[id] = true
					}
				}
				for _, d := range l.see(&q, none, nil) {
					if !want[d.id] {
						t.Fatalf("seed %d step %d: %s is not reached at %s", seed, step, d.id, q.Price)
					}
					delete(want, d.id)
					delete(model, d.id)
					l.drop(d.id)
				}
				if len(want) > 0 {
					t.Fatalf("seed %d step %d: %v were missed at %s", seed, step, want, q.Price)
				}
			}
		}
	}
}

// benchBook is a book of 10,000 symbols and a batch of ticks for all of them.
func benchBook(b *testing.B) (*Book, []Tick) {
	book := NewBook(nil)
	ticks := make([]Tick, 10_000)
	at := time.Now().Add(-24 * time.Hour)
	for i := range ticks {
		s := Symbol("S" + strconv.Itoa(i))
		book.Define(Instrument{Symbol: s, Kind: KindCrypto, Currency: "USD"})
		ticks[i] = Tick{s, decimal.New(10_000, -2), at, "bench"}
	}
	return book, ticks
}

// BenchmarkAlerts is what 100,000 alerts that no tick reaches cost of a tick in the book, candles included. Ticks with
// and without them take turns on one book, so that what else the machine does is the same for both.
func BenchmarkAlerts(b *testing.B) {
	const alerts = 100_000
	book, ticks := benchBook(b)
	w := newAlertWatch(book, store{}, newAlertMetrics(prometheus.NewRegistry()), slog.New(slog.DiscardHandler))
	all := make([]watched, alerts)
	for i := range all {
		all[i] = watched{id: strconv.Itoa(i), symbol: ticks[i%len(ticks)].Symbol, kind: AlertAbove, threshold: decimal.New(int64(12_000+i%999), -2), armed: true}
		if i%20 >= 10 {
			all[i].kind, all[i].threshold = AlertBelow, decimal.New(int64(8_000-i%999), -2)
		}
	}
	defer book.Listen(newTape(book).hear)()
	w.put(all)
	round := func() time.Duration {
		for i := range ticks {
			ticks[i].At = ticks[i].At.Add(time.Millisecond)
		}
		began := cpuTime()
		book.Apply(ticks)
		return cpuTime() - began
	}
	var without, with time.Duration
	b.ReportAllocs()
	for range 3 {
		round()
	}
	for b.Loop() {
		without += round()
		stop := book.Listen(w.hear)
		with += round()
		stop()
	}
	perTick := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / float64(b.N) / float64(len(ticks)) }
	b.ReportMetric(perTick(without), "cpu-ns/tick-without")
	b.ReportMetric(perTick(with), "cpu-ns/tick-with")
	b.ReportMetric(100*(float64(with)/float64(without)-1), "%-of-a-tick")
}

// cpuTime is what this process has used: on a machine with others, time on the clock says nothing.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
