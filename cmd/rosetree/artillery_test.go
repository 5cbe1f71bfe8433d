package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"rosetree/web"
)

var inBraces = regexp.MustCompile(`\{\{?[^}]*\}?\}`)

// The load test for Artillery asks only for what the OpenAPI document has.
func TestArtilleryAsksForWhatThereIs(t *testing.T) {
	var api struct {
		Paths map[string]map[string]any
	}
	if err := yaml.Unmarshal(web.OpenAPI, &api); err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for path, methods := range api.Paths {
		for method := range methods {
			known[method+" "+inBraces.ReplaceAllString(path, "*")] = true
		}
	}
	text, err := os.ReadFile("../../bench/artillery/load-test-auth-v2.yml")
	if err != nil {
		t.Fatal(err)
	}
	type flow struct {
		Name string
		Flow []map[string]struct{ URL string }
	}
	var test struct {
		Config struct {
			Environments map[string]any
		}
		Before    flow
		Scenarios []flow
	}
	if err := yaml.Unmarshal(text, &test); err != nil {
		t.Fatal(err)
	}
	steps := 0
	for _, f := range append(test.Scenarios, test.Before) {
		for _, step := range f.Flow {
			for method, request := range step {
				path, _, _ := strings.Cut(inBraces.ReplaceAllString(request.URL, "*"), "?")
				if steps++; !known[method+" "+path] {
					t.Errorf("%s: %s %s is not in openapi.yaml", f.Name, method, request.URL)
				}
			}
		}
	}
	if steps < 8 || len(test.Config.Environments) != 4 {
		t.Errorf("%d steps, %d environments: the file is not read as it is meant", steps, len(test.Config.Environments))
	}
}
