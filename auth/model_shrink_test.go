package auth

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	shrinkReach = 400             // how many of a failing run's last steps are tried
	shrinkLimit = 3 * time.Minute // how long at most
)

// reportShrunk repeats the end of a failing run with fewer and fewer of its steps, as long as it still fails. Faults have
// their timing, so a run that failed once may not fail again: then nothing is left to show but the whole.
func reportShrunk(t *testing.T, failed *model) {
	steps := make([]int, 0, shrinkReach)
	for n := max(1, failed.steps-shrinkReach+1); n <= failed.steps; n++ {
		steps = append(steps, n)
	}
	deadline := time.Now().Add(shrinkLimit)
	last := replayed(t, failed.seed, steps)
	if len(last.violations) == 0 {
		t.Logf("the last %d steps alone do not fail again", len(steps))
		return
	}
	steps = shrink(steps, func(fewer []int) bool {
		if time.Now().After(deadline) {
			return false
		}
		m := replayed(t, failed.seed, fewer)
		if len(m.violations) == 0 {
			return false
		}
		last = m
		return true
	})
	t.Errorf("%d steps are enough: %s\n%s\n%s", len(steps), fmt.Sprint(steps), strings.Join(last.violations, "\n"), strings.Join(last.log, "\n"))
}

// replayed is a new model after those steps, in that order.
func replayed(t *testing.T, seed uint64, steps []int) *model {
	m := newModel(t, seed)
	defer m.stop()
	for _, n := range steps {
		if m.step(n); len(m.violations) > 0 {
			return m
		}
		m.check()
	}
	m.settle()
	return m
}

// shrink leaves out parts of steps, halves first and single ones last, as long as what is left still fails.
func shrink(steps []int, fails func([]int) bool) []int {
	for size := (len(steps) + 1) / 2; size > 0; size /= 2 {
		for at := 0; at < len(steps); {
			fewer := slices.Concat(steps[:at], steps[min(at+size, len(steps)):])
			if len(fewer) > 0 && fails(fewer) {
				steps = fewer
			} else {
				at += size
			}
		}
	}
	return steps
}

func TestModel_ShrinksToTheStepsThatMatter(t *testing.T) {
	var all []int
	for n := range 100 {
		all = append(all, n)
	}
	left := shrink(all, func(steps []int) bool { return slices.Contains(steps, 17) && slices.Contains(steps, 63) })
	if !slices.Equal(left, []int{17, 63}) {
		t.Errorf("left %v", left)
	}
}
