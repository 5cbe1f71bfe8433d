package hub

import "time"

// wheel remembers when connections want to be visited: a ring of sets, one for each step of time. A
// visit too many does no harm (the connection looks at its own deadlines), so nothing is ever taken
// out, and a deadline beyond one turn is simply visited early. It replaces a timer per connection.
type wheel struct {
	step int64 // milliseconds
	at   int64 // the next step to be taken
	ring []bitset
	busy []bool
}

func newWheel(step time.Duration, steps int) *wheel {
	return &wheel{step: step.Milliseconds(), ring: make([]bitset, steps), busy: make([]bool, steps)}
}

// add asks for a visit of i at due (milliseconds of the hub's clock) or up to one step later.
func (w *wheel) add(i uint32, due int64) {
	n := (due + w.step - 1) / w.step
	n = min(max(n, w.at), w.at+int64(len(w.ring))-1)
	k := n % int64(len(w.ring))
	w.ring[k].set(i)
	w.busy[k] = true
}

// take joins everyone due by now into due.
func (w *wheel) take(now int64, due *bitset) {
	last := now / w.step
	for n := w.at; n <= last && n < w.at+int64(len(w.ring)); n++ {
		if k := n % int64(len(w.ring)); w.busy[k] {
			due.join(w.ring[k])
			w.ring[k].reset()
			w.busy[k] = false
		}
	}
	w.at = max(w.at, last+1)
}

// next is when take has something to give, in milliseconds of the hub's clock.
func (w *wheel) next() (at int64, ok bool) {
	for n := w.at; n < w.at+int64(len(w.ring)); n++ {
		if w.busy[n%int64(len(w.ring))] {
			return n * w.step, true
		}
	}
	return 0, false
}

// span is how far ahead the wheel can look.
func (w *wheel) span() int64 { return w.step * int64(len(w.ring)-1) }
