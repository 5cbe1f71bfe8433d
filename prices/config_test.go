package prices

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/caarlos0/env/v11"

	"github.com/shopspring/decimal"
)

func testContext(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), d)
}

func TestPriceFeedsIsReadFromTheEnvironment(t *testing.T) {
	c, err := env.ParseAsWithOptions[Config](env.Options{Environment: map[string]string{"PRICE_FEEDS": "replay:market?speed=60, sim?seed=7"}})
	if err != nil || c.Feeds.String() != "replay:market?speed=60,sim?seed=7" {
		t.Errorf("%v %v", c.Feeds, err)
	}
	if c, err = env.ParseAsWithOptions[Config](env.Options{Environment: map[string]string{}}); err != nil || c.Feeds.String() != "sim" {
		t.Errorf("by default: %v %v", c.Feeds, err)
	}
}

func TestAWrongPriceFeedsSaysWhatIsWrong(t *testing.T) {
	for value, want := range map[string]string{
		"":                         "no feed is named",
		"sim,coinbse":              `"coinbse" is not a feed: there are`,
		"sim,sim":                  "sim is there twice",
		"sim?sed=1":                `"sed" is not an option`,
		"sim?rate=0":               "rate=0 is not a number above 0",
		"sim?rate=NaN":             "rate=NaN is not a number above 0",
		"sim?symbols=BTC-USD+NOPE": "NOPE is not simulated",
		"sim?seed=1&seed=2":        "seed is there 2 times",
		"sim?rate=":                "rate has no value",
		"sim?symbols=+":            "symbols names none",
		"kraken?budget=0.5":        "budget=0.5 is not a whole number from 1",
		"kraken?budget=20000":      "budget=20000 is not a whole number from 1 to 10000",
		"sim:file":                 "sim takes options only",
		"replay":                   "say what to replay",
		"replay:/no/such.csv":      "no such file",
		"replay:config_test.go":    "the header needs the columns",
		"replay:market?symbol=SPX": `"symbol" is not an option`,
		"replay:x.jsonl?rate=2":    `"rate" is not an option`,

		"replay:market/sp500-daily-2000-2020.csv":                 "no column symbol",
		"replay:market/sp500-daily-2000-2020.csv?symbol=a%20":     "",
		"replay:market/sp500-daily-2000-2020.csv?symbol=SPX+ES":   "symbol is one symbol, not 2",
		"replay:market/stocks-monthly-2000-2010.csv?symbol=AAPL":  "leave that away",
		"replay:market/stocks-monthly-2000-2010.csv?symbol=NO%2F": "symbol",
	} {
		var list FeedList
		err := list.UnmarshalText([]byte(value))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, not %q", value, err, want)
		}
	}
}

func TestSimLeavesToReplayWhatReplayBrings(t *testing.T) {
	var list FeedList
	if err := list.UnmarshalText([]byte("sim,replay:market")); err != nil {
		t.Fatal(err)
	}
	feeds, _ := list.make(feedDeps{})
	seen := map[Symbol]string{}
	for _, f := range feeds {
		for _, i := range f.(catalogue).Instruments() {
			if other := seen[i.Symbol]; other != "" {
				t.Errorf("%s comes from %s and %s", i.Symbol, other, f.Name())
			}
			seen[i.Symbol] = f.Name()
		}
	}
	if seen["AAPL"] != "replay" || seen["BTC-USD"] != "sim" {
		t.Errorf("%v", seen)
	}
}

// holds says whether d has at most 38 digits.
func holds(d decimal.Decimal) bool { _, ok := measured(d); return ok }

func FuzzParsePrice(f *testing.F) {
	for _, s := range []string{"1", "0.5", "-1", "1e9", "NaN", "", ".", "1.", ".5", strings.Repeat("9", 60), "１", "0x1p4", "1_0", "+1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := parsePrice(text)
		if err == nil && (!holds(d) || len(text) > maxDigits+2) {
			t.Errorf("%q became %v", text, d)
		}
		if d, err := parseNumber(text); err == nil && d.Exponent() < -2*maxDigits {
			t.Errorf("%q became %v", text, d)
		}
	})
}
