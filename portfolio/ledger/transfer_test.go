package ledger

import (
	"fmt"
	"math/big"
	"testing"
	"time"

	"rosetree/prices"
)

// sumOf adds what accounts hold of a symbol.
func sumOf(positions []*Position) map[string]Amount {
	sum := map[string]Amount{}
	put := func(name string, a Amount) { sum[name] = sum[name].Add(a) }
	for _, p := range positions {
		put("quantity", Amount{Value: p.Quantity})
		put("cost", p.Cost)
		put("cost base", p.CostBase)
		put("realised", p.Realised)
		put("realised base", p.RealisedBase)
		put("income", p.Income)
		put("charges", p.Charges)
	}
	return sum
}

// TestI7RandomTransfersBetweenAccountsAreInvisible moves parts of random ledgers about, in chains of up to six
// transfers, some of all that there is: in total nothing is different, and every lot keeps its day.
func TestI7RandomTransfersBetweenAccountsAreInvisible(t *testing.T) {
	every(t, 3, 1000, func(t *testing.T, w *world, opts Options) {
		l := w.ledger()
		moved := 0
		for symbol := range w.insts {
			before := l.ReplaySymbol(symbol, w.inst, w.rates, opts)
			at := w.now.AddDate(9, 0, 0) // after every split
			for range 1 + w.rng.IntN(6) {
				moved += w.moveAbout(l, symbol, at, opts)
				at = at.Add(time.Hour)
			}
			after := l.ReplaySymbol(symbol, w.inst, w.rates, opts)
			want := sumOf(before)
			for what, got := range sumOf(after) {
				same(t, fmt.Sprint(symbol, " ", what), got, want[what].Value.Rat())
			}
			if a, b := lotDays(before), lotDays(after); opts.Method == FIFO && opts.Force && a != b {
				t.Errorf("%s: units by day of purchase %s, were %s", symbol, b, a)
			}
		}
		if moved == 0 {
			t.Error("nothing was ever moved")
		}
	})
}

// moveAbout transfers a random part of what some account holds to another one that is not short.
func (w *world) moveAbout(l *Ledger, symbol prices.Symbol, at time.Time, opts Options) int {
	list := l.ReplaySymbol(symbol, w.inst, w.rates, opts)
	held := map[string]Exact{}
	for _, p := range list {
		held[p.Account] = p.Quantity
	}
	from, to := w.accounts[w.rng.IntN(3)].ID, w.accounts[w.rng.IntN(3)].ID
	if from == to || held[from].Sign() <= 0 || held[to].Sign() < 0 {
		return 0
	}
	quantity := held[from].Round(12)
	if quantity.Rat().Cmp(held[from].Rat()) > 0 || w.rng.IntN(3) > 0 {
		quantity = held[from].Mul(Fraction(big.NewInt(w.rng.Int64N(99)+1), big.NewInt(100))).Round(9)
	}
	if quantity.Sign() <= 0 || quantity.Rat().Cmp(held[from].Rat()) > 0 {
		return 0
	}
	w.seq++
	out := &Transaction{ID: fmt.Sprintf("out%d", w.seq), Seq: 1<<40 + 2*w.seq, At: at, Account: from, Type: TransferOut, Symbol: symbol, Quantity: quantity,
		Currency: w.insts[symbol].Currency, Pair: fmt.Sprint("move", w.seq)}
	in := *out
	in.ID, in.Seq, in.Account, in.Type = fmt.Sprintf("in%d", w.seq), out.Seq+1, to, TransferIn
	l.Put(out)
	l.Put(&in)
	return 1
}

// lotDays are the units of each purchase day over all accounts.
func lotDays(list []*Position) string {
	days := map[string]Exact{}
	for _, p := range list {
		for _, lot := range p.Lots {
			day := lot.OpenedAt.Format(time.RFC3339)
			days[day] = days[day].Add(lot.Quantity)
		}
	}
	text := map[string]string{}
	for day, q := range days {
		text[day] = q.Rat().String()
	}
	return fmt.Sprint(text)
}
