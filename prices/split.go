package prices

import (
	"time"

	"github.com/shopspring/decimal"
)

// priceDecimals bounds a price that a split divided.
const priceDecimals = 12

// Split moves the prices of instruments whose ex-date has begun at now and that have not traded since:
// holdings count the new shares from that moment, so the last price must be of one new share too.
func (b *Book) Split(now time.Time) {
	b.writing.Lock()
	defer b.writing.Unlock()
	b.news = b.news[:0]
	b.mu.Lock()
	for _, e := range b.entries {
		if len(e.instrument.Splits) > 0 && e.quote.N > 0 && e.split(dayOf(now.In(e.calendar.loc))) {
			b.news = append(b.news, e.quote)
		}
	}
	b.mu.Unlock()
	b.tell()
}

// split restates e's price in the shares of day d.
func (e *entry) split(d day) bool {
	if d <= e.shares {
		return false
	}
	n, m := e.splitsIn(e.shares, d)
	e.shares = d
	if n == 1 && m == 1 {
		return false
	}
	e.quote.Price, e.quote.N = restate(e.quote.Price, n, m), e.quote.N+1
	e.guard = guard{}
	e.refer()
	return true
}

// splitsIn is what one share held at the end of day a has become on day b: n new for every m.
func (e *entry) splitsIn(a, b day) (n, m int64) {
	n, m = 1, 1
	for _, s := range e.instrument.Splits {
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
