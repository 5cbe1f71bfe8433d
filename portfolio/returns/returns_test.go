package returns

import (
	"math"
	"testing"
	"time"
)

func day(n int) time.Time { return time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, n) }

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-9*max(1, math.Abs(want)) {
		t.Errorf("%s = %.12f, want %.12f", what, got, want)
	}
}

func days(values ...float64) []Day {
	list := make([]Day, len(values))
	for i, v := range values {
		list[i] = Day{Date: day(i), Value: v, Known: true}
	}
	return list
}

func TestTWRIsTheChainOfDays(t *testing.T) {
	r, ok := TWR(days(100, 110, 99))
	near(t, "twr", r, -0.01)
	if !ok {
		t.Error("not known")
	}
}

func TestFlowsLeaveTWRUnchanged(t *testing.T) { // I6
	plain := days(100, 110, 99, 121)
	// As much again comes in at the start of the second day, at yesterday's price; half goes at the end of the third.
	flows := days(100, 220, 99, 121)
	flows[1].In, flows[2].Out = 100, 99
	a, _ := TWR(plain)
	b, ok := TWR(flows)
	if near(t, "twr with flows", b, a); !ok {
		t.Error("not known")
	}
}

func TestTWRIsUnknownRatherThanWrong(t *testing.T) {
	if _, ok := TWR(days(100, -1, 100)); ok {
		t.Error("a negative value has no time-weighted return")
	}
	list := days(100, 110, 120)
	list[1].Known = false
	if _, ok := TWR(list); ok {
		t.Error("a day of unknown worth has no return")
	}
}

func TestDietz(t *testing.T) {
	list := days(100, 100, 160, 170, 180)
	list[2].In = 50 // after one day of four: it counts for three
	r, _ := Dietz(list)
	near(t, "modified dietz", r, (180-100-50)/(100+50*0.75))
}

func TestXIRR(t *testing.T) {
	// The example of the spreadsheet programs' documentation: 37.3362535 %.
	flows := []Flow{{time.Date(2008, 1, 1, 0, 0, 0, 0, time.UTC), -10000}, {time.Date(2008, 3, 1, 0, 0, 0, 0, time.UTC), 2750},
		{time.Date(2008, 10, 30, 0, 0, 0, 0, time.UTC), 4250}, {time.Date(2009, 2, 15, 0, 0, 0, 0, time.UTC), 3250}, {time.Date(2009, 4, 1, 0, 0, 0, 0, time.UTC), 2750}}
	r, several, ok := XIRR(flows, 0)
	if math.Abs(r-0.3733625335) > 1e-8 || several || !ok {
		t.Error(r, several, ok)
	}
	r, _, _ = XIRR([]Flow{{day(0), -100}, {day(365), 110}}, 0)
	near(t, "one year", r, 0.1)
	r, _, _ = XIRR([]Flow{{day(0), -100}, {day(365), 1}}, 0)
	near(t, "a near-total loss", r, -0.99)
	if _, _, ok := XIRR([]Flow{{day(0), -100}, {day(365), -1}}, 0); ok {
		t.Error("only losses have no rate")
	}
	// −100, +230, −132 after one and two years: 10 % and 20 %.
	two := []Flow{{day(0), -100}, {day(365), 230}, {day(730), -132}}
	r, several, _ = XIRR(two, 0.19)
	if near(t, "the nearer of two", r, 0.2); !several {
		t.Error("two solutions are not flagged")
	}
	r, _, _ = XIRR(two, 0.02)
	near(t, "the nearer of two", r, 0.1)
}

func TestVolatilityAndDrawdown(t *testing.T) {
	growth := []float64{1, 1.1, 0.88, 1.32, 1.2}
	near(t, "drawdown", Drawdown(growth), -0.2)
	logs := []float64{math.Log(1.1), math.Log(0.8), math.Log(1.5), math.Log(1.2 / 1.32)}
	mean, sum := 0.0, 0.0
	for _, x := range logs {
		mean += x / 4
	}
	for _, x := range logs {
		sum += (x - mean) * (x - mean)
	}
	v, _ := Volatility(growth)
	near(t, "volatility", v, math.Sqrt(sum/3*TradingDays))
	if _, ok := Volatility([]float64{1, 1.1}); ok {
		t.Error("one return has no deviation")
	}
}
