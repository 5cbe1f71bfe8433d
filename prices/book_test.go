package prices

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/shopspring/decimal"
)

func price(text string) decimal.Decimal { return decimal.RequireFromString(text) }

// testBook knows a coin, a rate and a share of New York.
func testBook() *Book {
	b := NewBook(prometheus.NewRegistry())
	b.Define(known("BTC-USD"), known("EUR-USD"), known("AAPL"))
	return b
}

func tick(s Symbol, p string, at time.Time) Tick { return Tick{s, price(p), at, "test"} }

func TestATickThatCannotBeTrueIsRefusedAndCounted(t *testing.T) {
	b := testBook()
	now := time.Now()
	if b.Apply([]Tick{tick("BTC-USD", "100", now)}) != 1 {
		t.Fatal("an honest tick was refused")
	}
	for _, c := range []struct {
		why  refusal
		tick Tick
	}{
		{unknownSymbol, tick("NOPE", "1", now.Add(time.Second))},
		{notPositive, tick("BTC-USD", "0", now.Add(time.Second))},
		{notPositive, tick("BTC-USD", "-5", now.Add(time.Second))},
		{notPositive, Tick{Symbol: "BTC-USD", At: now.Add(time.Second)}},
		{tooManyDigits, tick("BTC-USD", strings.Repeat("9", 60), now.Add(time.Second))},
		{tooManyDigits, tick("BTC-USD", "0."+strings.Repeat("1", 60), now.Add(time.Second))},
		{tooManyDigits, Tick{"BTC-USD", decimal.New(1, 1<<30), now.Add(time.Second), "test"}},
		{tooManyDigits, Tick{"BTC-USD", decimal.New(1, -1<<30), now.Add(time.Second), "test"}},
		{inFuture, tick("BTC-USD", "101", now.AddDate(1, 0, 0))},
		{notNewer, tick("BTC-USD", "101", now)},
		{notNewer, tick("BTC-USD", "101", now.Add(-time.Second))},
	} {
		before := count(b.metrics.refused[c.why])
		if b.Apply([]Tick{c.tick}) != 0 {
			t.Errorf("%v was believed", c.tick)
		}
		if count(b.metrics.refused[c.why]) != before+1 {
			t.Errorf("%v was not counted as %s", c.tick, c.why)
		}
	}
	if q, _ := b.Quote("BTC-USD"); q.N != 1 || !q.Price.Equal(price("100")) {
		t.Errorf("the quote moved: %v", q)
	}
}

func TestNGrowsByOneAndListenersSeeEveryBelievedTick(t *testing.T) {
	b := testBook()
	var heard []uint64
	stop := b.Listen(func(news []Quote) {
		for _, q := range news {
			heard = append(heard, q.N)
		}
	})
	now := time.Now().Add(-time.Minute)
	b.Apply([]Tick{tick("BTC-USD", "1", now), tick("BTC-USD", "1.1", now.Add(1e6)), tick("BTC-USD", "9", now), tick("BTC-USD", "1.2", now.Add(2e6))})
	stop()
	b.Apply([]Tick{tick("BTC-USD", "1.3", now.Add(3e6))})
	if len(heard) != 3 || heard[0] != 1 || heard[1] != 2 || heard[2] != 3 {
		t.Errorf("heard %v", heard)
	}
}

func TestTheDayChangeRefersToTheCloseBeforeTheSessionOfTheLatestTick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		utc := func(text string) time.Time { at, _ := time.Parse("2006-01-02 15:04", text); return at }
		time.Sleep(time.Until(utc("2026-11-30 23:00")))
		for _, c := range []struct {
			symbol        Symbol
			first, second string
			previous      bool
			what          string
		}{
			{"BTC-USD", "2026-11-20 23:59", "2026-11-21 00:00", true, "a coin's day ends at 00:00 UTC"},
			{"BTC-USD", "2026-11-20 00:00", "2026-11-20 23:59", false, "and not before"},
			{"EUR-USD", "2026-11-20 23:59", "2026-11-21 00:01", true, "so does a rate's"},
			{"AAPL", "2026-11-20 14:35", "2026-11-20 20:59", false, "a share's day is the exchange's"},
			{"AAPL", "2026-11-20 20:59", "2026-11-21 12:00", false, "what comes on Saturday belongs to Friday"},
			{"AAPL", "2026-11-20 20:59", "2026-11-23 09:00", true, "Monday's early trade refers to Friday"},
			{"AAPL", "2026-11-25 20:59", "2026-11-26 16:00", false, "Thanksgiving is no session"},
		} {
			b := testBook()
			b.Apply([]Tick{tick(c.symbol, "10", utc(c.first)), tick(c.symbol, "10.3", utc(c.second))})
			if q, _ := b.Quote(c.symbol); q.Previous.Valid != c.previous || c.previous && !q.Previous.Decimal.Equal(price("10")) {
				t.Errorf("%s %s → %s: previous %v: %s", c.symbol, c.first, c.second, q.Previous, c.what)
			}
		}
	})
}

func TestAnOfficialCloseIsThePriceUntilATickComes(t *testing.T) {
	b := testBook()
	day := time.Now().UTC().Truncate(24 * time.Hour)
	b.Closed(Close{"BTC-USD", day.AddDate(0, 0, -2), price("90"), "file"}, Close{"BTC-USD", day.AddDate(0, 0, -1), price("100"), "file"})
	q, ok := b.Quote("BTC-USD")
	if !ok || !q.Price.Equal(price("100")) || !q.Previous.Decimal.Equal(price("90")) || !q.At.Before(day) {
		t.Fatalf("from closes alone: %+v", q)
	}
	n := q.N
	b.Apply([]Tick{tick("BTC-USD", "110", time.Now())})
	if q, _ = b.Quote("BTC-USD"); !q.Previous.Decimal.Equal(price("100")) || q.N != n+1 {
		t.Errorf("after a tick: %+v", q)
	}
	b.Closed(Close{"BTC-USD", day.AddDate(0, 0, -1), price("101"), "file"})
	if q, _ = b.Quote("BTC-USD"); !q.Price.Equal(price("110")) || !q.Previous.Decimal.Equal(price("101")) || q.N != n+1 {
		t.Errorf("a corrected close moves the reference, not the price: %+v", q)
	}
}

func TestAFarJumpWaitsForASecondTick(t *testing.T) {
	b := testBook()
	at := time.Now().Add(-time.Minute)
	for _, c := range []struct {
		price string
		taken bool
		what  string
	}{
		{"100", true, "the first"}, {"105", true, "near"}, {"130", false, "far"}, {"104.5", true, "one bad print is forgotten"},
		{"131", false, "far again, so it waits again"}, {"60", false, "far on the other side confirms nothing"}, {"61.25", true, "a second one nearby"},
		{"60", true, "the new price is the measure"}, {"105", false, "the old one is far now"},
	} {
		at = at.Add(time.Second)
		if got := b.Apply([]Tick{tick("BTC-USD", c.price, at)}) == 1; got != c.taken {
			t.Errorf("%s (%s): taken is %v", c.price, c.what, got)
		}
	}
	if n := count(b.metrics.refused[outlier]); n != 4 {
		t.Errorf("%v counted as outliers", n)
	}
	b = testBook()
	for i := range 100 { // a fall in small steps is no outlier, however far it goes
		at = at.Add(time.Millisecond)
		if b.Apply([]Tick{tick("BTC-USD", decimal.NewFromInt(int64(1000-9*i)).String(), at)}) != 1 && i < 60 {
			t.Fatalf("step %d was refused", i)
		}
	}
}

func TestASplitMovesThePriceThePreviousCloseAndNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(utc("2026-11-24 05:30:00"))) // half past midnight in New York on the ex-date
		b := testBook()
		aapl := known("AAPL")
		aapl.Splits = []Split{{utc("2026-11-24 00:00:00"), 4, 1}, {utc("2020-08-31 00:00:00"), 4, 1}}
		b.Define(aapl)
		b.Closed(Close{"AAPL", utc("2026-11-20 00:00:00"), price("396"), "file"})
		b.Apply([]Tick{tick("AAPL", "400", utc("2026-11-23 20:59:59"))})
		b.Apply(b.splitTicks(utc("2026-11-24 04:59:59")))
		if q, _ := b.Quote("AAPL"); !q.Price.Equal(price("400")) {
			t.Fatalf("split the day before: %+v", q)
		}
		for range 2 {
			b.Apply(b.splitTicks(time.Now()))
		}
		if q, _ := b.Quote("AAPL"); !q.Price.Equal(price("100")) || !q.Previous.Decimal.Equal(price("100")) {
			t.Fatalf("at the ex-date: %+v", q)
		}
		if b.Apply([]Tick{tick("AAPL", "101", time.Now())}) != 1 {
			t.Fatal("the first price after the split was refused")
		}
		if q, _ := b.Quote("AAPL"); !q.Previous.Decimal.Equal(price("100")) {
			t.Errorf("the day after refers to %s", q.Previous.Decimal)
		}
	})
}

func TestApplyAllocatesNothing(t *testing.T) {
	b := testBook()
	at := time.Now().Add(-time.Hour)
	ticks := []Tick{tick("BTC-USD", "91250.12", at), tick("EUR-USD", "1.0871", at)}
	b.Apply(ticks)
	if n := testing.AllocsPerRun(1000, func() {
		for i := range ticks {
			ticks[i].At = ticks[i].At.Add(time.Millisecond)
		}
		b.Apply(ticks)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkApply(b *testing.B) {
	book := NewBook(nil)
	const symbols = 10_000
	ticks := make([]Tick, symbols)
	at := time.Now().Add(-24 * time.Hour)
	for i := range ticks {
		s := Symbol("S" + decimal.NewFromInt(int64(i)).String())
		book.Define(Instrument{Symbol: s, Kind: KindCrypto, Currency: "USD"})
		ticks[i] = Tick{s, decimal.New(int64(100000+i), -2), at, "bench"}
	}
	for range 2 { // each symbol's bands are made once
		for i := range ticks {
			ticks[i].At = ticks[i].At.Add(time.Millisecond)
		}
		if n := book.Apply(ticks); n != symbols {
			b.Fatalf("%d of %d were believed", n, symbols)
		}
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i += 100 {
		part := ticks[i%symbols : i%symbols+100]
		for n := range part {
			part[n].At = part[n].At.Add(time.Millisecond)
		}
		book.Apply(part)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/tick")
}

func count(c prometheus.Counter) float64 {
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		panic(err)
	}
	return m.GetCounter().GetValue()
}
