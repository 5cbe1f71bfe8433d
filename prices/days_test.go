package prices_test

import (
	"testing"
	"time"

	"rosetree/prices"
)

func TestFilesAndFeedsBringOpenHighAndLowOfDays(t *testing.T) {
	s := newService(t, "replay:sp500,sim?symbols=SOL-USD", feedRows(t))
	for range 2 { // the second seeding changes nothing
		if err := s.Seed(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	server := serve(t, s)
	var out struct{ Candles []prices.Candle }
	ask(t, server, "GET", "/api/prices/SPX/candles?interval=1d", "", &out)
	whole := 0
	for _, c := range out.Candles {
		if c.Open != nil {
			if whole++; c.High.LessThan(*c.Open) || c.High.LessThan(c.Close) || c.Low.GreaterThan(*c.Open) || c.Low.GreaterThan(c.Close) {
				t.Fatalf("%+v", c)
			}
		}
	}
	if whole < 240 {
		t.Errorf("%d of %d days of a year have open, high and low", whole, len(out.Candles))
	}
	var i prices.Instrument
	ask(t, server, "PUT", "/api/instruments/ACME", `{"currency":"GBX"}`, &i)
	day := time.Now().UTC().AddDate(0, 0, -3).Format(time.DateOnly)
	var n struct {
		Closes int
		Field  string
	}
	ask(t, server, "PUT", "/api/prices/ACME/history", `{"closes":[{"date":"`+day+`","close":"100","open":"90","high":"95","low":"80"}]}`, &n)
	if n.Field != "closes" {
		t.Errorf("a close above the high: %+v", n)
	}
	for range 2 {
		if ask(t, server, "PUT", "/api/prices/ACME/history", `{"closes":[{"date":"`+day+`","close":"100","open":"90","high":"110","low":"80"}]}`, &n); n.Closes != 1 {
			t.Fatalf("%+v", n)
		}
	}
	ask(t, server, "GET", "/api/prices/ACME/candles", "", &out)
	if c := out.Candles[0]; len(out.Candles) != 1 || c.Open.String() != "0.9" || c.High.String() != "1.1" || c.Low.String() != "0.8" || c.Close.String() != "1" {
		t.Errorf("%+v", out.Candles)
	}
}
