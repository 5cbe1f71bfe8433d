package portfolio

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"rosetree/auth"
	"rosetree/internal/api"
	"rosetree/portfolio/ledger"
	"rosetree/prices"
)

// live is a portfolio in memory. It enters by one read under its owner's context, follows the news of
// its version, and leaves some time after the last look at it.
type live struct {
	key
	service *Service

	// One read at a time; taken before mu, and held across the read.
	loading sync.Mutex

	mu       sync.Mutex
	settings settings
	mark     string
	newsFrom int64 // when the oldest commit was made that the viewers have not seen, in milliseconds; 0: none is known
	ledger   *ledger.Ledger
	accounts []ledger.Account
	own      map[prices.Symbol]manual
	rates    ledger.Table
	state    *ledger.State
	open     map[prices.Symbol]bool // what the viewers show
	viewers  []*Watching
	used     time.Time
	gone     error     // why it is no longer here
	checked  time.Time // when rates and instruments were last compared
	insts    map[prices.Symbol]prices.Instrument
	book     *valuation
	turn     uint64 // which part of a frame is this portfolio's; fixed
	catching bool   // a goroutine is reading the news …
	again    bool   // … and more has come
}

// at is a portfolio of owner, at version at least so new.
func (s *Service) at(ctx context.Context, owner auth.UserID, id ID, version int64) (*live, error) {
	k := key{owner, id}
	for {
		s.mu.Lock()
		l := s.live[k]
		s.mu.Unlock()
		if l == nil {
			v, err, _ := s.loads.Do(string(owner)+"/"+string(id), func() (any, error) { return s.load(ctx, k) })
			if err != nil {
				return nil, err
			}
			l = v.(*live)
		}
		if err := l.follow(ctx, version); err != nil {
			return nil, err
		}
		l.mu.Lock()
		l.used = time.Now()
		gone := l.gone
		l.mu.Unlock()
		if gone == nil {
			return l, nil
		}
		if !errors.Is(gone, errLeft) {
			return nil, gone
		}
	}
}

// errLeft is why a portfolio that nobody looked at is no longer in memory.
var errLeft = errors.New("portfolio: left memory")

func (s *Service) load(ctx context.Context, k key) (*live, error) {
	s.mu.Lock()
	l := s.live[k]
	s.mu.Unlock()
	if l != nil {
		return l, nil
	}
	l = &live{key: k, service: s, used: time.Now(), turn: s.turns.Add(1) % turns}
	if err := l.refresh(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.live[k] = l
	s.mu.Unlock()
	return l, nil
}

// follow reads what changed until l has version.
func (l *live) follow(ctx context.Context, version int64) error {
	for range 3 {
		l.mu.Lock()
		behind := l.settings.version < version && l.gone == nil
		l.mu.Unlock()
		if !behind {
			return nil
		}
		if err := l.refreshUnless(ctx, version); err != nil {
			return err
		}
	}
	return nil // a version that never was: what there is is the newest
}

func (l *live) refreshUnless(ctx context.Context, version int64) error {
	l.loading.Lock()
	defer l.loading.Unlock()
	l.mu.Lock()
	there := l.settings.version >= version
	l.mu.Unlock()
	if there {
		return nil
	}
	return l.read(ctx)
}

// refresh reads what changed, or everything the first time, and tells the viewers.
func (l *live) refresh(ctx context.Context) error {
	l.loading.Lock()
	defer l.loading.Unlock()
	return l.read(ctx)
}

// read is refresh while loading is held.
func (l *live) read(ctx context.Context) error {
	l.mu.Lock()
	since, base := l.mark, l.settings.base
	l.mu.Unlock()
	c, err := l.service.read(ctx, l.user, l.id, since)
	if err == nil && since != "" && c.settings.base != base {
		c, err = l.service.read(ctx, l.user, l.id, "") // recorded rates count for one base only
		since = ""
	}
	if errors.Is(err, api.NotFound("")) {
		l.end(err)
		return err
	}
	if err != nil {
		return err
	}
	l.service.metrics.reads.WithLabelValues(map[bool]string{true: "all", false: "changes"}[since == ""]).Inc()
	rates, err := l.service.rates.table(ctx, c.settings.base, l.currencies(c))
	if err != nil {
		return err
	}
	l.apply(c, since == "", rates)
	return nil
}

// currencies are all in which l's rows or instruments have money.
func (l *live) currencies(c *contents) []string {
	set := map[string]bool{}
	symbols := map[prices.Symbol]bool{}
	note := func(t *ledger.Transaction) { set[t.Currency], symbols[t.Symbol] = true, true }
	for _, t := range c.rows {
		note(t)
	}
	l.mu.Lock()
	if l.ledger != nil {
		for t := range l.ledger.All() {
			note(t)
		}
	}
	l.mu.Unlock()
	inst := l.service.instruments(c.own)
	for symbol := range symbols {
		if currency := inst(symbol).Currency; currency != "" {
			set[currency] = true
		}
	}
	return slices.Sorted(maps.Keys(set))
}

// apply brings what was read into memory and tells the viewers what it made of the holdings.
func (l *live) apply(c *contents, all bool, rates ledger.Table) {
	started := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	var touched []prices.Symbol
	whole := all || l.settings.base != c.settings.base || l.settings.method != c.settings.method || l.settings.costs != c.settings.costs ||
		!slices.Equal(l.accounts, c.accounts) || !sameRates(l.rates, rates) ||
		!maps.EqualFunc(l.own, c.own, func(a, b manual) bool { return a.Currency == b.Currency && a.Multiplier.Equal(b.Multiplier) })
	if !whole && c.settings.version == l.settings.version {
		return // nothing is new: two heard the same news
	}
	if all {
		l.ledger = ledger.New(c.accounts, c.rows)
	} else {
		touched = l.take(c)
		for symbol, m := range c.own {
			if was := l.own[symbol]; was.price.Valid != m.price.Valid || !was.price.Decimal.Equal(m.price.Decimal) || !was.at.Equal(m.at) || was.Name != m.Name {
				touched = append(touched, symbol) // its owner gave it another price
			}
		}
	}
	l.settings, l.mark, l.accounts, l.own, l.rates = c.settings, c.mark, c.accounts, c.own, rates
	if whole {
		l.replayAll()
	} else {
		l.ledger.Update(l.state, touched, l.inst(), l.rates, l.options())
	}
	l.service.metrics.replay.Observe(time.Since(started).Seconds())
	l.changed(touched, whole)
}

func (l *live) take(c *contents) (touched []prices.Symbol) {
	for _, a := range c.accounts {
		l.ledger.Accounts[a.ID] = a
	}
	for _, t := range c.rows {
		touched = append(touched, l.ledger.Put(t)...)
	}
	for _, id := range c.gone {
		touched = append(touched, l.ledger.Remove(id)...)
	}
	slices.Sort(touched)
	return slices.Compact(touched)
}

func (l *live) replayAll() {
	l.checked, l.insts = time.Now(), map[prices.Symbol]prices.Instrument{}
	for _, symbol := range l.ledger.Symbols() {
		l.insts[symbol] = l.inst()(symbol)
	}
	l.state = l.ledger.Replay(l.inst(), l.rates, l.options())
}

func (l *live) inst() ledger.Instruments { return l.service.instruments(l.own) }

// options are the portfolio's own settings. A split of tomorrow does not count yet.
func (l *live) options() ledger.Options {
	return ledger.Options{Base: l.settings.base, Method: l.settings.method, Costs: l.settings.costs, Until: time.Now()}
}

// rowsAhead is how far in the future a row's time may be: clocks differ, and a day may have begun elsewhere.
const rowsAhead = 24 * time.Hour

// view is l now, by its own settings; mu is held.
func (l *live) view() *view {
	return &view{base: l.settings.base, opts: l.options(), rates: l.rates, ledger: l.ledger, state: l.state, inst: l.inst(),
		at: now{service: l.service, own: l.own, table: l.rates, at: time.Now()}}
}

// end tells the viewers that there is nothing more, and takes l out of memory.
func (l *live) end(why error) {
	l.service.mu.Lock()
	if l.service.live[l.key] == l {
		delete(l.service.live, l.key)
	}
	l.service.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gone = why
	for _, w := range l.viewers {
		w.viewer.Gone(why)
	}
	l.viewers = nil
}
