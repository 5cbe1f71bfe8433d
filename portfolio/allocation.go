package portfolio

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"rosetree/auth"
	"rosetree/internal/api"
	"rosetree/portfolio/ledger"
)

// Slice is one part of an allocation.
type Slice struct {
	Key    string `json:"key"`
	Name   string `json:"name"`
	Value  Figure `json:"value"`
	Weight Figure `json:"weight"` // per cent, by largest remainder; null where not every value is known
}

type allocationQuery struct {
	which
	By string `json:"by"`
}

type allocationView struct {
	By       string   `json:"by"`
	Currency string   `json:"currency"`
	Slices   []Slice  `json:"slices"`
	Missing  []string `json:"missing"`
}

// allocation divides what is held now: by class, currency, account or symbol. Cash is a class of its own.
func (s *Service) allocation(ctx context.Context, p auth.Principal, in allocationQuery) (out allocationView, err error) {
	if in.By == "" {
		in.By = "class"
	}
	if !slices.Contains([]string{"class", "currency", "account", "symbol"}, in.By) {
		return out, api.Invalid("by", "must be class, currency, account or symbol")
	}
	l, sh, err := s.open(ctx, p, in.Portfolio, 0)
	if err != nil {
		return out, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	v := l.view()
	parts, names := map[string]ledger.Amount{}, map[string]string{}
	add := func(key, name string, worth ledger.Amount) {
		parts[key], names[key] = parts[key].Add(worth), name
	}
	for _, x := range v.all() {
		v.divide(in.By, x, l.ledger.Accounts, add)
	}
	for id, m := range v.state.Money {
		for currency, balance := range m.Cash {
			worth := times(ledger.Amount{Value: ledger.FromDecimal(balance)}, v.rate(currency))
			switch in.By {
			case "class", "symbol":
				add("cash", "Cash", worth)
			case "currency":
				add(currency, currency, worth)
			case "account":
				add(id, l.ledger.Accounts[id].Name, worth)
			}
		}
	}
	out = allocationView{By: in.By, Currency: v.base, Slices: []Slice{}, Missing: []string{}}
	out.fill(parts, names, sh != nil && sh.hide)
	return out, nil
}

func (v *view) divide(by string, x *valued, accounts map[string]ledger.Account, add func(key, name string, worth ledger.Amount)) {
	if x.quantity.IsZero() {
		return
	}
	switch by {
	case "class":
		add(string(x.inst.Kind), string(x.inst.Kind), x.valueBase)
	case "currency":
		add(x.currency, x.currency, x.valueBase)
	case "symbol":
		add(string(x.inst.Symbol), x.inst.Name, x.valueBase)
	case "account":
		for _, p := range x.positions {
			worth := x.valueBase
			worth.Value = worth.Value.Mul(p.Quantity).Quo(x.quantity)
			add(p.Account, accounts[p.Account].Name, worth)
		}
	}
}

func (out *allocationView) fill(parts map[string]ledger.Amount, names map[string]string, hide bool) {
	keys := slices.Sorted(maps.Keys(parts))
	slices.SortStableFunc(keys, func(a, b string) int { return cmp.Compare(parts[b].Value.Float(), parts[a].Value.Float()) })
	values := make([]ledger.Amount, len(keys))
	for i, key := range keys {
		values[i] = parts[key]
		out.Missing = union(out.Missing, values[i].Missing)
	}
	weights := shares(values)
	for i, key := range keys {
		if values[i].Known() && values[i].Value.IsZero() {
			continue
		}
		s := Slice{Key: key, Name: names[key], Value: money(values[i], out.Currency), Weight: weights[i]}
		if hide {
			s.Value = ""
		}
		out.Slices = append(out.Slices, s)
	}
}
