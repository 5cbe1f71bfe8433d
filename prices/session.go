package prices

import "time"

// Session is the day to which a price of s at t belongs (00:00 UTC of the session's date), and whether
// its market is open at t. For a symbol that nobody knows it is the UTC day of a closed market.
func (b *Book) Session(s Symbol, t time.Time) (date time.Time, open bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	e := b.entries[s]
	if e == nil {
		return t.UTC().Truncate(24 * time.Hour), false
	}
	return e.calendar.sessionAt(t).day.date(), e.calendar.open(t)
}
