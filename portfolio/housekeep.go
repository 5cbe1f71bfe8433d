package portfolio

import (
	"context"
	"maps"
	"slices"
	"time"

	"rosetree/portfolio/ledger"
	"rosetree/prices"
)

const (
	idleCheck = 5 * time.Second
	dateCheck = time.Minute
)

// housekeep lets portfolios go that nobody looks at, and looks after what changes without news of a
// write: a new day, a split, a rate, an instrument's name.
func (s *Service) housekeep(ctx context.Context) error {
	return every(ctx, idleCheck, func() {
		for _, l := range s.all() {
			if s.leave(l) {
				continue
			}
			if err := l.renew(ctx); err != nil && ctx.Err() == nil {
				s.log.Warn("portfolio: rates and instruments could not be read again", "error", err)
			}
		}
	})
}

func (s *Service) all() []*live {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.live))
}

// leave takes l out of memory if nobody looks at it. Both locks are held, so that no viewer can come
// in between.
func (s *Service) leave(l *live) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.viewers) > 0 || time.Since(l.used) < s.config.Linger {
		return false
	}
	l.gone = errLeft
	delete(s.live, l.key)
	return true
}

// renew replays l where a day has begun or what it was replayed with has changed.
func (l *live) renew(ctx context.Context) error {
	l.loading.Lock()
	defer l.loading.Unlock()
	l.mu.Lock()
	due := time.Since(l.checked) > dateCheck
	day := l.checked.UTC().Truncate(24 * time.Hour)
	base := l.settings.base
	l.mu.Unlock()
	if !due {
		return nil
	}
	rates, err := l.service.rates.table(ctx, base, l.currencies(&contents{own: l.own}))
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Now().UTC().Truncate(24*time.Hour).Equal(day) && sameRates(l.rates, rates) && !l.redefined() {
		l.checked = time.Now()
		return nil
	}
	l.rates = rates
	l.replayAll()
	l.changed(nil, true)
	return nil
}

// redefined tells whether an instrument of l is not what it was at the replay.
func (l *live) redefined() bool {
	inst := l.inst()
	for symbol, was := range l.insts {
		is := inst(symbol)
		if is.Currency != was.Currency || is.Name != was.Name || is.Kind != was.Kind || !is.Multiplier.Equal(was.Multiplier) ||
			!slices.EqualFunc(is.Splits, was.Splits, func(a, b prices.Split) bool { return a.N == b.N && a.D == b.D && a.ExDate.Equal(b.ExDate) }) {
			return true
		}
	}
	return false
}

func sameRates(a, b ledger.Table) bool {
	return maps.EqualFunc(a, b, func(x, y []ledger.DayRate) bool {
		return slices.EqualFunc(x, y, func(p, q ledger.DayRate) bool { return p.Day.Equal(q.Day) && p.Rate.Equal(q.Rate) })
	})
}
