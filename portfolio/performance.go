package portfolio

import (
	"context"
	"math"
	"time"

	"rosetree/auth"
	"rosetree/portfolio/ledger"
	"rosetree/portfolio/returns"
)

// Performance is what a portfolio, an account or a holding earned over a range. Returns are fractions:
// 0.05 is five per cent. What cannot be known is null (rule 6).
type Performance struct {
	Range         string    `json:"range"`
	From          time.Time `json:"from"`
	To            time.Time `json:"to"`
	Currency      string    `json:"currency"`
	TWR           Figure    `json:"twr"`
	XIRR          Figure    `json:"xirr"`
	XIRRFlag      string    `json:"xirr_flag,omitempty"` // "several_solutions": the one nearest the modified Dietz return is shown
	ModifiedDietz Figure    `json:"modified_dietz"`
	Volatility    Figure    `json:"volatility"` // of daily log returns, for a year
	MaxDrawdown   Figure    `json:"max_drawdown"`
	StartValue    Figure    `json:"start_value"`
	EndValue      Figure    `json:"end_value"`
	NetFlow       Figure    `json:"net_flow"`
	Gain          Figure    `json:"gain"` // end − start − net flow
	Missing       []string  `json:"missing"`
	Benchmark     *Compared `json:"benchmark,omitempty"`
}

// Compared is what the benchmark did over the same range.
type Compared struct {
	Symbol      string `json:"symbol"`
	Return      Figure `json:"return"`
	Volatility  Figure `json:"volatility"`
	MaxDrawdown Figure `json:"max_drawdown"`
	Excess      Figure `json:"excess"` // TWR minus its return
}

type performanceQuery struct {
	which
	rangeQuery
}

func (s *Service) performance(ctx context.Context, p auth.Principal, in performanceQuery) (out Performance, err error) {
	past, err := s.pastOf(ctx, p, in.Portfolio, in.rangeQuery)
	if err != nil {
		return out, err
	}
	base, n := past.view.base, len(past.value)
	flow := past.flows(0, n)
	start, end := past.value[0], past.value[n-1]
	out = Performance{Range: past.span.name, From: past.span.from, To: past.span.to, Currency: base, StartValue: money(start, base), EndValue: money(end, base),
		NetFlow: money(flow, base), Gain: money(end.Sub(start).Sub(flow), base), Missing: union([]string{}, end.Add(start).Add(flow).Missing)}
	days := past.days()
	dietz, dietzOK := returns.Dietz(days)
	if dietzOK {
		out.ModifiedDietz = fraction(dietz)
	}
	if known := end.Add(start).Add(flow).Known(); known {
		if rate, several, ok := returns.XIRR(flowsOf(days), annual(dietz, n-1)); ok {
			out.XIRR = fraction(rate)
			if several {
				out.XIRRFlag = "several_solutions"
			}
		}
	}
	past.statistics(days, &out)
	if past.share != nil && past.share.hide {
		out.StartValue, out.EndValue, out.NetFlow, out.Gain = "", "", "", ""
	}
	return out, nil
}

// statistics are what the daily chain says. Days on which nothing trades are no returns of their own.
func (p *pastOf) statistics(days []returns.Day, out *Performance) {
	growth, ok := returns.Cumulative(days)
	for i := range days {
		out.Missing = union(out.Missing, p.value[i].Missing)
	}
	if ok {
		out.TWR = fraction(growth[len(growth)-1] - 1)
		out.MaxDrawdown = fraction(returns.Drawdown(growth))
		if v, ok := returns.Volatility(p.trading(growth)); ok {
			out.Volatility = fraction(v)
		}
	}
	bench := p.benchmarks()
	if bench == nil {
		return
	}
	c := &Compared{Symbol: string(p.inst.Symbol), Return: fraction(bench[len(bench)-1]/bench[0] - 1)}
	if c.Return != "" {
		c.MaxDrawdown = fraction(returns.Drawdown(bench))
		if v, ok := returns.Volatility(p.trading(bench)); ok {
			c.Volatility = fraction(v)
		}
		if ok {
			c.Excess = fraction(growth[len(growth)-1] - bench[len(bench)-1]/bench[0])
		}
	}
	out.Benchmark = c
}

// trading keeps the days on which something held had a price, and the first and the last.
func (p *pastOf) trading(growth []float64) (list []float64) {
	for i, g := range growth {
		if i == 0 || i == len(growth)-1 || p.traded[i] {
			list = append(list, g)
		}
	}
	return list
}

// flows is what came in less what left from day i on, before day j.
func (c *curve) flows(i, j int) (sum ledger.Amount) {
	for ; i < j; i++ {
		sum = sum.Add(c.in[i]).Sub(c.out[i])
	}
	return sum
}

// flowsOf are a series' flows as its owner sees them: the start is put in, the end is taken out.
func flowsOf(days []returns.Day) (flows []returns.Flow) {
	for i, d := range days {
		amount := d.Out - d.In
		switch i {
		case 0:
			amount = -d.Value
		case len(days) - 1:
			amount += d.Value
		}
		if amount != 0 || i == len(days)-1 {
			flows = append(flows, returns.Flow{At: d.Date, Amount: amount})
		}
	}
	return flows
}

// annual is a return over so many days as a yearly one.
func annual(r float64, days int) float64 {
	if days < 1 || r <= -1 {
		return r
	}
	return math.Pow(1+r, 365/float64(days)) - 1
}
