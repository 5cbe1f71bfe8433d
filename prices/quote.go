// Package prices knows what things cost now and what they cost before. It knows no users and no sockets.
//
// A Feed reports ticks; the Book believes or refuses them and tells its listeners; closes and candles
// go to PostgreSQL outside the tick path.
//
// Locks, in the order in which they are taken: Book.writing, Book.mu. A listener runs under writing,
// so it may read the Book and must not write to it.
package prices

import (
	"time"

	"github.com/shopspring/decimal"
)

// Tick is one price as a feed reports it, not yet believed.
type Tick struct {
	Symbol Symbol
	Price  decimal.Decimal
	At     time.Time
	Source string
}

// Quote is the newest believed price of a symbol.
type Quote struct {
	Symbol   Symbol
	Price    decimal.Decimal
	At       time.Time           // when the source saw it, to the millisecond
	N        uint64              // the symbol's update number; only grows
	Previous decimal.NullDecimal // close of the last completed session; the reference of the day change
	Source   string

	shares day    // Price and Previous are per share of this day
	slot   uint32 // of the symbol among the book's: listeners keep slices by it, because looking up texts is most of a tick's cost
	era    uint32 // from 1; changes with Previous and shares
	whole  int64  // Price's coefficient, or 0 where that has more than 18 digits: whole numbers compare at a fraction of the cost
}

// Delay is how far behind the market the quote's source is by its nature; 0: it reports at once.
func (q Quote) Delay() time.Duration { return delayOf(q.Source) }

// Close is the last price of one session of an instrument.
type Close struct {
	Symbol Symbol
	Date   time.Time // 00:00 UTC of the session's date
	Close  decimal.Decimal
	Source string
}
