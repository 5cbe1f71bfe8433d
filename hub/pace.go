package hub

// Goodbyes are paced: when ten thousand are said at once, ten thousand readers wake at once, and those
// who stay wait behind them. The marks have stopped all data already, so nothing is lost by the wait.
// The burst makes up for flushers that come around only every 16 ms.
const (
	goodbyesPerMS = 6.0
	goodbyeBurst  = 96
)

// pace gives each goodbye its turn, and holds to the rate also after a pause: turns that were missed
// meanwhile are not made up for in one burst.
type pace struct {
	last   float64 // the turn that was given last, in milliseconds
	credit float64 // goodbyes that may be said now
	at     int64   // when credit was counted
}

func newPace() pace { return pace{last: -goodbyeBurst / goodbyesPerMS, credit: goodbyeBurst} }

// turn is when the next goodbye is due; it is asked for once for each.
func (p *pace) turn(now int64) int64 {
	p.last = max(p.last+1.0/goodbyesPerMS, float64(now)-goodbyeBurst/goodbyesPerMS)
	return int64(p.last)
}

// take says whether a goodbye whose turn has come may be said now.
func (p *pace) take(now int64) bool {
	p.credit = min(p.credit+float64(now-p.at)*goodbyesPerMS, goodbyeBurst)
	p.at = now
	if p.credit < 1 {
		return false
	}
	p.credit--
	return true
}
