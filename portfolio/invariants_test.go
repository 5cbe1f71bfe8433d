package portfolio

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"rosetree/portfolio/ledger"
	"rosetree/portfolio/returns"
	"rosetree/prices"
)

// seeded gives a test its random numbers; the seed is printed, and LEDGER_SEED repeats it.
func seeded(t *testing.T, n int, check func(t *testing.T, rng *rand.Rand)) {
	for range n {
		seed := rand.Uint64() >> 16
		if text := os.Getenv("LEDGER_SEED"); text != "" {
			var err error
			if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
				t.Fatal(err)
			}
		}
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { // LEDGER_SEED repeats one
			t.Logf("seed %d", seed)
			check(t, rand.New(rand.NewPCG(seed, 1)))
		})
	}
}

var (
	worldCurrencies = []string{"USD", "EUR", "JPY"}
	worldAccounts   = []ledger.Account{{ID: "A"}, {ID: "B", Method: ledger.FIFO, Currency: "EUR"}, {ID: "S", Short: true, TracksCash: true}}
	allTypes        = []ledger.Type{ledger.Buy, ledger.Buy, ledger.Buy, ledger.Sell, ledger.Dividend, ledger.Interest, ledger.Fee, ledger.Tax, ledger.Deposit,
		ledger.Withdrawal, ledger.TransferIn, ledger.TransferOut, ledger.StockDividend, ledger.ReturnOfCapital, ledger.Reward, ledger.Adjustment}
)

// randomRows are n rows of all types on 12 symbols over 60 days before a day.
func randomRows(rng *rand.Rand, n int, until time.Time) (rows []*ledger.Transaction) {
	amount := func(most int64) decimal.NullDecimal {
		return decimal.NewNullDecimal(decimal.New(rng.Int64N(most*100)+1, -2))
	}
	first := until.AddDate(0, 0, -60)
	for i := range n {
		k := rng.IntN(12)
		r := &ledger.Transaction{ID: fmt.Sprintf("%06d", i), Seq: int64(i), At: first.Add(time.Duration(i) * (60 * oneDay / time.Duration(n))), Account: worldAccounts[rng.IntN(3)].ID,
			Type: allTypes[rng.IntN(len(allTypes))], Symbol: prices.Symbol(fmt.Sprintf("S%d", k)), Currency: worldCurrencies[k%3], Fee: decimal.New(rng.Int64N(300), -2)}
		switch r.Type {
		case ledger.Deposit, ledger.Withdrawal:
			r.Symbol, r.Amount = "", amount(5000)
		case ledger.Dividend, ledger.Interest, ledger.Fee, ledger.Tax, ledger.ReturnOfCapital:
			r.Amount = amount(40)
		case ledger.TransferOut:
			r.Quantity = decimal.New(rng.Int64N(1000)+1, -3)
		case ledger.Adjustment:
			r.Quantity, r.Amount = decimal.New(rng.Int64N(50_000)+1, -3), amount(900)
		default:
			r.Quantity, r.Price = decimal.New(rng.Int64N(50_000)+1, -3), decimal.NewNullDecimal(decimal.New(rng.Int64N(100_000)+1, -3))
		}
		if r.Type == ledger.TransferOut && rng.IntN(2) == 0 {
			in := *r
			r.Pair, in.Pair = "p"+r.ID, "p"+r.ID
			in.ID, in.Type, in.Account, in.Fee = r.ID+"in", ledger.TransferIn, worldAccounts[(rng.IntN(2)+1)%3].ID, decimal.Decimal{}
			if in.Account != r.Account {
				rows = append(rows, &in)
			}
		}
		rows = append(rows, r)
	}
	return rows
}

// crowdedFloor is a market of 12 symbols in three currencies, all priced and with closes.
func crowdedFloor(t *testing.T, rng *rand.Rand) (*Service, *prices.Book) {
	s, book := floor(t)
	yesterday := dayBefore(clock)
	for i := range 12 {
		symbol := fmt.Sprintf("S%d", i)
		define(book, symbol, worldCurrencies[i%3], []int64{1, 10}[i%2])
		book.Closed(closeOf(symbol, yesterday, decimal.New(rng.Int64N(10_000)+1, -2).String()))
		q := decimal.New(rng.Int64N(10_000)+1, -2)
		if got, ok := book.Quote(prices.Symbol(symbol)); ok { // near the close: the book refuses what is far off
			q = got.Price.Mul(decimal.New(99, -2)).Truncate(4).Add(decimal.New(1, -4))
		}
		say(t, book, symbol, q.String())
	}
	for pair, rate := range map[string]string{"EUR-USD": "1.08765", "USD-JPY": "151.23"} {
		define(book, pair, pair[4:], 1)
		book.Closed(closeOf(pair, yesterday, rate))
		say(t, book, pair, rate)
	}
	return s, book
}

func (l *live) of(account string) *sums {
	v := l.view()
	v.account = account
	return v.sum(v.all())
}

// randomLive is a watched portfolio of random rows, with rates for all its days.
func randomLive(s *Service, v Viewer, rng *rand.Rand, n int) *live {
	l := inMemory(s, v, worldCurrencies[rng.IntN(3)], []ledger.Method{ledger.Average, ledger.FIFO}[rng.IntN(2)], nil)
	today := time.Now().UTC().Truncate(oneDay)
	l.accounts, l.rates = worldAccounts, ledger.Table{}
	for pair, around := range map[[2]string]int64{{"EUR", "USD"}: 110_000, {"USD", "JPY"}: 12_000_000} {
		var days []ledger.DayRate
		for i := range 62 {
			days = append(days, ledger.DayRate{Day: today.AddDate(0, 0, i-61), Rate: decimal.New(around+rng.Int64N(around/10), -5)})
		}
		l.rates.Set(pair[0], pair[1], days)
	}
	l.settings.costs = []ledger.Costs{ledger.Included, ledger.Excluded}[rng.IntN(2)]
	l.ledger = ledger.New(worldAccounts, randomRows(rng, n, time.Now()))
	l.replayAll()
	l.revalue()
	return l
}

func TestI7TheSumOfTheAccountsIsThePortfolio(t *testing.T) {
	seeded(t, 4, func(t *testing.T, rng *rand.Rand) {
		s, _ := crowdedFloor(t, rng)
		l := randomLive(s, newViewer(), rng, 2_000)
		whole, parts := l.of(""), map[string]ledger.Amount{}
		figures := func(x *sums) map[string]ledger.Amount {
			return map[string]ledger.Amount{"value": x.value, "cost": x.cost, "cash": x.cash, "realised": x.realised, "income": x.income, "fees": x.fees,
				"taxes": x.taxes, "charges": x.charges, "total P&L": x.totalPnL(), "unrealised": x.unrealised()}
		}
		for _, a := range worldAccounts {
			for name, part := range figures(l.of(a.ID)) {
				parts[name] = parts[name].Add(part)
			}
		}
		compared := 0
		for name, want := range figures(whole) {
			if want.Known() != parts[name].Known() || want.Known() && want.Value.Cmp(parts[name].Value) != 0 {
				t.Errorf("%s of the accounts is %s %v, of the portfolio %s %v", name, parts[name].Value.Decimal(9), parts[name].Missing, want.Value.Decimal(9), want.Missing)
			}
			if want.Known() && !want.Value.IsZero() {
				compared++
			}
		}
		if compared < 5 {
			t.Errorf("only %d figures say anything", compared)
		}
	})
}

func TestI10TicksOfWhatNobodyHoldsChangeNothing(t *testing.T) {
	seeded(t, 3, func(t *testing.T, rng *rand.Rand) {
		s, book := crowdedFloor(t, rng)
		for i := range 20 {
			define(book, fmt.Sprintf("X%d", i), worldCurrencies[i%3], 1)
		}
		v, d := newViewer(), &desk{}
		l := randomLive(s, v, rng, 1_000)
		l.frame(d)
		told, before := len(v.news), l.of("").totalPnL()
		for range 300 {
			symbol := fmt.Sprintf("X%d", rng.IntN(20))
			price := "5"
			if q, ok := book.Quote(prices.Symbol(symbol)); ok {
				price = q.Price.Mul(decimal.New(99+rng.Int64N(3), -2)).Add(decimal.New(1, -3)).Truncate(3).String()
			}
			say(t, book, symbol, price)
			l.frame(d)
		}
		if len(v.news) != told {
			t.Errorf("%d valuations of nothing", len(v.news)-told)
		}
		if after := l.of("").totalPnL(); after.Value.Cmp(before.Value) != 0 {
			t.Errorf("total P&L %s, was %s", after.Value.Decimal(9), before.Value.Decimal(9))
		}
		held := false
		for i := range 12 { // the test can see a change where there is one
			q, _ := book.Quote(prices.Symbol(fmt.Sprintf("S%d", i)))
			say(t, book, string(q.Symbol), q.Price.Mul(decimal.New(101, -2)).Add(decimal.New(1, -4)).Truncate(4).String())
			held = true
		}
		if l.frame(d); held && len(v.news) == told {
			t.Error("ticks of what is held change nothing either")
		}
	})
}

// twrOf is the growth of a ledger on random closes, without a database.
func twrOf(accounts []ledger.Account, rows []*ledger.Transaction, closes map[prices.Symbol]series, insts map[prices.Symbol]prices.Instrument, from time.Time, days int) ([]float64, bool) {
	inst := func(s prices.Symbol) prices.Instrument { return insts[s] }
	l := ledger.New(accounts, rows)
	st := l.Replay(inst, ledger.Table{}, ledger.Options{Base: "USD", Method: ledger.FIFO, Costs: ledger.Included})
	v := &ledgerView{base: "USD", rows: l.Rows(), positions: st.Positions, accounts: map[string]ledger.Account{}, insts: insts, rates: ledger.Table{}}
	for _, a := range accounts {
		v.accounts[a.ID] = a
	}
	c := newCurve(from, oneDay, days)
	c.fill(v, closes)
	return returns.Cumulative((&pastOf{curve: c, view: v}).days())
}

// TestI6DepositsAndWithdrawalsLeaveTWRUnchanged: where cash is not tracked they are nothing at all; where it is, money
// that comes in and is spread over what is there, at the prices it has, changes no day's return, and cash alone earns none.
func TestI6DepositsAndWithdrawalsLeaveTWRUnchanged(t *testing.T) {
	seeded(t, 10, func(t *testing.T, rng *rand.Rand) {
		const days = 60
		from := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
		insts, closes := map[prices.Symbol]prices.Instrument{}, map[prices.Symbol]series{}
		for i := range 4 {
			s := prices.Symbol(fmt.Sprintf("S%d", i))
			insts[s] = prices.Instrument{Symbol: s, Currency: "USD", Multiplier: decimal.NewFromInt(1)}
			price := 5000 + rng.Int64N(5000)
			for d := range days {
				price += rng.Int64N(400) - 195
				closes[s] = append(closes[s], newDayPrice(insts[s], from.AddDate(0, 0, d), decimal.New(price, -2)))
			}
		}
		row := func(day int, hour time.Duration, kind ledger.Type, symbol prices.Symbol, quantity, money decimal.Decimal) *ledger.Transaction {
			r := &ledger.Transaction{ID: newID(), Account: "A", At: from.AddDate(0, 0, day).Add(hour * time.Hour), Type: kind, Symbol: symbol, Quantity: quantity, Currency: "USD"}
			r.Amount = decimal.NewNullDecimal(money)
			return r
		}
		var rows []*ledger.Transaction
		rows = append(rows, row(1, 8, ledger.Deposit, "", decimal.Decimal{}, decimal.NewFromInt(1000)))
		for s := range closes {
			q := decimal.New(rng.Int64N(5000)+100, -2)
			rows = append(rows, row(1, 8, ledger.Deposit, "", decimal.Decimal{}, q.Mul(closes[s][1].price)))
			rows = append(rows, row(1, 9, ledger.Buy, s, q, q.Mul(closes[s][1].price)))
		}
		tracked := []ledger.Account{{ID: "A", TracksCash: true}}
		want, ok := twrOf(tracked, rows, closes, insts, from, days)
		if !ok || math.Abs(want[days-1]-1) < 1e-9 {
			t.Fatalf("growth %v", want)
		}
		for range 5 { // as much again comes in and goes where the rest is, at the closes of the day before
			rows = doubled(rows, closes, row, 2+rng.IntN(days-3))
		}
		got, ok := twrOf(tracked, rows, closes, insts, from, days)
		for d := range want {
			if !ok || math.Abs(got[d]-want[d]) > 1e-9 {
				t.Fatalf("growth at day %d is %v with deposits, %v without", d, got[d], want[d])
			}
		}
		untracked := []ledger.Account{{ID: "A"}}
		want, _ = twrOf(untracked, rows, closes, insts, from, days)
		for range 30 {
			rows = append(rows, row(1+rng.IntN(days-1), 7, []ledger.Type{ledger.Deposit, ledger.Withdrawal}[rng.IntN(2)], "", decimal.Decimal{}, decimal.New(rng.Int64N(1e6)+1, -2)))
		}
		if got, _ = twrOf(untracked, rows, closes, insts, from, days); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Error("deposits are a return where cash is not tracked")
		}
		var alone []*ledger.Transaction
		for d := 1; d < days; d++ {
			alone = append(alone, row(d, 8, ledger.Deposit, "", decimal.Decimal{}, decimal.New(rng.Int64N(1e6)+1_000_000, -2)))
			if rng.IntN(2) == 0 {
				alone = append(alone, row(d, 9, ledger.Withdrawal, "", decimal.Decimal{}, decimal.New(rng.Int64N(1e6)+1, -2)))
			}
		}
		if got, ok = twrOf(tracked, alone, closes, insts, from, days); !ok || math.Abs(got[days-1]-1) > 1e-12 {
			t.Errorf("cash alone grows to %v", got[days-1])
		}
	})
}

// doubled deposits, at the start of a day, what all is worth at the closes before, and buys as much of everything.
func doubled(rows []*ledger.Transaction, closes map[prices.Symbol]series, row func(int, time.Duration, ledger.Type, prices.Symbol, decimal.Decimal, decimal.Decimal) *ledger.Transaction, day int) []*ledger.Transaction {
	from := closes["S0"][0].day
	held, cash := map[prices.Symbol]decimal.Decimal{}, decimal.Decimal{}
	var later []*ledger.Transaction
	out := []*ledger.Transaction{}
	for _, r := range rows {
		if !r.At.Before(from.AddDate(0, 0, day)) {
			twice := *r // all that comes later is of twice as much
			twice.Quantity, twice.Amount.Decimal = r.Quantity.Mul(decimal.NewFromInt(2)), r.Amount.Decimal.Mul(decimal.NewFromInt(2))
			later = append(later, &twice)
			continue
		}
		out = append(out, r)
		if r.Type == ledger.Buy {
			held[r.Symbol], cash = held[r.Symbol].Add(r.Quantity), cash.Sub(r.Amount.Decimal)
		} else {
			cash = cash.Add(r.Amount.Decimal)
		}
	}
	worth := cash
	for s, q := range held {
		worth = worth.Add(q.Mul(closes[s][day-1].price))
	}
	out = append(out, row(day, 1, ledger.Deposit, "", decimal.Decimal{}, worth))
	for s, q := range held {
		out = append(out, row(day, 2, ledger.Buy, s, q, q.Mul(closes[s][day-1].price)))
	}
	return append(out, later...)
}
