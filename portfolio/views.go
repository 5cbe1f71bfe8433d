package portfolio

import (
	"context"
	"time"

	"rosetree/auth"
	"rosetree/internal/api"
	"rosetree/portfolio/ledger"
)

type holdingsQuery struct {
	which
	AsOf       string `json:"as_of"`
	CostMethod string `json:"cost_method"`
	Costs      string `json:"costs"`
	Account    string `json:"account"`
	Lots       bool   `json:"lots"`
	Closed     bool   `json:"closed"` // positions that are closed as well
}

type holdingsView struct {
	Version  int64     `json:"version"`
	AsOf     time.Time `json:"as_of"`
	Holdings []Holding `json:"holdings"`
	Totals   Totals    `json:"totals"`
}

// holdings shows a portfolio: now or at the end of a day in the past, by its own settings or by the request's.
func (s *Service) holdings(ctx context.Context, p auth.Principal, in holdingsQuery) (out holdingsView, err error) {
	l, sh, err := s.open(ctx, p, in.Portfolio, 0)
	if err != nil {
		return out, err
	}
	change, asOf, err := in.settings(time.Now())
	if err != nil {
		return out, err
	}
	if in.Account != "" && !l.hasAccount(in.Account) {
		return out, api.NotFound("account")
	}
	if sh != nil && sh.hide && (in.Lots || in.Account != "") {
		return out, api.Forbidden("this portfolio is shared without amounts")
	}
	var past *pastMoment
	if !asOf.IsZero() {
		if past, err = l.momentAt(ctx, asOf); err != nil {
			return out, err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	v := l.view()
	v.account = in.Account
	own := v.opts
	change(&v.opts)
	if past != nil {
		v.at, v.opts.AsOf, v.opts.Until = past, asOf, asOf
	}
	if v.opts != own {
		v.state = l.ledger.Replay(v.inst, v.rates, v.opts)
	}
	out = holdingsView{Version: l.settings.version, AsOf: time.Now().UTC()}
	if past != nil {
		out.AsOf = asOf
	}
	out.Holdings, out.Totals = v.show(in.Lots, in.Closed)
	if sh != nil && sh.hide {
		out.Holdings, out.Totals = hideHoldings(out.Holdings), hideTotals(out.Totals)
	}
	return out, nil
}

// settings are what the request asks to see otherwise than the portfolio's own; asOf is zero for now.
func (in holdingsQuery) settings(now time.Time) (change func(*ledger.Options), asOf time.Time, err error) {
	var method ledger.Method
	var costs ledger.Costs
	if in.CostMethod != "" {
		if method, err = parseMethod("cost_method", in.CostMethod); err != nil {
			return nil, asOf, err
		}
	}
	if in.Costs != "" {
		if costs, err = parseCosts("costs", in.Costs); err != nil {
			return nil, asOf, err
		}
	}
	if in.AsOf != "" {
		if asOf, err = parseAsOf(in.AsOf, now); err != nil {
			return nil, asOf, err
		}
	}
	return func(o *ledger.Options) {
		if method != "" {
			o.Method, o.Force = method, true
		}
		if costs != "" {
			o.Costs = costs
		}
	}, asOf, nil
}

// parseAsOf reads a day, meant is its end, or a moment. Today and later is now.
func parseAsOf(text string, now time.Time) (time.Time, error) {
	t, err := parseTime("as_of", text)
	if err != nil {
		return t, err
	}
	if len(text) == len(time.DateOnly) {
		t = t.Add(24*time.Hour - time.Microsecond)
	}
	if t.After(now) {
		return time.Time{}, nil
	}
	return t.UTC(), nil
}

func (l *live) hasAccount(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.ledger.Accounts[id]
	return ok
}
