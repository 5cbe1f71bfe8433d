package prices

import (
	"time"

	"github.com/shopspring/decimal"
)

const (
	priceDecimals = 12 // of a price that a split divided
	splitSource   = "split"
)

// splitTicks restate the prices of instruments whose ex-date has begun at now and that have not traded
// since: holdings count the new shares from that moment, so the last price must be of one new share too.
// They carry the start of the ex-date, so that of several servers that say it only the first is newer.
func (b *Book) splitTicks(now time.Time) []Tick {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var all []Tick
	for s, e := range b.entries {
		if len(e.instrument.Splits) == 0 || e.quote.N == 0 {
			continue
		}
		today := dayOf(now.In(e.calendar.loc))
		if n, m := e.splitsIn(e.shares, today); n != m {
			all = append(all, Tick{s, restate(e.quote.Price, n, m), e.calendar.midnight(today), splitSource})
		}
	}
	return all
}

// splitsIn is what one share held at the end of day a has become on day b: n new for every m.
func (e *entry) splitsIn(a, b day) (n, m int64) { return splitsBetween(e.instrument.Splits, a, b) }

func splitsBetween(splits []Split, a, b day) (n, m int64) {
	n, m = 1, 1
	for _, s := range splits {
		if ex := dayOf(s.ExDate); ex > a && ex <= b {
			n, m = n*s.N, m*s.D
		}
	}
	return n, m
}

// restate is a price before a split in shares after it.
func restate(price decimal.Decimal, n, m int64) decimal.Decimal {
	if n == m {
		return price
	}
	return price.Mul(decimal.NewFromInt(m)).DivRound(decimal.NewFromInt(n), priceDecimals)
}
