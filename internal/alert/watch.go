package alert

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// every is how often a server reads its own metrics, as often as Prometheus would.
const every = 15 * time.Second

// Notice is what an operator is told: a condition came true, or is over.
type Notice struct {
	Condition Condition
	Value     float64 // of the measure, when it was told
	Since     time.Time
	Over      bool
}

// Teller carries a notice to people. It must not block for long; what it could not deliver it tries again by itself.
type Teller interface {
	Tell(ctx context.Context, n Notice)
}

// Claim says whether this server may tell of a condition: of several that see the same one does. Releasing it is for the
// one that told.
type Claim interface {
	Take(ctx context.Context, condition string) bool
	Release(ctx context.Context, condition string)
}

// Watch evaluates conditions on a server's own metrics.
type Watch struct {
	from       prometheus.Gatherer
	conditions []Condition
	teller     Teller
	claim      Claim
	log        *slog.Logger

	record record
	states map[string]*state
}

type state struct {
	since time.Time // zero: not wrong
	told  bool
}

// NewWatch tells teller of the conditions that come true in from.
func NewWatch(from prometheus.Gatherer, conditions []Condition, teller Teller, claim Claim, log *slog.Logger) *Watch {
	w := &Watch{from: from, conditions: conditions, teller: teller, claim: claim, log: log, states: map[string]*state{}}
	for _, c := range conditions {
		w.states[c.Name] = &state{}
	}
	return w
}

// Run evaluates until ctx ends.
func (w *Watch) Run(ctx context.Context) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		w.look(ctx, time.Now())
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// look evaluates every condition once.
func (w *Watch) look(ctx context.Context, now time.Time) {
	families, err := w.from.Gather()
	if err != nil {
		w.log.Error("the server's own metrics could not be read in full", "error", err)
	}
	w.record.add(now, families, wanted(w.conditions), longest(w.conditions))
	for _, c := range w.conditions {
		v, known := c.Measure.read(&w.record)
		w.judge(ctx, c, w.states[c.Name], v, known && c.wrong(v), now)
	}
}

func (w *Watch) judge(ctx context.Context, c Condition, s *state, v float64, wrong bool, now time.Time) {
	switch {
	case !wrong:
		if s.told {
			w.claim.Release(ctx, c.Name)
			w.teller.Tell(ctx, Notice{Condition: c, Value: v, Since: s.since, Over: true})
		}
		*s = state{}
		return
	case s.since.IsZero():
		s.since = now
	}
	if now.Sub(s.since) < c.For {
		return
	}
	// Taken again each round: the claim of a server that died with the condition still true runs out.
	if mine := w.claim.Take(ctx, c.Name); mine && !s.told {
		s.told = true
		w.log.Warn("an alert condition holds", "alert", c.Name, "severity", c.Severity, "reads", c.reads(v))
		w.teller.Tell(ctx, Notice{Condition: c, Value: v, Since: s.since})
	}
}

func wanted(conditions []Condition) map[string]bool {
	names := map[string]bool{}
	for _, c := range conditions {
		for _, s := range c.Measure.series() {
			names[s.family()] = true
		}
	}
	return names
}

func longest(conditions []Condition) (d time.Duration) {
	for _, c := range conditions {
		switch m := c.Measure.(type) {
		case Share:
			d = max(d, m.Window)
		case Quantile:
			d = max(d, m.Window)
		case Growth:
			d = max(d, m.Window)
		}
	}
	return d
}
