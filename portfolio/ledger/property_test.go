package ledger

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"rosetree/prices"
)

// world is a random ledger with everything that its replay asks for.
type world struct {
	seed     uint64
	rng      *rand.Rand
	accounts []Account
	rows     []*Transaction
	insts    map[prices.Symbol]prices.Instrument
	rates    Table
	held     map[string]*big.Rat // by account and symbol, in shares of the day
	now      time.Time
	seq      int64
}

var currencies = []string{"USD", "EUR", "JPY"}

// seeds are random and printed; LEDGER_SEED repeats one.
func seeds(t *testing.T, n int) []uint64 {
	if s := os.Getenv("LEDGER_SEED"); s != "" {
		seed, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return []uint64{seed}
	}
	list := make([]uint64, n)
	for i := range list {
		list[i] = rand.Uint64() >> 16
	}
	t.Logf("seeds %v (LEDGER_SEED=n repeats one)", list)
	return list
}

func newWorld(seed uint64, n, symbols int) *world {
	w := &world{seed: seed, rng: rand.New(rand.NewPCG(seed, 1)), insts: map[prices.Symbol]prices.Instrument{}, rates: Table{},
		held: map[string]*big.Rat{}, now: time.Date(2016, 1, 4, 9, 0, 0, 0, time.UTC)}
	w.accounts = []Account{{ID: "A"}, {ID: "B", Method: FIFO, Currency: "EUR"}, {ID: "S", Short: true, TracksCash: true}}
	span := 8 * 365
	for i := range symbols {
		s := prices.Symbol(fmt.Sprintf("SYM%d", i))
		inst := prices.Instrument{Symbol: s, Currency: currencies[i%3], Multiplier: decimal.NewFromInt([]int64{1, 1, 100}[i%3])}
		for range w.rng.IntN(3) {
			r := [][2]int64{{3, 1}, {7, 3}, {1, 10}, {2, 1}}[w.rng.IntN(4)]
			inst.Splits = append(inst.Splits, prices.Split{ExDate: w.now.Truncate(24*time.Hour).AddDate(0, 0, w.rng.IntN(span)), N: r[0], D: r[1]})
		}
		w.insts[s] = inst
	}
	w.fillRates(span)
	for range n {
		w.now = w.now.Add(time.Duration(w.rng.IntN(2*span*24/n+1)) * time.Hour)
		w.step(symbols)
	}
	return w
}

func (w *world) fillRates(days int) {
	for pair, around := range map[[2]string]float64{{"EUR", "USD"}: 1.1, {"USD", "JPY"}: 120, {"EUR", "JPY"}: 130} {
		var list []DayRate
		for i := range 3 * days {
			r := decimal.NewFromFloat(around * (0.9 + 0.2*w.rng.Float64())).Truncate(5)
			list = append(list, DayRate{w.now.Truncate(24*time.Hour).AddDate(0, 0, i), r})
		}
		w.rates.Set(pair[0], pair[1], list)
	}
}

func (w *world) number(most int64, places int32) decimal.Decimal {
	n := w.rng.Int64N(most*int64(big.NewInt(0).Exp(ten, big.NewInt(int64(places)), nil).Int64())) + 1
	return decimal.New(n, -places)
}

var kinds = []Type{Buy, Buy, Buy, Buy, Sell, Sell, Sell, Dividend, Interest, Fee, Tax, Deposit, Withdrawal, TransferIn, TransferOut, StockDividend, ReturnOfCapital, Reward, Adjustment}

func (w *world) step(symbols int) {
	w.seq++
	t := &Transaction{ID: fmt.Sprintf("%06d", w.seq), Seq: w.seq, At: w.now, Type: kinds[w.rng.IntN(len(kinds))],
		Account: w.accounts[w.rng.IntN(3)].ID, Symbol: prices.Symbol(fmt.Sprintf("SYM%d", w.rng.IntN(symbols)))}
	inst := w.insts[t.Symbol]
	t.Currency = inst.Currency
	if w.rng.IntN(10) == 0 {
		t.Currency = currencies[w.rng.IntN(3)]
	}
	if w.rng.IntN(3) == 0 {
		t.Fee = w.number(9, 2)
	}
	if w.rng.IntN(5) == 0 {
		t.Tax = w.number(5, 2)
	}
	switch t.Type {
	case Deposit, Withdrawal:
		t.Symbol, t.Amount = "", decimal.NewNullDecimal(w.number(5000, 2))
	case Dividend, Interest, Fee, Tax, ReturnOfCapital:
		t.Amount = decimal.NewNullDecimal(w.number(50, 2))
	default:
		if !w.move(t) {
			return
		}
	}
	w.rows = append(w.rows, t)
}

// move fills a row that changes units, so that accounts that may not be short never are.
func (w *world) move(t *Transaction) bool {
	held := w.heldAt(t.Account, t.Symbol)
	t.Quantity = w.number(100, int32(w.rng.IntN(4)))
	if w.rng.IntN(4) == 0 {
		t.Amount = decimal.NewNullDecimal(w.number(9000, 2))
	} else {
		t.Price = decimal.NewNullDecimal(w.number(500, int32(w.rng.IntN(5))))
	}
	short := t.Account == "S"
	if t.Type == Sell && !short || t.Type == TransferOut || t.Type == Adjustment {
		if held.Sign() <= 0 {
			return false
		}
		if w.rng.IntN(4) == 0 || rat(t.Quantity).Cmp(held) > 0 { // all of it, as far as a decimal can say
			t.Quantity = Fraction(held.Num(), held.Denom()).Round(12)
			if rat(t.Quantity).Cmp(held) > 0 {
				t.Quantity = t.Quantity.Sub(decimal.New(1, -12))
			}
		}
	}
	if held.Sign() < 0 && (t.Type == TransferIn || t.Type == Adjustment) {
		return false
	}
	q := rat(t.Quantity)
	switch t.Type {
	case Sell:
		w.change(t, held, new(big.Rat).Neg(q))
	case TransferOut:
		t.Price, t.Amount = decimal.NullDecimal{}, decimal.NullDecimal{}
		w.change(t, held, new(big.Rat).Neg(q))
		if w.rng.IntN(2) == 0 {
			w.deliver(t)
		}
	case Adjustment:
		if w.rng.IntN(2) == 0 {
			t.Price, t.Amount = decimal.NullDecimal{}, decimal.NullDecimal{}
		}
		w.change(t, held, sub(q, held))
	default:
		w.change(t, held, q)
	}
	return true
}

// deliver makes t one side of an internal transfer.
func (w *world) deliver(t *Transaction) {
	to := w.accounts[w.rng.IntN(2)].ID
	if to == t.Account || w.heldAt(to, t.Symbol).Sign() < 0 {
		return
	}
	t.Pair = "p" + t.ID
	w.seq++
	in := *t
	in.ID, in.Seq, in.Type, in.Account, in.Fee, in.Tax = fmt.Sprintf("%06d", w.seq), w.seq, TransferIn, to, decimal.Zero, decimal.Zero
	w.rows = append(w.rows, &in)
	w.change(&in, w.heldAt(to, t.Symbol), rat(t.Quantity))
}

func (w *world) heldAt(account string, s prices.Symbol) *big.Rat {
	// Held is kept in shares of the last day, so that splits need no event here.
	k := account + "/" + string(s)
	if w.held[k] == nil {
		w.held[k] = zero()
	}
	return quo(w.held[k], w.ahead(s))
}

func (w *world) ahead(s prices.Symbol) *big.Rat {
	f := big.NewRat(1, 1)
	for _, sp := range w.insts[s].Splits {
		if sp.ExDate.After(w.now) {
			f = mul(f, big.NewRat(sp.N, sp.D))
		}
	}
	return f
}

func (w *world) change(t *Transaction, held, by *big.Rat) {
	after := add(held, by)
	if t.Type == Sell || held.Sign()*by.Sign() < 0 {
		if abs(after).Cmp(mul(abs(by), big.NewRat(1, 1_000_000_000))) <= 0 {
			after = zero()
		}
	}
	w.held[t.Account+"/"+string(t.Symbol)] = mul(after, w.ahead(t.Symbol))
}

func (w *world) inst(s prices.Symbol) prices.Instrument { return w.insts[s] }

func (w *world) ledger() *Ledger { return New(w.accounts, w.rows) }

func every(t *testing.T, n, size int, check func(t *testing.T, w *world, opts Options)) {
	if rows, err := strconv.Atoi(os.Getenv("LEDGER_ROWS")); err == nil { // thousands take minutes: not in every check
		size = rows
	}
	for _, seed := range seeds(t, n) {
		w := newWorld(seed, size, 9)
		for _, m := range []Method{Average, FIFO} {
			for _, c := range []Costs{Included, Excluded} {
				opts := Options{Base: "EUR", Method: m, Costs: c, Force: seed%2 == 0}
				t.Run(fmt.Sprintf("seed=%d/%s/%s", seed, m, c), func(t *testing.T) { check(t, w, opts) })
			}
		}
	}
}

func same(t *testing.T, what string, got Amount, want *big.Rat) {
	t.Helper()
	if !got.Known() {
		t.Errorf("%s is not known: %v", what, got.Missing)
	} else if got.Value.Rat().Cmp(want) != 0 {
		t.Errorf("%s: %s, the plain implementation says %s", what, got.Value.Rat().FloatString(12), want.FloatString(12))
	}
}

func TestReplayEqualsThePlainImplementation(t *testing.T) {
	every(t, 6, 1500, func(t *testing.T, w *world, opts Options) {
		l := w.ledger()
		s := l.Replay(w.inst, w.rates, opts)
		for symbol, positions := range s.Positions {
			want := plain(l.Chain(symbol), l.Accounts, w.insts[symbol], w.rates, opts)
			if len(want) != len(positions) {
				t.Errorf("%s: %d accounts, want %d", symbol, len(positions), len(want))
			}
			for _, p := range positions {
				e, at := want[p.Account], string(symbol)+" of "+p.Account+": "
				q, c, cb := e.total()
				same(t, at+"quantity", Amount{Value: p.Quantity}, q)
				same(t, at+"cost", p.Cost, c)
				same(t, at+"cost in base", p.CostBase, cb)
				same(t, at+"realised", p.Realised, e.r)
				same(t, at+"realised in base", p.RealisedBase, e.rb)
				if w.insts[symbol].Currency != opts.Base {
					same(t, at+"realised by price", p.RealisedPrice, e.price)
				}
				same(t, at+"income", p.Income, e.income)
				same(t, at+"fees", p.Fees, e.fees)
				same(t, at+"taxes", p.Taxes, e.taxes)
				same(t, at+"charges", p.Charges, e.charges)
				if len(p.Oversold) > 0 {
					t.Errorf("%s oversold: the generator must not", at)
				}
			}
		}
	})
}

// pnl is the total profit of everything, with each symbol at a made-up price.
func (w *world) pnl(s *State) Amount {
	total := Amount{}
	for symbol, positions := range s.Positions {
		for _, p := range positions {
			total = total.Add(p.TotalPnL(w.value(symbol, p)))
		}
	}
	for _, m := range s.Money {
		total = total.Add(m.Income).Sub(m.Charges)
	}
	return total
}

func (w *world) value(symbol prices.Symbol, p *Position) Amount {
	inst := w.insts[symbol]
	price := FromDecimal(decimal.New(int64(len(symbol))*1234567, -4).Mul(inst.Multiplier))
	rate, _, _ := w.rates.Rate(inst.Currency, "EUR", w.now)
	return Amount{Value: p.Quantity.Mul(price).Mul(FromDecimal(rate))}
}

func TestI1AndI2ProfitIsCashFlowsAndNotTheMethod(t *testing.T) {
	every(t, 4, 1000, func(t *testing.T, w *world, opts Options) {
		s := w.ledger().Replay(w.inst, w.rates, opts)
		other := opts
		other.Force = true
		other.Method = map[Method]Method{Average: FIFO, FIFO: Average}[opts.Method]
		other.Costs = map[Costs]Costs{Included: Excluded, Excluded: Included}[opts.Costs]
		// Transfers out and adjustments take cost by the method, so only ledgers without them compare.
		tame := &world{seed: w.seed, accounts: w.accounts, insts: w.insts, rates: w.rates, now: w.now}
		for _, r := range w.rows {
			if r.Type != TransferOut && r.Type != Adjustment && r.Type != ReturnOfCapital && (r.Type != TransferIn || r.Pair == "") {
				tame.rows = append(tame.rows, r)
			}
		}
		for i := range tame.accounts {
			tame.accounts[i].Short = true // leaving rows out may leave others short
		}
		a, b := tame.ledger().Replay(w.inst, w.rates, opts), tame.ledger().Replay(w.inst, w.rates, other)
		if x, y := tame.pnl(a), tame.pnl(b); x.Value.Cmp(y.Value) != 0 {
			t.Errorf("total P&L %s by %v, %s by %v", money(x), opts, money(y), other)
		}
		flows := zero()
		for _, r := range tame.rows {
			if r.Symbol == "" && (r.Type == Deposit || r.Type == Withdrawal) {
				if rate, _, _ := w.rates.Rate(r.Currency, "EUR", r.At); true {
					flows = sub(flows, mul(rat(r.Fee.Add(r.Tax)), rat(rate)))
				}
				continue
			}
			rate, _, _ := w.rates.Rate(r.Currency, "EUR", r.At)
			gross := rat(r.Gross(w.insts[r.Symbol].Multiplier))
			costs := rat(r.Fee.Add(r.Tax))
			switch r.Type {
			case Buy, Fee, Tax, TransferIn:
				gross = new(big.Rat).Neg(gross)
			case Reward, StockDividend:
				gross = zero()
			}
			flows = add(flows, mul(sub(gross, costs), rat(rate)))
		}
		for symbol, positions := range a.Positions {
			for _, p := range positions {
				flows = add(flows, w.value(symbol, p).Value.Rat())
			}
		}
		if got := tame.pnl(a).Value.Rat(); got.Cmp(flows) != 0 {
			t.Errorf("realised + unrealised = %s, market value + what flowed = %s", got.FloatString(9), flows.FloatString(9))
		}
		_ = s
	})
}

func TestI3IncrementalEqualsFullReplay(t *testing.T) {
	every(t, 3, 400, func(t *testing.T, w *world, opts Options) {
		l := New(w.accounts, nil)
		s := l.Replay(w.inst, w.rates, opts)
		order := w.rng.Perm(len(w.rows))
		for _, i := range order { // entered in any order, some changed, some deleted and undone
			t := *w.rows[i]
			l.Update(s, l.Put(&t), w.inst, w.rates, opts)
			if w.rng.IntN(5) == 0 {
				l.Update(s, l.Remove(t.ID), w.inst, w.rates, opts)
				l.Update(s, l.Put(&t), w.inst, w.rates, opts)
			}
		}
		equalStates(t, s, w.ledger().Replay(w.inst, w.rates, opts))
	})
}

func equalStates(t *testing.T, got, want *State) {
	t.Helper()
	if len(got.Positions) != len(want.Positions) {
		t.Fatalf("%d symbols, want %d", len(got.Positions), len(want.Positions))
	}
	for symbol, list := range want.Positions {
		for i, p := range list {
			g := got.Positions[symbol][i]
			for _, pair := range [][2]Amount{{g.Cost, p.Cost}, {g.CostBase, p.CostBase}, {g.Realised, p.Realised}, {g.RealisedBase, p.RealisedBase},
				{g.RealisedPrice, p.RealisedPrice}, {g.Income, p.Income}, {g.Charges, p.Charges}, {{Value: g.Quantity}, {Value: p.Quantity}}} {
				if pair[0].Value.Cmp(pair[1].Value) != 0 || !slices.Equal(pair[0].Missing, pair[1].Missing) {
					t.Errorf("%s of %s differs: %s, want %s", symbol, p.Account, money(pair[0]), money(pair[1]))
				}
			}
		}
	}
	for id, m := range want.Money {
		for currency, cash := range m.Cash {
			if !got.Money[id].Cash[currency].Equal(cash) {
				t.Errorf("cash of %s: %s %s, want %s", id, got.Money[id].Cash[currency], currency, cash)
			}
		}
	}
}

func TestI4ASplitChangesNoProfit(t *testing.T) {
	every(t, 3, 500, func(t *testing.T, w *world, opts Options) {
		l := w.ledger()
		before := l.Replay(w.inst, w.rates, opts)
		after := l.Replay(func(s prices.Symbol) prices.Instrument {
			inst := w.insts[s]
			inst.Splits = append(slices.Clone(inst.Splits), prices.Split{ExDate: w.now.AddDate(0, 0, 1), N: 7, D: 3})
			return inst
		}, w.rates, opts)
		for symbol, list := range before.Positions {
			for i, p := range list {
				q := after.Positions[symbol][i]
				same(t, "cost", q.Cost, p.Cost.Value.Rat())
				same(t, "realised", q.RealisedBase, p.RealisedBase.Value.Rat())
				same(t, "units", Amount{Value: q.Quantity}, mul(p.Quantity.Rat(), big.NewRat(7, 3)))
			}
		}
	})
}

func TestI5SellingAtTheCurrentPriceChangesNoProfit(t *testing.T) {
	every(t, 3, 500, func(t *testing.T, w *world, opts Options) {
		l := w.ledger()
		s := l.Replay(w.inst, w.rates, opts)
		now := w.now.AddDate(9, 0, 0) // after every split
		for symbol, list := range s.Positions {
			p := list[0]
			if p.Quantity.Sign() <= 0 {
				continue
			}
			half := p.Quantity.Mul(Fraction(one, two)).Round(6)
			if half.Sign() <= 0 {
				continue
			}
			price := decimal.New(int64(len(symbol))*1234567, -4)
			l.Put(&Transaction{ID: "now", Account: p.Account, Seq: 1 << 40, At: now, Type: Sell, Symbol: symbol, Quantity: half,
				Price: decimal.NewNullDecimal(price), Currency: w.insts[symbol].Currency})
			rate, _, _ := w.rates.Rate(w.insts[symbol].Currency, "EUR", now)
			value := func(p *Position) Amount {
				return Amount{Value: p.Quantity.Mul(FromDecimal(price.Mul(w.insts[symbol].Multiplier).Mul(rate)))}
			}
			after := l.ReplaySymbol(symbol, w.inst, w.rates, opts)[0]
			same(t, "total P&L", after.TotalPnL(value(after)), p.TotalPnL(value(p)).Value.Rat())
			l.Remove("now")
		}
	})
}

func TestI7InternalTransfersAreInvisible(t *testing.T) {
	// One account's purchases, half of it moved about: in total nothing is different, by FIFO to the lot.
	for _, m := range []Method{Average, FIFO} {
		opts := usd
		opts.Method = m
		still := run(t, "buy 10 @ 10, buy 10 @ 20, buy 1 @ 1", opts)
		moved := run(t, "buy 10 @ 10, buy 10 @ 20, transfer_out 15 pair p, transfer_in 15 on B pair p, transfer_out 3 on B pair q, transfer_in 3 pair q, buy 1 @ 1", opts)
		cost, quantity := Amount{}, Exact{}
		for _, p := range moved {
			cost, quantity = cost.Add(p.Cost), quantity.Add(p.Quantity)
			if !p.Realised.Value.IsZero() {
				t.Errorf("%s: a transfer realised %s", m, money(p.Realised))
			}
		}
		if money(cost) != money(still[0].Cost) || quantity.Cmp(still[0].Quantity) != 0 {
			t.Errorf("%s: cost %s of %s units, want %s of %s", m, money(cost), quantity.Decimal(9), money(still[0].Cost), still[0].Quantity.Decimal(9))
		}
	}
}

func TestI9OtherInstrumentsDoNotMatter(t *testing.T) {
	every(t, 3, 500, func(t *testing.T, w *world, opts Options) {
		shuffled := slices.Clone(w.rows)
		w.rng.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		equalStates(t, New(w.accounts, shuffled).Replay(w.inst, w.rates, opts), w.ledger().Replay(w.inst, w.rates, opts))
	})
}

// BenchmarkReplay is the target of the ledger: 20,000 transactions in 60 symbols over 8 years in under 150 ms.
func BenchmarkReplay(b *testing.B) {
	for _, m := range []Method{Average, FIFO} {
		b.Run(string(m), func(b *testing.B) {
			w := newWorld(7, 24_000, 60)
			b.Logf("%d transactions", len(w.rows))
			for b.Loop() {
				w.ledger().Replay(w.inst, w.rates, Options{Base: "EUR", Method: m, Force: true, Costs: Included})
			}
		})
	}
}
