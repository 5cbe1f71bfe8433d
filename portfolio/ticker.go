package portfolio

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shopspring/decimal"

	"rosetree/portfolio/ledger"
	"rosetree/prices"
)

// ticker is the newest price of a symbol, as the tick path reads it. A tick costs one store here
// however many hold the symbol; each watched portfolio compares generations once per frame.
type ticker struct {
	generation atomic.Uint64 // that of newest, or one less: what most frames read, and nothing else of it
	newest     atomic.Pointer[ticked]
	symbol     prices.Symbol
	mu         sync.Mutex // orders writers
}

// ticked is one state of a ticker; immutable.
type ticked struct {
	generation uint64 // grows with every change, of the freshness too; 0 is no price
	session    uint64 // grows when the day change begins to count from another close
	units      int64  // price in 1e-8
	exact      bool   // units says it all
	shown      Figure // the price as clients see it
	n          uint64
	quoted
}

var noPrice = &ticked{quoted: quoted{freshness: None}}

func (t *ticker) state() *ticked {
	if s := t.newest.Load(); s != nil {
		return s
	}
	return noPrice
}

// set stores a quote unless a newer one is there.
func (t *ticker) set(q quoted, n uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.state()
	if n <= old.n && old.generation > 0 {
		return
	}
	s := &ticked{generation: old.generation + 1, n: n, quoted: q, shown: price(ledger.FromDecimal(q.price))}
	if s.session = old.session; !q.day.Equal(old.quoted.day) || !samePrevious(q.previous, old.previous) {
		s.session++
	}
	s.units, s.exact = units(q.price)
	t.store(s)
}

// store shows the state before its number, so that who sees the number finds at least that state.
func (t *ticker) store(s *ticked) {
	t.newest.Store(s)
	t.generation.Store(s.generation)
}

func samePrevious(a, b decimal.NullDecimal) bool {
	return a.Valid == b.Valid && (!a.Valid || a.Decimal.Equal(b.Decimal))
}

// age gives the price the freshness that it has by now.
func (t *ticker) age(freshness func(prices.Symbol, time.Time, time.Time) Freshness, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.state()
	if old.generation == 0 {
		return
	}
	if f := freshness(t.symbol, old.at, now); f != old.freshness {
		s := *old
		s.generation++
		s.freshness = f
		t.store(&s)
	}
}

// ticker finds or makes the ticker of symbol.
func (s *Service) ticker(symbol prices.Symbol) *ticker {
	if t, ok := s.tickers.Load(symbol); ok {
		return t.(*ticker)
	}
	v, _ := s.tickers.LoadOrStore(symbol, &ticker{symbol: symbol})
	t := v.(*ticker)
	if q, ok := s.market.Quote(symbol); ok { // read after it is in the map: a tick in between is not lost
		t.set(s.quoted(&q, s.freshness(symbol, q.At, time.Now())), q.N)
	}
	return t
}

func (s *Service) quoted(q *prices.Quote, f Freshness) quoted {
	day, _ := s.market.Session(q.Symbol, q.At)
	return quoted{q.Price, q.At, day, q.Previous, f}
}

// tick stores a newer price. The session is asked for again only where the day may have changed.
func (t *ticker) tick(s *Service, q *prices.Quote) {
	old := t.state()
	if old.generation == 0 || old.at.Unix()/3600 != q.At.Unix()/3600 || old.previous != q.Previous {
		t.set(s.quoted(q, Live), q.N)
		return
	}
	t.set(quoted{q.Price, q.At, old.day, q.Previous, Live}, q.N)
}

// tick runs on the feed's goroutine.
func (s *Service) tick(quotes []prices.Quote) {
	for i := range quotes {
		if t, ok := s.tickers.Load(quotes[i].Symbol); ok {
			t.(*ticker).tick(s, &quotes[i])
		}
	}
}

const ageCheck = time.Second

// grow ages all prices.
func (s *Service) grow(ctx context.Context) error {
	return every(ctx, ageCheck, func() {
		now := time.Now()
		s.tickers.Range(func(_, v any) bool {
			v.(*ticker).age(s.freshness, now)
			return true
		})
	})
}

// freshness of a price of symbol seen at a time. The last price of a closed market is not stale: it is
// the right one.
func (s *Service) freshness(symbol prices.Symbol, at, now time.Time) Freshness {
	age := now.Sub(at)
	switch _, open := s.market.Session(symbol, now); {
	case age <= s.config.Stalled:
		return Live
	case !open:
		return Closed
	case age <= s.config.Stale:
		return Stalled
	default:
		return Stale
	}
}

// exchange is a live exchange rate with the tickers that it may come from.
type exchange struct {
	from, to string
	sources  []*ticker
	mu       sync.Mutex
	seen     uint64        // sum of the sources' generations
	asked    time.Time     // a rate out of the table changes without a tick
	rate     ledger.Amount // guarded by mu
	count    uint64        // of changes
	units    int64
	exact    bool
}

func (s *Service) exchange(from, to string) *exchange {
	name := ledger.Pair(from, to)
	if e, ok := s.exchanges.Load(name); ok {
		return e.(*exchange)
	}
	e := &exchange{from: from, to: to}
	for _, pair := range wanted(to, []string{from}) {
		e.sources = append(e.sources, s.ticker(prices.Symbol(pair)))
	}
	v, _ := s.exchanges.LoadOrStore(name, e)
	return v.(*exchange)
}

// now is the rate as a number of 1e-12, where it is one, and how often it has changed.
func (e *exchange) now(s *Service, table ledger.Table) (rate ledger.Amount, units int64, exact bool, count uint64) {
	if e.from == e.to {
		return unit, 1_000_000_000_000, true, 1
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	sum := uint64(1)
	for _, t := range e.sources {
		sum += t.state().generation
	}
	if sum != e.seen || time.Since(e.asked) > dateCheck {
		e.seen, e.asked = sum, time.Now()
		rate := ledger.Amount{Missing: []string{ledger.Pair(e.from, e.to)}}
		e.units, e.exact = 0, false
		if r, _, ok := s.liveRate(e.from, e.to, table, time.Now()); ok {
			rate = ledger.Amount{Value: ledger.FromDecimal(r)}
			e.units, e.exact = whole(r, rateScale)
		}
		if e.count == 0 || rate.Known() != e.rate.Known() || rate.Value.Cmp(e.rate.Value) != 0 {
			e.rate = rate
			e.count++
		}
	}
	return e.rate, e.units, e.exact, e.count
}

var unit = ledger.Amount{Value: ledger.FromDecimal(decimal.NewFromInt(1))}

// Held are the symbols whose prices portfolios in memory have needed, exchange rates included.
func (s *Service) Held() []prices.Symbol {
	var all []prices.Symbol
	s.tickers.Range(func(symbol, _ any) bool {
		all = append(all, symbol.(prices.Symbol))
		return true
	})
	return all
}
