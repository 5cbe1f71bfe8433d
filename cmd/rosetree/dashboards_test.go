package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var metricName = regexp.MustCompile(`\b(?:rosetree|process|go)_[a-z0-9_]+`)

// TestEveryMetricOfTheDashboardsExists: a graph of a metric that nobody writes is empty and looks like peace.
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
				for _, name := range metricName.FindAllString(q.Expr, -1) {
					if !metrics[name] && !metrics[trimHistogram(name)] {
						t.Errorf("%s, %s: %s is not a metric of the server", filepath.Base(file), p.Title, name)
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

// declared are the metrics that a running server shows, and those that appear with their first child.
func declared(t *testing.T, shown string) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (\S+) `).FindAllStringSubmatch(shown, -1) {
		all[m[1]] = true
	}
	sources, _ := filepath.Glob("../../*/*.go")
	for _, file := range sources {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`New(?:Counter|Gauge|Histogram)Vec\(prometheus\.\w+Opts\{\s*Name: +"(rosetree_[a-z0-9_]+)"`).FindAllStringSubmatch(string(raw), -1) {
			all[m[1]] = true
		}
	}
	return all
}
