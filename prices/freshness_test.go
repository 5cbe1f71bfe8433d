package prices

import (
	"testing"
	"testing/synctest"
	"time"
)

func utc(text string) time.Time {
	t, err := time.Parse("2006-01-02 15:04:05", text)
	if err != nil {
		panic(err)
	}
	return t
}

func TestFreshnessIsByClassAndSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(utc("2026-12-31 00:00:00")))
		for _, c := range []struct {
			symbol  Symbol
			at, now string
			want    Freshness
		}{
			{"BTC-USD", "2026-11-21 12:00:00", "2026-11-21 12:00:30", Live},
			{"BTC-USD", "2026-11-21 12:00:00", "2026-11-21 12:01:00", Stalled},
			{"BTC-USD", "2026-11-21 12:00:00", "2026-11-21 12:05:01", Stale},
			{"BTC-USD", "2026-11-20 23:59:50", "2026-11-21 00:00:10", Live}, // midnight is no opening where nobody closes
			{"BTC-USD", "2026-11-20 23:59:00", "2026-11-21 00:00:10", Stalled},
			{"BTC-USD", "2026-11-20 23:50:00", "2026-11-21 00:00:10", Stale},
			{"EUR-USD", "2026-11-17 23:40:00", "2026-11-18 00:00:10", Stale},
			{"BTC-USD", "2026-11-19 12:00:00", "2026-11-21 12:05:01", Stale},
			{"EUR-USD", "2026-11-20 21:59:50", "2026-11-21 12:00:00", Closed}, // the weekend of currencies
			{"EUR-USD", "2026-11-20 21:59:50", "2026-11-20 23:00:00", Closed}, // it begins on Friday at 17:00 in New York
			{"EUR-USD", "2026-11-20 21:59:50", "2026-11-22 23:00:00", Stale},  // Sunday evening they trade again
			{"AAPL", "2026-11-20 20:59:00", "2026-11-20 21:00:00", Live},
			{"AAPL", "2026-11-20 20:30:00", "2026-11-20 20:35:00", Stalled},
			{"AAPL", "2026-11-20 20:30:00", "2026-11-20 20:55:00", Stale},
			{"AAPL", "2026-11-20 20:30:00", "2026-11-22 12:00:00", Closed}, // Sunday
			{"AAPL", "2026-11-19 20:30:00", "2026-11-22 12:00:00", Stale},  // it missed Friday
			{"AAPL", "2026-11-20 20:30:00", "2026-11-23 14:30:30", Live},   // Monday, half a minute after the opening
			{"AAPL", "2026-11-20 20:30:00", "2026-11-23 14:45:00", Stalled},
			{"AAPL", "2026-11-20 20:30:00", "2026-11-23 15:00:00", Stale},
			{"AAPL", "2026-11-25 20:30:00", "2026-11-26 17:00:00", Closed}, // Thanksgiving
			{"AAPL", "2026-11-27 17:59:00", "2026-11-27 19:00:00", Closed}, // the short day after it
		} {
			b := testBook()
			b.Apply([]Tick{tick(c.symbol, "10", utc(c.at))})
			if got := b.Freshness(c.symbol, utc(c.now)); got != c.want {
				t.Errorf("%s of %s at %s: %s, not %s", c.symbol, c.at, c.now, got, c.want)
			}
		}
		if got := testBook().Freshness("AAPL", time.Now()); got != None {
			t.Errorf("without a price: %s", got)
		}
	})
}

// The dates are the exchanges' own lists.
func TestHolidaysAreThoseOfTheExchanges(t *testing.T) {
	for name, dates := range map[string][]string{
		"XNYS": {"2025-01-01", "2025-01-20", "2025-02-17", "2025-04-18", "2025-05-26", "2025-06-19", "2025-07-04", "2025-09-01", "2025-11-27", "2025-12-25",
			"2026-01-01", "2026-01-19", "2026-02-16", "2026-04-03", "2026-05-25", "2026-06-19", "2026-07-03", "2026-09-07", "2026-11-26", "2026-12-25",
			"2027-01-01", "2027-01-18", "2027-02-15", "2027-03-26", "2027-05-31", "2027-06-18", "2027-07-05", "2027-09-06", "2027-11-25", "2027-12-24"},
		"XLON": {"2025-01-01", "2025-04-18", "2025-04-21", "2025-05-05", "2025-05-26", "2025-08-25", "2025-12-25", "2025-12-26",
			"2026-01-01", "2026-04-03", "2026-04-06", "2026-05-04", "2026-05-25", "2026-08-31", "2026-12-25", "2026-12-28",
			"2027-01-01", "2027-03-26", "2027-03-29", "2027-05-03", "2027-05-31", "2027-08-30", "2027-12-27", "2027-12-28"},
		"XETR": {"2025-01-01", "2025-04-18", "2025-04-21", "2025-05-01", "2025-12-24", "2025-12-25", "2025-12-26", "2025-12-31",
			"2026-01-01", "2026-04-03", "2026-04-06", "2026-05-01", "2026-12-24", "2026-12-25", "2026-12-31",
			"2027-01-01", "2027-03-26", "2027-03-29", "2027-12-24", "2027-12-31"},
	} {
		closed := map[string]bool{}
		for _, d := range dates {
			closed[d] = true
		}
		c := calendars[name]
		for d := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC); d.Year() < 2028; d = d.AddDate(0, 0, 1) {
			weekend := d.Weekday() == time.Saturday || d.Weekday() == time.Sunday
			if want := !weekend && !closed[d.Format(time.DateOnly)]; c.trades(dayOf(d)) != want {
				t.Errorf("%s on %s: trades is %v", name, d.Format(time.DateOnly), !want)
			}
		}
	}
}

func TestARateIsQuotedInverseOrACrossAndNeverAssumed(t *testing.T) {
	b := testBook()
	b.Define(known("GBP-USD"), known("USD-JPY"), known("EUR-SEK"))
	now := time.Now().Add(-time.Second)
	b.Apply([]Tick{tick("EUR-USD", "1.25", now), tick("GBP-USD", "1.5", now), tick("USD-JPY", "150", now), tick("EUR-SEK", "11", now)})
	for _, c := range []struct{ from, to, want string }{
		{"EUR", "USD", "1.25"}, {"USD", "EUR", "0.8"}, {"EUR", "EUR", "1"}, {"EUR", "GBP", "0.83333333333333333375"}, {"GBP", "JPY", "225"},
		{"SEK", "EUR", "0.090909090909090909"}, {"CHF", "USD", ""}, {"CHF", "SEK", ""}, {"USD", "SEK", "8.8"},
	} {
		r, ok := b.Rate(c.from, c.to)
		if ok != (c.want != "") || ok && !r.Value.Equal(price(c.want)) {
			t.Errorf("%s → %s: %v %v, not %s", c.from, c.to, r.Value, ok, c.want)
		}
	}
}
