package portfolio

import (
	"context"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"rosetree/auth"
	"rosetree/internal/api"
	"rosetree/portfolio/ledger"
	"rosetree/portfolio/returns"
	"rosetree/prices"
)

// span is what a range means: the days from … to, both included.
type span struct {
	name     string
	from, to time.Time
}

// rangeQuery is how clients say over which time, and over what of the portfolio.
type rangeQuery struct {
	Range     string `json:"range"` // 1D 1W 1M 3M 6M YTD 1Y 3Y 5Y ALL; or From and To
	From      string `json:"from"`
	To        string `json:"to"`
	Account   string `json:"account"`
	Symbol    string `json:"symbol"`
	Benchmark string `json:"benchmark"` // an instrument to compare with
}

// span reads the range; first is the day of the portfolio's first transaction.
func (q rangeQuery) span(first, now time.Time) (span, error) {
	today := now.UTC().Truncate(oneDay)
	sp := span{name: strings.ToUpper(q.Range), to: today}
	if q.From != "" || q.To != "" {
		return q.custom(sp, first)
	}
	switch sp.name {
	case "":
		sp.name, sp.from = "1Y", today.AddDate(-1, 0, 1)
	case "1D":
		sp.from = today
	case "1W":
		sp.from = today.AddDate(0, 0, -6)
	case "1M":
		sp.from = today.AddDate(0, -1, 1)
	case "3M":
		sp.from = today.AddDate(0, -3, 1)
	case "6M":
		sp.from = today.AddDate(0, -6, 1)
	case "YTD":
		sp.from = time.Date(today.Year(), 1, 1, 0, 0, 0, 0, time.UTC)
	case "1Y":
		sp.from = today.AddDate(-1, 0, 1)
	case "3Y":
		sp.from = today.AddDate(-3, 0, 1)
	case "5Y":
		sp.from = today.AddDate(-5, 0, 1)
	case "ALL":
		sp.from = first
	default:
		return sp, api.Invalid("range", "must be 1D, 1W, 1M, 3M, 6M, YTD, 1Y, 3Y, 5Y or ALL")
	}
	if sp.from.Before(first) {
		sp.from = first
	}
	return sp, nil
}

func (q rangeQuery) custom(sp span, first time.Time) (span, error) {
	if q.Range != "" {
		return sp, api.Invalid("range", "give range, or from and to, not both")
	}
	sp.name, sp.from = "custom", first
	for _, end := range []struct {
		field, text string
		day         *time.Time
	}{{"from", q.From, &sp.from}, {"to", q.To, &sp.to}} {
		if end.text == "" {
			continue
		}
		t, err := parseTime(end.field, end.text)
		if err != nil {
			return sp, err
		}
		if *end.day = t.UTC().Truncate(oneDay); end.day.After(sp.to) {
			return sp, api.Invalid(end.field, "is later than %s", sp.to.Format(time.DateOnly))
		}
	}
	if sp.from.After(sp.to) {
		return sp, api.Invalid("from", "is later than to")
	}
	if sp.from.Before(first) {
		sp.from = first
	}
	return sp, nil
}

// pastOf is a portfolio's curve over a range, with whose it is and what it was asked for.
type pastOf struct {
	*curve
	span  span
	view  *ledgerView
	live  *live
	share *share
	bench series // empty where none is asked for
	inst  prices.Instrument
}

// pastOf opens a portfolio and makes the curve of a request.
func (s *Service) pastOf(ctx context.Context, p auth.Principal, id ID, q rangeQuery) (*pastOf, error) {
	l, sh, err := s.open(ctx, p, id, 0)
	if err != nil {
		return nil, err
	}
	sc := scope{account: q.Account}
	if q.Symbol != "" {
		if sc.symbol, err = parseSymbol("symbol", q.Symbol); err != nil {
			return nil, err
		}
	}
	if sc.account != "" && !l.hasAccount(sc.account) {
		return nil, api.NotFound("account")
	}
	out := &pastOf{view: l.look(sc), live: l, share: sh}
	first := out.view.at.Truncate(oneDay)
	if i := slices.IndexFunc(out.view.rows, sc.has); i >= 0 {
		first = out.view.rows[i].At.Truncate(oneDay)
	}
	if out.span, err = q.span(first, out.view.at); err != nil {
		return nil, err
	}
	if out.curve, err = s.curve(ctx, l, out.view, out.span.from, out.span.to); err != nil {
		return nil, err
	}
	return out, s.compare(ctx, l, q.Benchmark, out)
}

// compare reads the benchmark's closes.
func (s *Service) compare(ctx context.Context, l *live, symbol string, out *pastOf) (err error) {
	if symbol == "" {
		return nil
	}
	parsed, err := parseSymbol("benchmark", symbol)
	if err != nil {
		return err
	}
	inst, known := s.market.Instrument(parsed)
	if !known {
		return &api.Problem{Status: 404, Code: "unknown_symbol", Field: "benchmark", Message: string(parsed) + " is no instrument that is known here"}
	}
	inst.Symbol = parsed
	if out.bench, err = s.closesOf(ctx, l, inst, out.first.Add(-priceAge), out.span.to); err != nil {
		return err
	}
	out.inst = inst
	if out.view.base == inst.Currency {
		return nil
	}
	table, err := s.rates.table(ctx, out.view.base, []string{inst.Currency})
	for pair, days := range table {
		if _, there := out.view.rates[pair]; !there {
			if out.view.rates == nil {
				out.view.rates = ledger.Table{}
			}
			rates := make(ledger.Table, len(out.view.rates)+1)
			maps.Copy(rates, out.view.rates)
			rates[pair] = days
			out.view.rates = rates
		}
	}
	return err
}

// benchmarks are the benchmark's worth on each day in the base currency; NaN where it is not known.
func (p *pastOf) benchmarks() []float64 {
	if p.inst.Symbol == "" {
		return nil
	}
	list := make([]float64, len(p.value))
	for i := range list {
		list[i] = math.NaN()
		price, ok := p.bench.at(p.day(i), priceAge)
		if rate := p.rate(p.view, p.inst.Currency, i); ok && rate.Known() {
			list[i] = price.worth().Mul(rate.Value).Float()
		}
	}
	return list
}

// days are the curve for the statistics.
func (p *pastOf) days() []returns.Day {
	list := make([]returns.Day, len(p.value))
	for i := range list {
		in, out := p.in[i], p.out[i]
		list[i] = returns.Day{Date: p.day(i), Value: p.value[i].Value.Float(), In: in.Value.Float(), Out: out.Value.Float(),
			Known: p.value[i].Known() && in.Known() && out.Known()}
	}
	return list
}

// Point is the worth at the end of a day, or of some minutes of today (the last one: now), with what had come in since the start.
type Point struct {
	T         time.Time `json:"t"`
	Value     Figure    `json:"value"`
	NetFlow   Figure    `json:"net_flow"`            // since the point before
	TWR       Figure    `json:"twr"`                 // since the start, as a fraction
	Benchmark Figure    `json:"benchmark,omitempty"` // its return since the start, as a fraction
}

type historyQuery struct {
	which
	rangeQuery
	Points int `json:"points"`
}

type historyView struct {
	Range    string    `json:"range"`
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	Currency string    `json:"currency"`
	Version  int64     `json:"version"`
	Points   []Point   `json:"points"`
	Missing  []string  `json:"missing"`
}

// history is the value series: the first point is the end of the day before the range. That of 1D goes in
// steps of minutes since 00:00 UTC.
func (s *Service) history(ctx context.Context, p auth.Principal, in historyQuery) (historyView, error) {
	if in.Points == 0 {
		in.Points = 400
	}
	if in.Points < 2 || in.Points > 10_000 {
		return historyView{}, api.Invalid("points", "must be from 2 to 10000")
	}
	past, err := s.pastOf(ctx, p, in.Portfolio, in.rangeQuery)
	if err == nil && past.span.name == "1D" {
		err = s.intraday(ctx, past, in.Points)
	}
	if err != nil {
		return historyView{}, err
	}
	out := historyView{Range: past.span.name, From: past.span.from, To: past.span.to, Currency: past.view.base, Version: past.view.version, Points: []Point{}, Missing: []string{}}
	growth, known := past.growth()
	bench := past.benchmarks()
	flow := ledger.Amount{}
	for i := range past.value {
		flow = flow.Add(past.in[i]).Sub(past.out[i])
		out.Missing = union(out.Missing, past.value[i].Missing)
		if !past.keeps(i, in.Points) {
			continue
		}
		point := Point{T: past.end(i), Value: money(past.value[i], past.view.base), NetFlow: money(flow, past.view.base)}
		if point.T.After(past.view.at) {
			point.T = past.view.at.Truncate(time.Second)
		}
		if known {
			point.TWR = fraction(growth[i] - 1)
		}
		if bench != nil {
			point.Benchmark = fraction(bench[i]/bench[0] - 1)
		}
		if past.share != nil && past.share.hide {
			point.Value, point.NetFlow = "", ""
		}
		out.Points = append(out.Points, point)
		flow = ledger.Amount{}
	}
	return out, nil
}

// keeps tells whether day i is among so many points, evenly spread, first and last included.
func (c *curve) keeps(i, points int) bool {
	n := len(c.value)
	if n <= points || i == n-1 || i == 0 {
		return true
	}
	return i*(points-1)/(n-1) != (i-1)*(points-1)/(n-1)
}

func union(a, b []string) []string {
	for _, s := range b {
		if !slices.Contains(a, s) {
			a = append(a, s)
		}
	}
	return a
}

// fraction shows a statistic; what is no number is null.
func fraction(f float64) Figure {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return ""
	}
	return Figure(strconv.FormatFloat(f, 'f', 8, 64))
}
