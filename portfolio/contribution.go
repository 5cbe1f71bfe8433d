package portfolio

import (
	"context"
	"maps"
	"slices"
	"time"

	"rosetree/auth"
	"rosetree/portfolio/returns"
)

// Contribution is one holding's part in the gain of a range.
type Contribution struct {
	Symbol       string `json:"symbol"`
	Name         string `json:"name"`
	StartValue   Figure `json:"start_value"`
	EndValue     Figure `json:"end_value"`
	NetFlow      Figure `json:"net_flow"`
	Gain         Figure `json:"gain"`
	Contribution Figure `json:"contribution"` // of the portfolio's start value and net inflow, as a fraction
}

type contributionView struct {
	Range    string         `json:"range"`
	From     time.Time      `json:"from"`
	To       time.Time      `json:"to"`
	Currency string         `json:"currency"`
	Holdings []Contribution `json:"holdings"`
}

// contribution says what each holding did to the result. The parts are of the average capital that the
// modified Dietz return is of, so that they add up to that return where cash is not tracked.
func (s *Service) contribution(ctx context.Context, p auth.Principal, in performanceQuery) (out contributionView, err error) {
	whole, err := s.pastOf(ctx, p, in.Portfolio, in.rangeQuery)
	if err != nil {
		return out, err
	}
	l, _, err := s.open(ctx, p, in.Portfolio, 0)
	if err != nil {
		return out, err
	}
	base, hide := whole.view.base, whole.share != nil && whole.share.hide
	capital := returns.Capital(whole.days())
	out = contributionView{Range: whole.span.name, From: whole.span.from, To: whole.span.to, Currency: base, Holdings: []Contribution{}}
	for _, symbol := range slices.Sorted(maps.Keys(whole.view.positions)) {
		view := l.look(scope{account: in.Account, symbol: symbol})
		c, err := s.curve(ctx, l, view, whole.span.from, whole.span.to)
		if err != nil {
			return out, err
		}
		n := len(c.value)
		flow := c.flows(0, n)
		gain := c.value[n-1].Sub(c.value[0]).Sub(flow)
		if gain.Known() && gain.Value.IsZero() && c.value[n-1].Value.IsZero() && c.value[0].Value.IsZero() && flow.Value.IsZero() {
			continue
		}
		part := Contribution{Symbol: string(symbol), Name: view.insts[symbol].Name, StartValue: money(c.value[0], base), EndValue: money(c.value[n-1], base),
			NetFlow: money(flow, base), Gain: money(gain, base)}
		if gain.Known() && capital > 0 {
			part.Contribution = fraction(gain.Value.Float() / capital)
		}
		if hide {
			part.StartValue, part.EndValue, part.NetFlow, part.Gain = "", "", "", ""
		}
		out.Holdings = append(out.Holdings, part)
	}
	return out, nil
}
