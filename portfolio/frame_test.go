package portfolio

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/shopspring/decimal"

	"rosetree/auth"
	"rosetree/portfolio/ledger"
	"rosetree/prices"
)

// floor is a service on a market and nothing else: for portfolios that are made in memory.
func floor(t testing.TB) (*Service, *prices.Book) {
	t.Helper()
	book := prices.NewBook(prometheus.NewRegistry())
	s := New(Config{}, nil, book, nil, nil, quiet, prometheus.NewRegistry())
	t.Cleanup(book.Listen(s.tick))
	return s, book
}

// inMemory makes a watched portfolio of these rows.
func inMemory(s *Service, v Viewer, base string, method ledger.Method, rows []*ledger.Transaction) *live {
	accounts := []ledger.Account{{ID: "A", Short: true}}
	l := &live{key: key{auth.UserID("u"), ID(newID())}, service: s, accounts: accounts, ledger: ledger.New(accounts, rows), rates: ledger.Table{},
		settings: settings{base: base, method: method, costs: ledger.Included, version: 1}}
	l.replayAll()
	l.viewers = []*Watching{{live: l, viewer: v}}
	l.revalue()
	return l
}

func define(book *prices.Book, symbol, currency string, multiplier int64) {
	book.Define(prices.Instrument{Symbol: prices.Symbol(symbol), Kind: prices.KindCrypto, Currency: currency, Multiplier: decimal.NewFromInt(multiplier)})
}

// clock is the time of the next tick. It may lie before midnight.
var clock = time.Now().Add(-10 * time.Minute).Truncate(time.Second)

func dayBefore(t time.Time) time.Time { return t.UTC().Truncate(oneDay).AddDate(0, 0, -1) }

// say has a price posted by hand: those are believed however far they move.
func say(t testing.TB, book *prices.Book, symbol, price string) {
	t.Helper()
	clock = clock.Add(time.Millisecond)
	if book.Apply([]prices.Tick{{Symbol: prices.Symbol(symbol), Price: decimal.RequireFromString(price), At: clock, Source: "ingest"}}) != 1 {
		t.Fatalf("the book refused %s at %s", symbol, price)
	}
}

// TestTheTickPathEqualsTheExactOne holds whole numbers against fractions, on random portfolios: odd
// quantities, splits, costs that no decimal can say, three currencies, shorts.
func TestTheTickPathEqualsTheExactOne(t *testing.T) {
	seed := rand.Uint64() >> 16
	if text := os.Getenv("LEDGER_SEED"); text != "" {
		seed, _ = strconv.ParseUint(text, 10, 64)
	}
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	s, book := floor(t)
	currencies := []string{"USD", "EUR", "JPY"}
	for i := range 12 {
		define(book, fmt.Sprintf("S%d", i), currencies[i%3], []int64{1, 10}[i%2])
	}
	define(book, "EUR-USD", "USD", 1)
	define(book, "USD-JPY", "JPY", 1)
	say(t, book, "EUR-USD", "1.08765")
	say(t, book, "USD-JPY", "151.23")
	at := time.Now().AddDate(0, -1, 0)
	quick := 0
	for range 30 {
		var rows []*ledger.Transaction
		for i := range 12 {
			symbol := fmt.Sprintf("S%d", i)
			price := decimal.New(rng.Int64N(1_000)+1, -int32(rng.IntN(4)))
			if _, known := book.Quote(prices.Symbol(symbol)); !known {
				if seed%3 != 0 || i > 0 { // else a day change that is not known
					book.Closed(closeOf(symbol, dayBefore(clock), price.Mul(decimal.New(98, -2)).String()))
				}
				say(t, book, symbol, price.String())
			}
			for range 1 + rng.IntN(4) {
				at = at.Add(time.Second)
				rows = append(rows, &ledger.Transaction{ID: newID(), Account: "A", Seq: int64(len(rows)), At: at, Type: []ledger.Type{ledger.Buy, ledger.Buy, ledger.Sell}[rng.IntN(3)],
					Symbol: prices.Symbol(symbol), Quantity: decimal.New(rng.Int64N(10_000)+1, -int32(rng.IntN(6))), Price: decimal.NewNullDecimal(price),
					Currency: currencies[i%3], Fee: decimal.New(rng.Int64N(100), -2), Rate: decimal.NewNullDecimal(decimal.New(rng.Int64N(9000)+1000, -4))})
			}
		}
		v := newViewer()
		l := inMemory(s, v, currencies[rng.IntN(3)], []ledger.Method{ledger.Average, ledger.FIFO}[rng.IntN(2)], rows)
		for range 20 {
			symbol := fmt.Sprintf("S%d", rng.IntN(12))
			q, _ := book.Quote(prices.Symbol(symbol))
			say(t, book, symbol, q.Price.Mul(decimal.New(90+rng.Int64N(20), -2)).Add(decimal.New(1, -4)).Truncate(6).String())
			if rng.IntN(5) == 0 {
				say(t, book, "EUR-USD", decimal.New(100_000+rng.Int64N(20_000), -5).String())
			}
			l.mu.Lock()
			d := &desk{}
			moved, _ := l.moves(l.book, d)
			if len(moved) == 0 {
				t.Fatal("a price moved and nothing did")
			}
			a, ok := l.quick(l.book, d)
			b := l.exact(l.book, moved)
			if l.book.drifted() {
				t.Fatal("the sums drifted")
			}
			l.mu.Unlock()
			if !ok {
				continue
			}
			quick++
			a.T, b.T = 0, 0
			for i := range a.Holdings {
				a.Holdings[i].Freshness, b.Holdings[i].Freshness = "", ""
			}
			x, _ := a.MarshalJSON()
			y, _ := b.MarshalJSON()
			if string(x) != string(y) {
				t.Fatalf("whole numbers say\n%s\nfractions say\n%s", x, y)
			}
		}
	}
	if quick < 300 {
		t.Errorf("only %d of 600 frames were made in whole numbers", quick)
	}
}

func TestATickThatNobodyHoldsChangesNothing(t *testing.T) { // I10
	s, book := floor(t)
	define(book, "ACME", "USD", 1)
	define(book, "OTHER", "USD", 1)
	say(t, book, "ACME", "10")
	v := newViewer()
	l := inMemory(s, v, "USD", ledger.FIFO, []*ledger.Transaction{{ID: "t", Account: "A", At: time.Now(), Type: ledger.Buy, Symbol: "ACME",
		Quantity: decimal.NewFromInt(3), Price: decimal.NewNullDecimal(decimal.NewFromInt(9)), Currency: "USD"}})
	say(t, book, "OTHER", "5")
	l.frame(&desk{})
	if len(v.news) != 0 {
		t.Errorf("told %v", v.news)
	}
	say(t, book, "ACME", "11")
	l.frame(&desk{})
	if len(v.news) != 1 || v.value.Totals.Value != "33.00" {
		t.Errorf("told %v: %+v", v.news, v.value)
	}
}

func TestAPriceThatMovedBeforeAChangeIsNotLost(t *testing.T) {
	s, book := floor(t)
	define(book, "ACME", "USD", 1)
	define(book, "OTHER", "USD", 1)
	say(t, book, "ACME", "10")
	say(t, book, "OTHER", "10")
	v := newViewer()
	buy := func(symbol prices.Symbol) *ledger.Transaction {
		return &ledger.Transaction{ID: newID(), Account: "A", At: time.Now(), Type: ledger.Buy, Symbol: symbol, Quantity: decimal.NewFromInt(1),
			Price: decimal.NewNullDecimal(decimal.NewFromInt(9)), Currency: "USD"}
	}
	l := inMemory(s, v, "USD", ledger.FIFO, []*ledger.Transaction{buy("ACME"), buy("OTHER")})
	say(t, book, "ACME", "11")
	l.mu.Lock()
	l.changed([]prices.Symbol{"OTHER"}, false)
	l.mu.Unlock()
	l.frame(&desk{})
	if len(v.value.Holdings) != 1 || v.value.Holdings[0].Symbol != "ACME" || v.value.Holdings[0].Price != "11" {
		t.Errorf("told %v: %+v", v.news, v.value)
	}
}

func TestFixedRoundsAsFractionsDo(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		// Constants at, just above and just below a half, of either sign, cut off or not.
		n := new(big.Int).Mul(big.NewInt(rng.Int64N(2_000_001)-1_000_000), big.NewInt(5e13))
		n.Add(n, big.NewInt(rng.Int64N(5)-2))
		c := ledger.Fraction(n, big.NewInt(1e16))
		if rng.IntN(2) == 0 {
			c = c.Add(ledger.Fraction(big.NewInt(1), new(big.Int).Exp(big.NewInt(3), big.NewInt(50), nil)))
		}
		v := product(rng.Int64N(1e12)-5e11, rng.Int64N(1e6))
		if rng.IntN(2) == 0 { // a whole number of halves as well: the difference lies at a half, or a hair below it
			v = product((rng.Int64N(2_001)-1_000)*5e6, rng.Int64N(1_000)*1e7)
		}
		want := v.exact(valueScale).Sub(c).Round(2).StringFixed(2)
		got, ok := v.less(newConstant(ledger.Amount{Value: c}, valueScale)).round(valueScale - 2)
		if text := string(appendFixed(nil, got, 2)); !ok || text != want {
			t.Fatalf("%v less %s: %s, want %s", v.exact(valueScale).Rat(), c.Rat(), text, want)
		}
	}
	if _, ok := product(1<<62, 1<<62).times(1 << 62); ok {
		t.Error("what has no room must say so")
	}
}
