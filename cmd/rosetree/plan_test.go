package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// What the migration plan types at Kubernetes has its effect with the manifest as it stands: kubectl set env replaces a value of
// the container's environment, and new servers start with it.
func TestThePlansOwnCommandsTurnTheShare(t *testing.T) {
	manifest, err := os.ReadFile("../../deploy/kubernetes/rosetree.yaml")
	if err != nil {
		t.Fatal(err)
	}
	container := map[string]string{}
	for _, m := range regexp.MustCompile(`name: ([A-Z_]+), value: "?([^" }]*)"? \}`).FindAllStringSubmatch(string(manifest), -1) {
		container[m[1]] = m[2]
	}
	for _, step := range []struct {
		set     string // kubectl set env deployment/portfolio-tracker …
		percent float64
		mode    string
	}{
		{"", 0, "legacy"},
		{"NEW_AUTH_PERCENTAGE=10", 10, "partial"},
		{"NEW_AUTH_PERCENTAGE=50", 50, "partial"},
		{"NEW_AUTH_ENABLED=true NEW_AUTH_PERCENTAGE=100", 100, "full"},
		{"NEW_AUTH_ENABLED=false", 0, "legacy"},
		{"ROLLBACK_MODE=true", 0, "rollback"},
		{"SECURITY_LOCKDOWN=true", 0, "lockdown"},
	} {
		for pair := range strings.FieldsSeq(step.set) {
			name, value, _ := strings.Cut(pair, "=")
			container[name] = value
		}
		t.Run(step.set, func(t *testing.T) {
			var env []string
			for name, value := range container {
				if name != "LISTEN_ADDR" && name != "METRICS_ADDR" && name != "WS_DRAIN" {
					env = append(env, name+"="+value)
				}
			}
			h := newHouse(t, append(env, "LEGACY_JWT_SECRET=0123456789abcdef0123456789abcdef")...)
			if mode, percent := h.mode(), h.percent(); mode != step.mode || percent != step.percent {
				t.Errorf("%s at %v %%, and not %s at %v %%", mode, percent, step.mode, step.percent)
			}
		})
	}
}
