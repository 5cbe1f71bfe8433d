package prices

import (
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shopspring/decimal"
)

func coursesOf(t testing.TB, spec string, now time.Time) map[Symbol]*barCourse {
	t.Helper()
	s, err := parseSpec(spec)
	if err != nil {
		t.Fatal(err)
	}
	f, err := newReplay(s.argument, s.options, now)
	if err != nil {
		t.Fatal(err)
	}
	all := map[Symbol]*barCourse{}
	for _, c := range f.(*player).courses {
		all[c.instrument().Symbol] = c.(*barCourse)
	}
	return all
}

func TestAReplayedBarShowsItsOpenHighLowAndCloseAndNothingBeyond(t *testing.T) {
	now := utc("2026-11-23 12:00:00")
	spx := coursesOf(t, "replay:market", now)["SPX"]
	for range 200 {
		b := spx.bars[rand.IntN(len(spx.bars))]
		var seen []decimal.Decimal
		step := time.Duration(rand.Int64N(int64(time.Hour)) + int64(time.Minute))
		at := b.from.Add(-time.Nanosecond)
		for next := at; next.Before(b.until); at = next {
			next = at.Add(step)
			if !next.Before(b.until) {
				next = b.until.Add(-time.Nanosecond)
				seen = spx.prices(seen, at, next)
				break
			}
			seen = spx.prices(seen, at, next)
		}
		if high := decimal.Max(seen[0], seen...); !high.Equal(b.high) {
			t.Fatalf("%s: high %s, not %s", b.from, high, b.high)
		}
		if low := decimal.Min(seen[0], seen...); !low.Equal(b.low) {
			t.Fatalf("%s: low %s, not %s", b.from, low, b.low)
		}
		if !seen[0].Equal(b.open) || !seen[len(seen)-1].Equal(b.close) {
			t.Fatalf("%s: %s … %s, not %s … %s", b.from, seen[0], seen[len(seen)-1], b.open, b.close)
		}
	}
}

func TestReplayIsTheSameForASeedAndAnotherForAnother(t *testing.T) {
	now := utc("2026-11-23 12:00:00")
	path := func(seed string) string {
		c := coursesOf(t, "replay:stocks?seed="+seed, now)["AAPL"]
		var text []string
		for at := now; at.Before(now.AddDate(0, 0, 3)); at = at.Add(time.Hour) {
			text = append(text, c.prices(nil, at, at)[0].String())
		}
		return strings.Join(text, " ")
	}
	if once, again := path("7"), path("7"); once != again {
		t.Error("one seed, two paths")
	}
	if path("7") == path("8") {
		t.Error("two seeds, one path")
	}
}

func TestAMonthIsWalkedFromThePriceBeforeToItsOwn(t *testing.T) {
	now := utc("2026-11-23 12:00:00")
	aapl := coursesOf(t, "replay:stocks", now)["AAPL"]
	for i := 1; i < len(aapl.bars); i++ {
		b := aapl.bars[i]
		if !b.open.Equal(aapl.bars[i-1].close) {
			t.Fatalf("%s opens at %s, not at %s", b.from, b.open, aapl.bars[i-1].close)
		}
		first, last := aapl.prices(nil, b.from, b.from), aapl.prices(nil, b.until.Add(-time.Millisecond), b.until.Add(-time.Millisecond))
		if !first[0].Equal(b.open) || !last[0].Equal(b.close) {
			t.Fatalf("%s: %s … %s", b.from, first, last)
		}
	}
}

func TestDataAreMovedByWholeWeeksAndTheSameAllYear(t *testing.T) {
	end := utc("2020-04-18 00:00:00")
	shift := era(end, utc("2026-11-23 12:00:00"))
	if shift%(7*24*time.Hour) != 0 || end.Add(shift).Before(utc("2027-01-18 12:00:00")) {
		t.Errorf("moved by %s to %s", shift, end.Add(shift))
	}
	if later := era(end, utc("2027-01-20 12:00:00")); later != shift {
		t.Error("two months later it is moved elsewhere")
	}
	if era(end, end.AddDate(-1, 0, 0)) != 0 {
		t.Error("data that reach into the future were moved")
	}
}

func TestThePlayerSpreadsTicksAndKeepsUpTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var list FeedList
		if err := list.UnmarshalText([]byte("sim?rate=2&seed=3&symbols=BTC-USD+EUR-USD")); err != nil {
			t.Fatal(err)
		}
		feeds, _ := list.make(feedDeps{})
		b := testBook()
		count, batches := map[Symbol]int{}, 0
		ctx, cancel := testContext(10 * time.Second)
		defer cancel()
		if err := feeds[0].Run(ctx, func(ticks []Tick) {
			batches++
			if b.Apply(ticks) != len(ticks) {
				t.Errorf("refused some of %v", ticks)
			}
			for _, x := range ticks {
				count[x.Symbol]++
				if x.At.After(time.Now()) || time.Since(x.At) > 50*time.Millisecond {
					t.Errorf("%s carries %s, now is %s", x.Symbol, x.At, time.Now())
				}
			}
		}); err != nil {
			t.Fatal(err)
		}
		if count["BTC-USD"] < 19 || count["BTC-USD"] > 21 || count["EUR-USD"] < 19 || count["EUR-USD"] > 21 {
			t.Errorf("ticks in 10 s at 2 a second: %v", count)
		}
	})
}

func FuzzReadBars(f *testing.F) {
	f.Add("date,open,high,low,close\n2000-01-03,1,2,1,2\n")
	f.Add("symbol,date,price\nMSFT,Jan 1 2000,39.81\nMSFT,Feb 1 2000,36.35\n")
	f.Add("date,price\n2000-01-03,1e999999999\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, whose := range []Symbol{"X", ""} { // without and with a column symbol
			series, _ := readBars(strings.NewReader(text), whose)
			for s, bars := range series {
				for _, b := range bars {
					if b.close.Sign() <= 0 || b.open.Sign() <= 0 || !b.from.Before(b.until) {
						t.Fatalf("%s: %+v", s, b)
					}
				}
			}
		}
	})
}
