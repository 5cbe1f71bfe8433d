package proof

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// record is all that the clients of a run saw.
type record struct {
	mu       sync.Mutex
	began    time.Time
	counts   map[string]int             // guarded by mu: what was done, by kind
	failures []string                   // guarded by mu: requests that a user would have seen fail
	lost     []string                   // guarded by mu: sockets that ended without an announcement
	wrong    []string                   // guarded by mu: rows that were not the user's, were missing, or came twice
	still    []string                   // guarded by mu: times when the machine itself gave this process nothing
	took     map[string][]time.Duration // guarded by mu: latencies since the last cut, by kind
}

func newRecord() *record {
	return &record{began: time.Now(), counts: map[string]int{}, took: map[string][]time.Duration{}}
}

func (r *record) did(kind string, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[kind]++
	r.took[kind] = append(r.took[kind], took)
}

func (r *record) count(kind string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[kind]++
}

func (r *record) counted(kind string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts[kind]
}

func (r *record) add(to *[]string, format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*to = append(*to, fmt.Sprintf("%6.1f s  ", time.Since(r.began).Seconds())+fmt.Sprintf(format, args...))
}

// cut returns the latencies of a kind since the last cut, and begins anew.
func (r *record) cut(kind string) latencies {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := latencies(r.took[kind])
	r.took[kind] = nil
	slices.Sort(l)
	return l
}

// latencies are sorted.
type latencies []time.Duration

func (l latencies) quantile(q float64) time.Duration {
	if len(l) == 0 {
		return 0
	}
	return l[min(len(l)-1, int(q*float64(len(l))))]
}

func (l latencies) String() string {
	return fmt.Sprintf("p50 %v, p95 %v (%d)", l.quantile(.5).Round(100*time.Microsecond), l.quantile(.95).Round(100*time.Microsecond), len(l))
}

// watchTheMachine notes when a timer of this process, which is as nice as the servers, comes late by more than a second: what is
// slow or fails then says little about the servers.
func (r *record) watchTheMachine(ctx context.Context) {
	const every = 50 * time.Millisecond
	for ctx.Err() == nil {
		began := time.Now()
		rest(ctx, every)
		if late := time.Since(began) - every; late > time.Second {
			r.add(&r.still, "the machine stood still for %v", late.Round(time.Millisecond))
		}
	}
}
