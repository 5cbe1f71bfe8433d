// Package returns turns a series of daily values and flows into figures of return (rules 6). Returns are
// statistics: they are floats. Money goes in already summed exactly.
package returns

import (
	"math"
	"time"
)

// Day is the worth of something at the end of a day, and what flowed on it: In at its start, Out at its end.
type Day struct {
	Date    time.Time
	Value   float64
	In, Out float64
	Known   bool // false: the worth is not known, and no return over the day is
}

// Flow is money at a time, seen from its owner: what was put in is negative.
type Flow struct {
	At     time.Time
	Amount float64
}

// Cumulative is the growth of 1 by the daily chain r = (V + out)/(V₋₁ + in) − 1, one number per day after
// the first. ok is false where a value is negative or not known: then there is no time-weighted return.
func Cumulative(days []Day) (growth []float64, ok bool) {
	total := 1.0
	growth = make([]float64, 0, len(days))
	for i := range days {
		d := &days[i]
		if !d.Known || d.Value < 0 {
			return nil, false
		}
		if i > 0 {
			base := days[i-1].Value + d.In
			if base < 0 || d.Value+d.Out < 0 {
				return nil, false
			}
			if base > 0 {
				total *= (d.Value + d.Out) / base
			}
		}
		growth = append(growth, total)
	}
	return growth, len(days) > 0
}

// TWR is the time-weighted return over days; the first one is the start.
func TWR(days []Day) (float64, bool) {
	growth, ok := Cumulative(days)
	if !ok {
		return 0, false
	}
	return growth[len(growth)-1] - 1, true
}

// Dietz is the modified Dietz return: (end − start − F)/(start + Σ (1−w)·F), w being the part of the span
// that has passed. In counts from the start of its day, Out from the end.
func Dietz(days []Day) (float64, bool) {
	capital := Capital(days)
	if capital <= 0 {
		return 0, false
	}
	net := 0.0
	for _, d := range days[1:] {
		net += d.In - d.Out
	}
	return (days[len(days)-1].Value - days[0].Value - net) / capital, true
}

// Capital is the denominator of Dietz: what was at work on average; 0 where it is not known.
func Capital(days []Day) float64 {
	if len(days) < 2 || !days[0].Known || !days[len(days)-1].Known {
		return 0
	}
	span := float64(len(days) - 1)
	weighted := days[0].Value
	for i, d := range days[1:] {
		weighted += d.In*(span-float64(i))/span - d.Out*(span-float64(i+1))/span
	}
	return weighted
}

// TradingDays is how many daily returns make a year, for the volatility.
const TradingDays = 252

// Volatility is the sample deviation of the daily log returns, for a year. Days on which nothing moved
// because nothing trades (weekends) are left out by the caller.
func Volatility(growth []float64) (float64, bool) {
	var logs []float64
	for i := 1; i < len(growth); i++ {
		if growth[i-1] <= 0 || growth[i] <= 0 {
			return 0, false
		}
		logs = append(logs, math.Log(growth[i]/growth[i-1]))
	}
	if len(logs) < 2 {
		return 0, false
	}
	mean := 0.0
	for _, x := range logs {
		mean += x
	}
	mean /= float64(len(logs))
	sum := 0.0
	for _, x := range logs {
		sum += (x - mean) * (x - mean)
	}
	return math.Sqrt(sum/float64(len(logs)-1)) * math.Sqrt(TradingDays), true
}

// Drawdown is the deepest fall from a peak, as a fraction: -0.25 is a quarter lost.
func Drawdown(growth []float64) float64 {
	peak, deepest := 0.0, 0.0
	for _, g := range growth {
		peak = max(peak, g)
		if peak > 0 {
			deepest = min(deepest, g/peak-1)
		}
	}
	return deepest
}

// XIRR solves Σ cf/(1+r)^(days/365) = 0, from the first flow on. It looks at all of (−0.9999999, 1e6): with
// no solution there is none, with several it takes the one nearest near, and says so.
func XIRR(flows []Flow, near float64) (rate float64, several, ok bool) {
	if len(flows) < 2 {
		return 0, false, false
	}
	first := flows[0].At
	for _, f := range flows {
		if f.At.Before(first) {
			first = f.At
		}
	}
	// In u = ln(1+r) every term is an exponential, which scans evenly.
	value := func(u float64) (sum float64) {
		for _, f := range flows {
			sum += f.Amount * math.Exp(-u*f.At.Sub(first).Hours()/24/365)
		}
		return sum
	}
	var roots []float64
	low, high := math.Log(1e-7), math.Log(1e6+1)
	const steps = 1200
	a, fa := low, value(low)
	for i := 1; i <= steps; i++ {
		b := low + (high-low)*float64(i)/steps
		fb := value(b)
		if fa == 0 {
			roots = append(roots, math.Expm1(a))
		} else if fa*fb < 0 {
			roots = append(roots, math.Expm1(bisect(value, a, b)))
		}
		a, fa = b, fb
	}
	if len(roots) == 0 {
		return 0, false, false
	}
	best := roots[0]
	for _, r := range roots {
		if math.Abs(r-near) < math.Abs(best-near) {
			best = r
		}
	}
	return best, len(roots) > 1, true
}

func bisect(f func(float64) float64, a, b float64) float64 {
	fa := f(a)
	for range 200 {
		m := (a + b) / 2
		fm := f(m)
		if m == a || m == b || fm == 0 {
			return m
		}
		if (fa < 0) == (fm < 0) {
			a, fa = m, fm
		} else {
			b = m
		}
	}
	return (a + b) / 2
}
