package prices

import "sync"

// edits keeps what was read of instruments before one was changed from taking the change back.
type edits struct {
	mu sync.Mutex
	n  int
}

func (e *edits) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.n
}

// make does what follows a change that is written.
func (e *edits) make(do func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.n++
	do()
}

// unless does it where nothing was changed since the count was n, and says whether it did.
func (e *edits) unless(n int, do func()) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.n != n {
		return false
	}
	do()
	return true
}
