package main

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var metricName = regexp.MustCompile(`\b(?:rosetree|process|go)_[a-z0-9_]+`)

// TestEveryMetricOfTheDashboardsExists: a graph of a metric that nobody writes, or by a label that it does not have, looks like peace.
func TestEveryMetricOfTheDashboardsExists(t *testing.T) {
	metrics := declared(t, newHouse(t).text("/metrics"))
	files, _ := filepath.Glob("../../deploy/grafana/dashboards/*.json")
	if len(files) != 3 {
		t.Fatalf("dashboards: %v", files)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var d struct {
			Panels []struct {
				Title   string
				Targets []struct{ Expr string }
			}
		}
		if err := json.Unmarshal(raw, &d); err != nil || len(d.Panels) == 0 {
			t.Fatalf("%s: %v, %d panels", file, err, len(d.Panels))
		}
		for _, p := range d.Panels {
			for _, q := range p.Targets {
				known := map[string]bool{"instance": true, "job": true, "le": true}
				for _, name := range metricName.FindAllString(q.Expr, -1) {
					labels := metrics[name]
					if labels == nil {
						labels = metrics[trimHistogram(name)]
					}
					if labels == nil {
						t.Errorf("%s, %s: %s is not a metric of the server", filepath.Base(file), p.Title, name)
					}
					maps.Copy(known, labels)
				}
				for _, label := range labelsOf(q.Expr) {
					if !known[label] {
						t.Errorf("%s, %s: no metric of %s has the label %s", filepath.Base(file), p.Title, q.Expr, label)
					}
				}
			}
		}
	}
}

func trimHistogram(name string) string {
	for _, suffix := range []string{"_bucket", "_count", "_sum"} {
		name = strings.TrimSuffix(name, suffix)
	}
	return name
}

// labelsOf are the labels by which a query sums, or of which it wants a value.
func labelsOf(expr string) (all []string) {
	for _, by := range regexp.MustCompile(`\bby \(([^)]*)\)`).FindAllStringSubmatch(expr, -1) {
		for label := range strings.SplitSeq(by[1], ",") {
			all = append(all, strings.TrimSpace(label))
		}
	}
	for _, m := range regexp.MustCompile(`[{,]([a-z_]+)=~?"`).FindAllStringSubmatch(expr, -1) {
		all = append(all, m[1])
	}
	return all
}

// declared are the metrics that a running server shows, and those that appear with their first child, with their labels.
func declared(t *testing.T, shown string) map[string]map[string]bool {
	t.Helper()
	all := map[string]map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (\S+) `).FindAllStringSubmatch(shown, -1) {
		all[m[1]] = map[string]bool{}
	}
	for _, m := range regexp.MustCompile(`(?m)^([a-z0-9_]+)\{(.*)\} `).FindAllStringSubmatch(shown, -1) {
		for _, label := range labelsOf("{" + m[2]) {
			all[orName(all, m[1])][label] = true
		}
	}
	sources, _ := filepath.Glob("../../*/*.go")
	for _, file := range sources {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`New(?:Counter|Gauge|Histogram)Vec\(prometheus\.\w+Opts\{\s*Name: +"(rosetree_[a-z0-9_]+)"[^}]*(?:\{[^}]*\}[^}]*)?\}, \[\]string\{([^}]*)\}`).FindAllStringSubmatch(string(raw), -1) {
			if all[m[1]] == nil {
				all[m[1]] = map[string]bool{}
			}
			for label := range strings.SplitSeq(m[2], ",") {
				all[m[1]][strings.Trim(label, ` "`)] = true
			}
		}
	}
	return all
}

// orName is the metric of a series: a histogram's have endings of their own.
func orName(all map[string]map[string]bool, series string) string {
	if all[series] == nil {
		return trimHistogram(series)
	}
	return series
}
