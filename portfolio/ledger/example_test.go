package ledger

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"rosetree/prices"
)

func day(n int) time.Time { return time.Date(2024, 1, 1, 15, 0, 0, 0, time.UTC).AddDate(0, 0, n) }

func dec(s string) decimal.Decimal { return decimal.RequireFromString(s) }

func null(s string) decimal.NullDecimal {
	if s == "" {
		return decimal.NullDecimal{}
	}
	return decimal.NewNullDecimal(dec(s))
}

// rows reads "buy 10 @ 10 fee 1, sell 5 @ 15": one row a day, in USD, of account A and symbol X.
func rows(text string) []*Transaction {
	var list []*Transaction
	for i, part := range strings.Split(text, ",") {
		w := strings.Fields(part)
		t := &Transaction{ID: fmt.Sprintf("t%02d", i), Account: "A", Seq: int64(i), At: day(i), Type: Type(w[0]), Symbol: "X", Currency: "USD"}
		if w[1] != "-" {
			t.Quantity = dec(w[1])
		}
		for j := 2; j < len(w); j += 2 {
			switch w[j] {
			case "@":
				t.Price = null(w[j+1])
			case "=":
				t.Amount = null(w[j+1])
			case "fee":
				t.Fee = dec(w[j+1])
			case "tax":
				t.Tax = dec(w[j+1])
			case "in":
				t.Currency = w[j+1]
			case "on":
				t.Account = w[j+1]
			case "pair":
				t.Pair = w[j+1]
			}
		}
		list = append(list, t)
	}
	return list
}

var usd = Options{Base: "USD", Method: Average, Costs: Included}

func run(t *testing.T, text string, opts Options, splits ...prices.Split) []*Position {
	t.Helper()
	accounts := []Account{{ID: "A"}, {ID: "B"}, {ID: "S", Short: true}}
	inst := func(s prices.Symbol) prices.Instrument {
		return prices.Instrument{Symbol: s, Currency: "USD", Splits: splits}
	}
	return New(accounts, rows(text)).ReplaySymbol("X", inst, Table{}, opts)
}

// Each case is computed by hand: quantity, cost, realised of account A (or S), by average and by FIFO.
func TestWorkedExamples(t *testing.T) {
	for _, c := range []struct {
		name, rows    string
		quantity      string
		cost, fifo    string
		realised, rfi string
	}{
		{"the one that others get wrong: +75, not +91.67", "buy 10 @ 10, sell 5 @ 15, buy 5 @ 20, sell 10 @ 20", "0", "0.00", "0.00", "75.00", "75.00"},
		{"methods differ while open, not in total", "buy 10 @ 10, buy 10 @ 20, sell 10 @ 30", "10", "150.00", "200.00", "150.00", "200.00"},
		{"costs count on both sides", "buy 10 @ 10 fee 5 tax 1, sell 10 @ 12 fee 3 tax 2", "0", "0.00", "0.00", "9.00", "9.00"},
		{"a sale never changes the average price", "buy 3 @ 10, buy 3 @ 11, sell 1 @ 50", "5", "52.50", "53.00", "39.50", "40.00"},
		{"three thirds close", "buy 1 @ 100, sell 0.333333333333 @ 120, sell 0.333333333333 @ 120, sell 0.333333333333 @ 120", "0", "0.00", "0.00", "20.00", "20.00"},
		{"old lots never come back", "buy 10 @ 10, sell 10 @ 11, buy 1 @ 50", "1", "50.00", "50.00", "10.00", "10.00"},
		{"a gross amount instead of a price", "buy 3 = 100, sell 1 = 40", "2", "66.67", "66.67", "6.67", "6.67"},
		{"a covered short leaves nothing", "sell 10 @ 20 on S, buy 10 @ 15 on S", "0", "0.00", "0.00", "50.00", "50.00"},
		{"a short's cost is what it brought", "sell 10 @ 20 fee 1 on S", "-10", "-199.00", "-199.00", "0.00", "0.00"},
		{"a short covered in part", "sell 10 @ 20 on S, sell 10 @ 30 on S, buy 10 @ 15 on S", "-10", "-250.00", "-300.00", "100.00", "50.00"},
		{"crossing zero down", "buy 10 @ 10 on S, sell 13 @ 15 on S", "-3", "-45.00", "-45.00", "50.00", "50.00"},
		{"crossing zero splits costs by quantity", "buy 10 @ 10 on S, sell 13 @ 15 fee 13 on S", "-3", "-42.00", "-42.00", "40.00", "40.00"},
		{"crossing zero up", "sell 10 @ 15 on S, buy 13 @ 10 on S", "3", "30.00", "30.00", "50.00", "50.00"},
		{"return of capital lowers the cost", "buy 10 @ 10, return_of_capital - = 30, sell 5 @ 10", "5", "35.00", "35.00", "15.00", "15.00"},
		{"return of capital beyond the cost is realised", "buy 10 @ 10, return_of_capital - = 130", "10", "0.00", "0.00", "30.00", "30.00"},
		{"a stock dividend costs nothing", "buy 10 @ 10, stock_dividend 10, sell 10 @ 10", "10", "50.00", "0.00", "50.00", "0.00"},
		{"a reward costs what it was worth", "buy 10 @ 10, reward 10 @ 20", "20", "300.00", "300.00", "0.00", "0.00"},
		{"units that leave take their cost along", "buy 10 @ 10, buy 10 @ 20, transfer_out 10", "10", "150.00", "200.00", "0.00", "0.00"},
		{"an adjustment states what is held", "buy 10 @ 10, adjustment 12 = 90", "12", "90.00", "90.00", "0.00", "0.00"},
		{"an adjustment without a cost takes units at theirs", "buy 10 @ 10, adjustment 5", "5", "50.00", "50.00", "0.00", "0.00"},
		{"an exit that leaves dust is an exit", "buy 10 @ 10, sell 9.99999999999 @ 11", "0", "0.00", "0.00", "10.00", "10.00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, m := range []Method{Average, FIFO} {
				opts := usd
				opts.Method = m
				p := run(t, c.rows, opts)[0]
				cost, realised := c.cost, c.realised
				if m == FIFO {
					cost, realised = c.fifo, c.rfi
				}
				got := fmt.Sprint(p.Quantity.Decimal(18), " ", money(p.Cost), " ", money(p.Realised))
				if want := c.quantity + " " + cost + " " + realised; got != want {
					t.Errorf("%s: quantity, cost, realised = %s, want %s", m, got, want)
				}
			}
		})
	}
}

func money(a Amount) string {
	if !a.Known() {
		return "null:" + strings.Join(a.Missing, ",")
	}
	return a.Value.Round(2).StringFixed(2)
}

func TestExcludedCostsStandBeside(t *testing.T) {
	opts := usd
	opts.Costs = Excluded
	p := run(t, "buy 10 @ 10 fee 5 tax 1, sell 5 @ 12 fee 3", opts)[0]
	if got := money(p.Cost) + " " + money(p.Realised) + " " + money(p.Fees) + " " + money(p.Taxes) + " " + money(p.Charges); got != "50.00 10.00 8.00 1.00 9.00" {
		t.Error(got)
	}
	included := run(t, "buy 10 @ 10 fee 5 tax 1, sell 5 @ 12 fee 3", usd)[0]
	value := Amount{Value: FromDecimal(dec("60"))}
	if a, b := money(p.TotalPnL(value)), money(included.TotalPnL(value)); a != b || a != "11.00" {
		t.Errorf("total P&L: %s excluded, %s included, want 11.00", a, b)
	}
}

func TestSplits(t *testing.T) {
	at := func(n int, a, b int64) prices.Split {
		return prices.Split{ExDate: day(n).Truncate(24 * time.Hour), N: a, D: b}
	}
	for _, c := range []struct {
		name, rows string
		splits     []prices.Split
		want       string
	}{
		{"3 for 1", "buy 10 @ 30, sell 15 @ 11", []prices.Split{at(1, 3, 1)}, "15 150.00 15.00"},
		{"7 to 3 stays exact", "buy 3 @ 70, sell 7 @ 40", []prices.Split{at(1, 7, 3)}, "0 0.00 70.00"},
		{"7 to 3 of 10 is 23 and a third", "buy 10 @ 7", []prices.Split{at(1, 7, 3)}, "23.333333333333333333 70.00 0.00"},
		{"a split comes before the trades of its day", "buy 10 @ 30, sell 30 @ 10", []prices.Split{at(1, 3, 1)}, "0 0.00 0.00"},
		{"a split before the first trade does not count", "buy 10 @ 30", []prices.Split{at(-5, 3, 1)}, "10 300.00 0.00"},
		{"1 for 10 and back", "buy 10 @ 3, sell 1 @ 40, buy 10 @ 1", []prices.Split{at(1, 1, 10), at(2, 10, 1)}, "10 10.00 10.00"},
	} {
		for _, m := range []Method{Average, FIFO} {
			opts := usd
			opts.Method = m
			p := run(t, c.rows, opts, c.splits...)[0]
			if got := fmt.Sprint(p.Quantity.Decimal(18), " ", money(p.Cost), " ", money(p.Realised)); got != c.want {
				t.Errorf("%s, %s: %s, want %s", c.name, m, got, c.want)
			}
		}
	}
}

func TestAsOfDoesNotKnowTheFuture(t *testing.T) {
	opts := usd
	opts.AsOf = day(1)
	p := run(t, "buy 10 @ 30, buy 1 @ 1, sell 5 @ 3", opts, prices.Split{ExDate: day(2).Truncate(24 * time.Hour), N: 3, D: 1})[0]
	if p.Quantity.Decimal(9).String() != "11" {
		t.Errorf("as of day 1 there are %s, want 11", p.Quantity.Decimal(9))
	}
}

func TestOversold(t *testing.T) {
	p := run(t, "buy 10 @ 10, sell 13 @ 15, buy 1 @ 7", usd)[0]
	if money(p.Cost) != "7.00" || money(p.Realised) != "null:basis:X" {
		t.Errorf("cost %s, realised %s", money(p.Cost), money(p.Realised))
	}
	if len(p.Oversold) != 1 || p.Oversold[0].Missing.String() != "3" || p.Oversold[0].Transaction != "t01" {
		t.Errorf("oversold: %+v", p.Oversold)
	}
}

func TestUnitsOfUnknownCost(t *testing.T) {
	p := run(t, "transfer_in 10, sell 5 @ 3", usd)[0]
	if money(p.Cost) != "null:basis:X" || money(p.Realised) != "null:basis:X" {
		t.Errorf("cost %s, realised %s", money(p.Cost), money(p.Realised))
	}
	p = run(t, "transfer_in 10 @ 2, sell 5 @ 3", usd)[0]
	if money(p.Cost) != "10.00" || money(p.Realised) != "5.00" {
		t.Errorf("cost %s, realised %s", money(p.Cost), money(p.Realised))
	}
}

func TestInternalTransferMovesLots(t *testing.T) {
	for m, want := range map[Method]string{Average: "150.00 150.00 25.00", FIFO: "200.00 100.00 50.00"} {
		opts := usd
		opts.Method = m
		ps := run(t, "buy 10 @ 10, buy 10 @ 20, transfer_out 10 pair p, transfer_in 10 on B pair p, sell 5 @ 20 on B", opts)
		a, b := ps[0], ps[1]
		before := run(t, "buy 10 @ 10, buy 10 @ 20, transfer_out 10 pair p, transfer_in 10 on B pair p", opts)[1]
		if got := money(a.Cost) + " " + money(before.Cost) + " " + money(b.Realised); got != want {
			t.Errorf("%s: cost left, cost moved, realised by half of it at 20: %s, want %s", m, got, want)
		}
	}
	b := run(t, "buy 10 @ 10, transfer_out 10 pair p, transfer_in 9.5 on B pair p", usd)[1]
	if b.Quantity.Decimal(9).String() != "9.5" || money(b.Cost) != "100.00" {
		t.Errorf("a fee in kind: %s units for %s, want 9.5 for 100.00", b.Quantity.Decimal(9), money(b.Cost))
	}
}

func eur(t *testing.T, text string, m Method) *Position {
	t.Helper()
	rates := Table{}
	rates.Set("USD", "EUR", []DayRate{{day(0).Truncate(24 * time.Hour), dec("0.9")}, {day(1).Truncate(24 * time.Hour), dec("0.8")}})
	inst := func(s prices.Symbol) prices.Instrument { return prices.Instrument{Symbol: s, Currency: "USD"} }
	return New([]Account{{ID: "A"}}, rows(text)).ReplaySymbol("X", inst, rates, Options{Base: "EUR", Method: m, Costs: Included})[0]
}

func TestCurrencies(t *testing.T) {
	for _, m := range []Method{Average, FIFO} {
		// bought 10 for 100 USD at 0.9 = 90 EUR; 5 sold for 60 USD at 0.8 = 48 EUR: cost 50 USD, 45 EUR
		p := eur(t, "buy 10 @ 10, sell 5 @ 12", m)
		got := money(p.CostBase) + " " + money(p.Realised) + " " + money(p.RealisedBase) + " " + money(p.RealisedPrice) + " " + money(p.RealisedCurrency)
		if want := "45.00 10.00 3.00 8.00 -5.00"; got != want {
			t.Errorf("%s: %s, want %s", m, got, want)
		}
		p = eur(t, "buy 10 @ 10 in GBP", m)
		if money(p.CostBase) != "null:GBP-EUR" || money(p.Cost) != "null:GBP-USD" {
			t.Errorf("a missing rate: cost %s, in base %s", money(p.Cost), money(p.CostBase))
		}
		p = eur(t, "buy 10 = 900 in EUR, sell 10 @ 120", m) // 900 EUR are 1000 USD at 1/0.9
		if money(p.Cost) != "0.00" || money(p.RealisedBase) != "60.00" {
			t.Errorf("bought in base: %s, %s", money(p.Cost), money(p.RealisedBase))
		}
	}
}

func TestARecordedRateWins(t *testing.T) {
	list := rows("buy 10 @ 10")
	list[0].Rate = null("0.5")
	inst := func(s prices.Symbol) prices.Instrument { return prices.Instrument{Symbol: s, Currency: "USD"} }
	p := New([]Account{{ID: "A"}}, list).ReplaySymbol("X", inst, Table{}, Options{Base: "EUR", Method: FIFO, Costs: Included})[0]
	if money(p.CostBase) != "50.00" {
		t.Error(money(p.CostBase))
	}
}

func TestARateIsAtMostSevenDaysOld(t *testing.T) {
	rates := Table{}
	rates.Set("EUR", "USD", []DayRate{{time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC), dec("1.25")}})
	for after, want := range map[int]string{-1: "none", 0: "1.25 fresh", 7: "1.25 stale", 8: "none"} {
		got := "none"
		if rate, stale, ok := rates.Rate("EUR", "USD", day(after)); ok {
			got = rate.String() + map[bool]string{true: " stale", false: " fresh"}[stale]
		}
		if got != want {
			t.Errorf("%d days after: %s, want %s", after, got, want)
		}
	}
	if r, _, _ := rates.Rate("USD", "EUR", day(0)); r.String() != "0.8" {
		t.Errorf("turned: %s", r)
	}
}

func TestRounding(t *testing.T) {
	for in, want := range map[string]string{"0.005": "0.01", "-0.005": "-0.01", "0.0049999": "0.00", "2.675": "2.68", "-1.005": "-1.01", "1": "1.00"} {
		if got := FromDecimal(dec(in)).Round(2).StringFixed(2); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
	for in, want := range map[string]string{"123456.789123": "123456.79", "0.000123456789": "0.00012345679", "189.12": "189.12", "0": "0", "99999999.9": "100000000"} {
		if got := FromDecimal(dec(in)).Digits(8).String(); got != want {
			t.Errorf("%s to 8 digits: %s, want %s", in, got, want)
		}
	}
}

func TestDustClosesAndWhatIsMoreDoesNot(t *testing.T) {
	for _, c := range []struct{ text, left string }{
		{"buy 10 @ 10, sell 9.999999995 @ 11", "0"},         // 5e-9 is less than 1e-9 of what was sold
		{"buy 10 @ 10, sell 9.99999999 @ 11", "0.00000001"}, // 1e-8 is more
		{"buy 10 @ 10, sell 9.99999 @ 11", "0.00001"},
		{"buy 10 @ 10, sell 10.000000005 @ 11", "0"}, // also beyond zero, where the account may be short
		{"buy 10 @ 10, sell 10.00001 @ 11", "-0.00001"},
	} {
		for _, m := range []Method{Average, FIFO} {
			opts := usd
			opts.Method = m
			p := run(t, strings.ReplaceAll(c.text+" ", " @", " on S @"), opts)[0]
			if got := p.Quantity.Decimal(18).String(); got != c.left || c.left == "0" && !p.Cost.Value.IsZero() {
				t.Errorf("%s by %s leaves %s at %s, want %s", c.text, m, got, money(p.Cost), c.left)
			}
		}
	}
}
