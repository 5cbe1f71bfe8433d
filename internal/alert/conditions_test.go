package alert

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

var update = flag.Bool("update", false, "write deploy/prometheus/rules.yml")

func TestTheRulesFileIsWhatTheConditionsSay(t *testing.T) {
	var b bytes.Buffer
	if err := WriteRules(&b, Conditions); err != nil {
		t.Fatal(err)
	}
	const file = "../../deploy/prometheus/rules.yml"
	if *update {
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(file); err != nil || !bytes.Equal(have, b.Bytes()) {
		t.Errorf("%s is not what the conditions say (%v): go test ./internal/alert -run RulesFile -update", file, err)
	}
}

func TestEveryConditionHasARunbook(t *testing.T) {
	book, err := os.ReadFile("../../deploy/runbooks/alerts.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range append([]Condition{{Name: "RosetreeDown"}}, Conditions...) {
		if !strings.Contains(string(book), "\n## "+c.Name+"\n") {
			t.Errorf("deploy/runbooks/alerts.md has no heading %q", c.Name)
		}
	}
}

// line is one series over time: start + step·n, at n steps of 15 s. It is what promtool is given and what our own
// evaluation is given, so that their verdicts can be compared.
type line struct {
	name, label, value, le string
	start, step            float64
}

func (l line) promtool() string {
	var labels []string
	if l.label != "" {
		labels = append(labels, fmt.Sprintf("%s=%q", l.label, l.value))
	}
	if l.le != "" {
		labels = append(labels, fmt.Sprintf("le=%q", l.le))
	}
	return fmt.Sprintf("      - series: '%s{%s}'\n        values: '%g%+gx80'\n", l.name, strings.Join(labels, ","), l.start, l.step)
}

func of(s Series, start, step float64) line {
	l := line{name: s.Name, start: start, step: step}
	if s.Label != "" {
		l.label, l.value = s.Label, s.Values[0]
	}
	return l
}

// scenario makes the measure stand at v, for ever.
func scenario(m Measure, v float64) []line {
	switch m := m.(type) {
	case Share:
		part := of(m.Part, 0, math.Round(v*800))
		whole := m.Whole
		rest := line{name: whole.Name, label: m.Part.Label, step: 80000 - math.Round(v*800), value: "ok"}
		if part.value == "ok" {
			rest.value = "failed"
		}
		return []line{part, rest}
	case Quantile:
		slow, fast := 2*v/1000, v/1000 // the quantile falls on the bound of fast exactly when fast holds its share
		bucket := func(le string, step float64) line {
			l := of(m.Of, 0, step)
			l.name, l.le = l.name+"_bucket", le
			return l
		}
		return []line{bucket(fmt.Sprint(fast/2), 0), bucket(fmt.Sprint(fast), 100*m.Q), bucket(fmt.Sprint(slow), 100), bucket("+Inf", 100)}
	case Level:
		return []line{of(m.Of, v/m.Scale, 0)}
	case Filling:
		return []line{of(m.Used, v, 0), of(m.Max, 100, 0)}
	case Growth:
		return []line{of(m.Of, 0, v)}
	case Age:
		return []line{of(m.Of, -v, 15)}
	}
	panic("a measure without a scenario")
}

// gathered is what a registry would hold of the lines after n steps.
func gathered(lines []line, n int) []*dto.MetricFamily {
	byName := map[string]*dto.MetricFamily{}
	var out []*dto.MetricFamily
	histogram := &dto.Metric{}
	for _, l := range lines {
		v := l.start + l.step*float64(n)
		name, isBucket := strings.CutSuffix(l.name, "_bucket")
		name = strings.TrimSuffix(name, "_count")
		f := byName[name]
		if f == nil {
			f = &dto.MetricFamily{Name: &name}
			byName[name] = f
			out = append(out, f)
		}
		m := &dto.Metric{}
		if l.label != "" {
			m.Label = []*dto.LabelPair{{Name: &l.label, Value: &l.value}}
		}
		count := uint64(v)
		switch {
		case isBucket:
			if histogram.Histogram == nil {
				histogram.Histogram, histogram.Label = &dto.Histogram{}, m.Label
				f.Metric = append(f.Metric, histogram)
			}
			var le float64
			fmt.Sscan(l.le, &le)
			if l.le == "+Inf" {
				histogram.Histogram.SampleCount = &count
			} else {
				histogram.Histogram.Bucket = append(histogram.Histogram.Bucket, &dto.Bucket{UpperBound: &le, CumulativeCount: &count})
			}
			continue
		case strings.HasSuffix(l.name, "_count"):
			m.Histogram = &dto.Histogram{SampleCount: &count}
		case strings.HasSuffix(l.name, "_total"):
			m.Counter = &dto.Counter{Value: &v}
		default:
			m.Gauge = &dto.Gauge{Value: &v}
		}
		f.Metric = append(f.Metric, m)
	}
	return out
}

// heard is a teller that keeps what it is told.
type heard struct{ notices []Notice }

func (h *heard) Tell(_ context.Context, n Notice) { h.notices = append(h.notices, n) }

// alone is the claim of a server that has no others beside it.
type alone struct{}

func (alone) Take(context.Context, string) bool { return true }
func (alone) Release(context.Context, string)   {}

// said is what our own evaluation tells after 80 steps.
func said(t *testing.T, c Condition, lines []line) []Notice {
	t.Helper()
	var h heard
	n := 0
	from := prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) { return gathered(lines, n), nil })
	w := NewWatch(from, []Condition{c}, &h, alone{}, slog.New(slog.DiscardHandler))
	for ; n <= 80; n++ {
		w.look(t.Context(), time.Unix(0, 0).Add(time.Duration(n)*every))
	}
	return h.notices
}

// TestPrometheusAndTheNotifierAgree holds every condition just below, at and just above its limit and without data, and
// asks both.
func TestPrometheusAndTheNotifierAgree(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatal("promtool is needed: .ci/setup deploy")
	}
	dir := t.TempDir()
	var rules, tests bytes.Buffer
	if err := WriteRules(&rules, Conditions); err != nil {
		t.Fatal(err)
	}
	tests.WriteString("rule_files: [rules.yml]\nevaluation_interval: 15s\ntests:\n")
	for _, c := range Conditions {
		for _, v := range levels(c) {
			lines := scenario(c.Measure, v)
			expect(&tests, fmt.Sprintf("%s at %g", c.Name, v), c, lines, c.wrong(v))
			if told := said(t, c, lines); (len(told) == 1) != c.wrong(v) {
				t.Errorf("%s at %g: the notifier said %d things, wrong is %v", c.Name, v, len(told), c.wrong(v))
			}
		}
		expect(&tests, c.Name+" without data", c, nil, false)
		if told := said(t, c, nil); len(told) != 0 {
			t.Errorf("%s without data: the notifier said %v", c.Name, told)
		}
	}
	down := Condition{Name: "RosetreeDown", Severity: Critical, Says: "No server of Rosetree answers Prometheus."}
	expect(&tests, "no server", down, nil, true)
	expect(&tests, "a server", down, []line{{name: "rosetree_hub_sockets"}}, false)
	for name, text := range map[string][]byte{"rules.yml": rules.Bytes(), "test.yml": tests.Bytes()} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"check", "rules", "rules.yml"}, {"test", "rules", "test.yml"}} {
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// levels are just below, at and just above the limit, as far as the measure has them.
func levels(c Condition) []float64 {
	if c.Limit == 0 {
		return []float64{0, 1}
	}
	return []float64{c.Limit * 0.99, c.Limit, c.Limit * 1.01}
}

func expect(w *bytes.Buffer, name string, c Condition, lines []line, fires bool) {
	fmt.Fprintf(w, "  - name: %s\n    interval: 15s\n    input_series:\n", name)
	for _, l := range lines {
		w.WriteString(l.promtool())
	}
	fmt.Fprintf(w, "    alert_rule_test:\n      - eval_time: 20m\n        alertname: %s\n        exp_alerts:\n", c.Name)
	if fires {
		fmt.Fprintf(w, "          - exp_labels: {severity: %s}\n            exp_annotations: {summary: %s, runbook_url: %s}\n", c.Severity, quoted(c.Says), quoted(c.Runbook()))
	}
}
