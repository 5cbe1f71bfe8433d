package portfolio

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"rosetree/portfolio/ledger"
	"rosetree/prices"
)

// rateBook keeps the daily exchange rates that replays ask for. All portfolios share it.
type rateBook struct {
	past History

	mu    sync.Mutex
	pairs map[string]pairRates // by symbol of the rate; also what was looked for and not found
}

type pairRates struct {
	days []ledger.DayRate
	read time.Time
}

// rateAge is how old the book's copy of a pair may be: the rate of yesterday comes at most so much later.
const rateAge = 5 * time.Minute

func newRateBook(past History) *rateBook {
	return &rateBook{past: past, pairs: map[string]pairRates{}}
}

// table is all daily rates that lead from currencies to base, directly or over USD or EUR.
func (b *rateBook) table(ctx context.Context, base string, currencies []string) (ledger.Table, error) {
	t := ledger.Table{}
	for _, pair := range wanted(base, currencies) {
		days, err := b.pair(ctx, pair)
		if err != nil {
			return nil, err
		}
		if len(days) > 0 {
			t[pair] = days
		}
	}
	return t, nil
}

// wanted lists the pairs that could answer, both ways round.
func wanted(base string, currencies []string) (pairs []string) {
	all := append([]string{base, "USD", "EUR"}, currencies...)
	slices.Sort(all)
	all = slices.Compact(all)
	if !slices.ContainsFunc(currencies, func(c string) bool { return c != base }) {
		return nil
	}
	for _, from := range all {
		for _, to := range all {
			if from != to && (slices.Contains([]string{base, "USD", "EUR"}, to) || slices.Contains([]string{base, "USD", "EUR"}, from) || slices.Contains(currencies, to)) {
				pairs = append(pairs, ledger.Pair(from, to))
			}
		}
	}
	return pairs
}

func (b *rateBook) pair(ctx context.Context, pair string) ([]ledger.DayRate, error) {
	b.mu.Lock()
	known, ok := b.pairs[pair]
	b.mu.Unlock()
	if ok && time.Since(known.read) < rateAge {
		return known.days, nil
	}
	closes, err := b.past.Closes(ctx, prices.Symbol(pair), time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC), time.Now().UTC())
	if err != nil {
		return nil, fmt.Errorf("portfolio: rates %s: %w", pair, err)
	}
	days := make([]ledger.DayRate, len(closes))
	for i, c := range closes {
		days[i] = ledger.DayRate{Day: c.Date.UTC().Truncate(24 * time.Hour), Rate: c.Close}
	}
	slices.SortFunc(days, func(x, y ledger.DayRate) int { return x.Day.Compare(y.Day) })
	b.mu.Lock()
	b.pairs[pair] = pairRates{days, time.Now()}
	b.mu.Unlock()
	return days, nil
}
