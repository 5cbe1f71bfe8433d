package ledger

import "math/big"

// transferOut gives units away with their cost: no profit. To another account of the portfolio they
// bring their lots; elsewhere they leave.
func (p *position) transferOut(f *fact, accounts map[string]Account) {
	p.charge(f, f.Fee, f.Tax)
	n := p.chain.units(f.Quantity)
	held := p.pool.held()
	taken := p.give(f, n, held)
	to := p.chain.transfers[f.Pair]
	if to == nil {
		return
	}
	other := p.chain.at(to.Account, accounts)
	other.charge(to, to.Fee, to.Tax)
	other.arrive(taken, n, p.chain.units(to.Quantity))
	other.steps = append(other.steps, Step{At: f.At, Units: Exact{new(big.Int).Set(other.pool.held()), p.chain.perShare}})
}

// give takes n units out; those that are not there have an unknown cost.
func (p *position) give(f *fact, n, held *big.Int) []lot {
	there := new(big.Int).Set(n)
	if held.Sign() <= 0 {
		there.SetInt64(0)
	} else if held.Cmp(n) < 0 {
		there.Set(held)
	}
	var taken []lot
	if there.Sign() > 0 {
		taken = p.pool.take(there)
		p.depart(taken)
	}
	if missing := new(big.Int).Sub(n, there); missing.Sign() > 0 {
		p.oversell(f, missing)
		why := []string{"basis:" + string(p.chain.symbol)}
		taken = append(taken, lot{at: f.At, units: missing, why: unknowns{why, why}})
	}
	return taken
}

func (p *position) depart(lots []lot) {
	for _, l := range lots {
		p.moved = append(p.moved, l.inst.Neg())
		p.movedBase = append(p.movedBase, l.base.Neg())
	}
}

// arrive opens lots that were sent as n units and came as got: what got lost on the way (a network's
// fee in kind) leaves its cost with the rest.
func (p *position) arrive(lots []lot, n, got *big.Int) {
	left := new(big.Int).Set(got)
	for i, l := range lots {
		if n.Cmp(got) != 0 {
			l.units = new(big.Int).Quo(new(big.Int).Mul(l.units, got), n)
			if i == len(lots)-1 {
				l.units = new(big.Int).Set(left)
			}
			left.Sub(left, l.units)
		}
		if l.units.Sign() != 0 {
			p.enter(l)
		}
	}
}

// enter opens a lot that came with its cost. Against a short position it is delivered at that cost.
func (p *position) enter(l lot) {
	p.moved = append(p.moved, l.inst)
	p.movedBase = append(p.movedBase, l.base)
	held := p.pool.held()
	if held.Sign()*l.units.Sign() >= 0 {
		p.pool.open(l)
		return
	}
	n := new(big.Int).Abs(l.units)
	covered := n
	if cover := new(big.Int).Abs(held); cover.Cmp(n) < 0 {
		covered = cover
	}
	p.realisedWhy = p.realisedWhy.join(l.why).join(p.pool.close(covered, nil))
	if p.chain.foreign { // which day's rate the delivery had is not known
		p.realisedWhy.base = join(p.realisedWhy.base, []string{"basis:" + string(p.chain.symbol)})
	}
	if covered.Cmp(n) < 0 {
		rest := new(big.Int).Sub(n, covered)
		share := Exact{rest, n}
		if l.units.Sign() < 0 {
			rest.Neg(rest)
		}
		p.pool.open(lot{at: l.at, units: rest, inst: l.inst.Mul(share), base: l.base.Mul(share), why: l.why})
	}
}

// transferIn takes units from outside, at the cost that the row states, or at one that is not known.
func (p *position) transferIn(f *fact) {
	p.charge(f, f.Fee, f.Tax)
	l := lot{at: f.At, units: p.chain.units(f.Quantity), why: p.chain.why(f)}
	if f.hasValue() {
		l.inst, l.base = Exact{num: p.chain.inst(f, f.gross)}, Exact{num: p.chain.base(f, f.gross)}
	} else {
		why := []string{"basis:" + string(p.chain.symbol)}
		l.why = unknowns{why, why}
	}
	if l.units.Sign() != 0 {
		p.enter(l)
	}
}

// adjust states what is held and, where the row says it, what it cost. The difference is no profit:
// it counts as moved in or out.
func (p *position) adjust(f *fact) {
	p.charge(f, f.Fee, f.Tax)
	want, held := p.chain.units(f.Quantity), new(big.Int).Set(p.pool.held())
	if want.Sign() < 0 {
		want.SetInt64(0) // only a hand with SQL can write this
	}
	if f.hasValue() || held.Sign() < 0 {
		if held.Sign() != 0 {
			p.depart(p.pool.take(held.Abs(held)))
		}
		if want.Sign() > 0 {
			p.transferIn(&fact{Transaction: &Transaction{Quantity: f.Quantity, Price: f.Price, Amount: f.Amount, At: f.At},
				gross: f.gross, conv: f.conv, base: f.base, instrument: f.instrument})
		}
		return
	}
	switch more := new(big.Int).Sub(want, held); {
	case more.Sign() < 0:
		p.depart(p.pool.take(more.Neg(more)))
	case more.Sign() > 0:
		why := []string{"basis:" + string(p.chain.symbol)}
		p.pool.open(lot{at: f.At, units: more, why: unknowns{why, why}})
	}
}

// returnCapital lowers the cost of what is held; what exceeds it, or finds nothing held, is realised.
// Who is short pays it.
func (p *position) returnCapital(f *fact) {
	p.charge(f, f.Fee, f.Tax)
	inst, base := p.chain.inst(f, f.gross), p.chain.base(f, f.gross)
	held := p.pool.held()
	if held.Sign() < 0 {
		inst.Neg(inst)
		base.Neg(base)
	}
	p.flow.Add(&p.flow, inst)
	p.flowBase.Add(&p.flowBase, base)
	if held.Sign() == 0 {
		p.closing.Add(&p.closing, base)
		p.realisedWhy = p.realisedWhy.join(p.chain.why(f))
		return
	}
	if why := p.chain.why(f); len(why.inst)+len(why.base) > 0 {
		p.realisedWhy = p.realisedWhy.join(why) // the lots cannot say by how much they were lowered
	}
	before := p.costNow()
	p.pool.lower(inst, base)
	if excess := (Exact{num: inst}).Sub(before.Sub(p.costNow())); excess.Sign() != 0 {
		rate := Exact{num: scaled(f.instrument.rate, p.chain.rates), den: pow10(p.chain.rates)}
		p.priced = append(p.priced, p.chain.money(excess).Mul(rate))
		p.realisedWhy = p.realisedWhy.join(p.pool.unknown())
	}
}

// costNow is a copy: pools hand out what they go on changing.
func (p *position) costNow() Exact {
	inst, _ := p.pool.cost()
	num, den := inst.parts()
	return Exact{new(big.Int).Set(num), new(big.Int).Set(den)}
}
