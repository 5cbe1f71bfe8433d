package portfolio

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"rosetree/portfolio/ledger"
	"rosetree/prices"
)

// sink encodes each valuation, as the hub does, and forgets it.
type sink struct {
	buf    []byte
	frames int
}

func (s *sink) Snapshot(Snapshot) {}
func (s *sink) Change(Change)     {}
func (s *sink) Gone(error)        {}
func (s *sink) Valuation(v Valuation) {
	s.buf = v.AppendJSON(s.buf[:0])
	s.frames++
}

// crowd is so many watched portfolios of 20 holdings out of 200 symbols.
func crowd(b *testing.B, n int) (*Service, []*live, *sink, func()) {
	s, book := floor(b)
	rng := rand.New(rand.NewPCG(1, 1))
	symbols := make([]string, 200)
	for i := range symbols {
		symbols[i] = fmt.Sprintf("S%03d", i)
		define(book, symbols[i], "USD", 1)
		book.Closed(closeOf(symbols[i], dayBefore(clock), "100"))
		say(b, book, symbols[i], "100")
	}
	out := &sink{}
	all := make([]*live, n)
	at := time.Now().AddDate(0, -1, 0)
	for i := range all {
		var rows []*ledger.Transaction
		for k, at2 := range rng.Perm(200)[:20] {
			rows = append(rows, &ledger.Transaction{ID: fmt.Sprint(k), Account: "A", Seq: int64(k), At: at, Type: ledger.Buy, Symbol: prices.Symbol(symbols[at2]),
				Quantity: decimal.New(rng.Int64N(1e6)+1, -4), Price: decimal.NewNullDecimal(decimal.New(rng.Int64N(1e5)+1, -3)), Currency: "USD", Fee: decimal.New(1, 0)})
		}
		all[i] = inMemory(s, out, "USD", ledger.Average, rows)
	}
	tick := func() {
		symbol := symbols[rng.IntN(200)]
		say(b, book, symbol, decimal.New(10_000+rng.Int64N(200), -2).String())
	}
	return s, all, out, tick
}

// BenchmarkSecond is one second of 10,000 watched portfolios of 20 holdings: 1,000 ticks, and four frames
// of every portfolio, encoded. cores is the processor time of such a second, garbage collection included,
// whatever else the machine does; the target is 0.5.
//
//	go test ./portfolio -run '^$' -bench Second -benchtime 10x
func BenchmarkSecond(b *testing.B) {
	_, all, out, tick := crowd(b, 10_000)
	b.ReportAllocs()
	d := &desk{}
	runtime.GC()
	before := cpu(b, syscall.RUSAGE_SELF)
	for b.Loop() {
		for range 4 {
			for range 250 {
				tick()
			}
			for _, l := range all {
				l.frame(d)
			}
		}
	}
	b.ReportMetric((cpu(b, syscall.RUSAGE_SELF)-before).Seconds()/float64(b.N), "cores")
	b.ReportMetric(float64(out.frames)/float64(b.N), "frames/op")
}

// BenchmarkRevalue is what a tick costs for one holder: finding that the price moved, and the new worth in
// the running sum. ns/holder is processor time of the thread that does it; the target is 60.
//
//	go test ./portfolio -run '^$' -bench Revalue -benchtime 200x
func BenchmarkRevalue(b *testing.B) {
	_, all, _, tick := crowd(b, 2_000)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const thread = 1 // RUSAGE_THREAD
	d, moved, used := &desk{}, 0, time.Duration(0)
	for b.Loop() {
		for range 100 {
			tick()
		}
		before := cpu(b, thread)
		for _, l := range all {
			m, _ := l.moves(l.book, d)
			moved += len(m)
		}
		used += cpu(b, thread) - before
	}
	b.ReportMetric(0, "ns/op") // ticks included: not what is asked
	b.ReportMetric(float64(used.Nanoseconds())/float64(moved), "ns/holder")
}

// cpu is the processor time that this process, or this thread, has used.
func cpu(b *testing.B, who int) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
