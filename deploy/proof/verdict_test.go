package proof

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

// verdicts is the plan's success criteria, each with what was measured.
type verdicts struct {
	t        *testing.T
	rehearse bool // a person asked for it on a quiet machine: latencies are judged too
	rows     []string
}

func newVerdicts(t *testing.T) *verdicts {
	return &verdicts{t: t, rehearse: os.Getenv("ROSETREE_REHEARSAL") != ""}
}

// row judges one criterion.
func (v *verdicts) row(criterion, plan string, met bool, format string, args ...any) {
	v.t.Helper()
	word := "met"
	if !met {
		word = "NOT MET"
		v.t.Errorf("%s (%s): %s", criterion, plan, fmt.Sprintf(format, args...))
	}
	v.rows = append(v.rows, criterion+"\t"+plan+"\t"+fmt.Sprintf(format, args...)+"\t"+word)
}

// latency judges a time where that means something: make test shares two cores with everything else that it starts.
func (v *verdicts) latency(criterion string, limit, took time.Duration, detail string) {
	v.t.Helper()
	if !v.rehearse && took >= limit {
		v.rows = append(v.rows, fmt.Sprintf("%s\tunder %v\t%s\tnot judged here: make rehearse", criterion, limit, detail))
		return
	}
	v.row(criterion, "under "+limit.String(), took < limit, "%s", detail)
}

func (v *verdicts) String() string {
	return aligned("criterion of the plan\tplan\tmeasured\tverdict", v.rows)
}

// aligned is a table whose cells are parted by tabs.
func aligned(head string, rows []string) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, head)
	for _, r := range rows {
		fmt.Fprintln(w, r)
	}
	w.Flush()
	return b.String()
}

// timeline says what happened when.
type timeline struct {
	t     *testing.T
	began time.Time
}

func (l *timeline) say(format string, args ...any) {
	l.t.Helper()
	l.t.Logf("%6.1f s  %s", time.Since(l.began).Seconds(), fmt.Sprintf(format, args...))
}
