package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// allowed lists, for each room, the rooms that it may know. Arrows point down.
var allowed = map[string][]string{
	"internal/api":      {},
	"migrations":        {},
	"web":               {"internal/api"},
	"auth":              {"internal/api"},
	"prices":            {"internal/api"},
	"portfolio":         {"auth", "prices", "internal/api"},
	"hub":               {"portfolio", "auth", "prices", "internal/api"},
	"internal/alert":    {},
	"internal/devstack": {},
	"deploy":            {}, // proofs only: tests that start the program
	"docs":              {}, // the recipe for clients in Go
}

func TestArrowsPointDown(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, "rosetree/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		imports := strings.Fields(line)
		room := roomOf(imports[0])
		may, known := allowed[room]
		if room == "cmd" {
			continue
		}
		if !known {
			t.Errorf("%s is a folder that ARCHITECTURE.md does not know", imports[0])
		}
		seen[room] = true
		for _, imported := range imports[1:] {
			if to := roomOf(imported); to != "" && to != room && !slices.Contains(may, to) {
				t.Errorf("%s imports %s: %s may only know %v", imports[0], imported, room, may)
			}
		}
	}
	for room := range allowed {
		if !seen[room] {
			t.Errorf("room %s is gone: take it out of this list", room)
		}
	}
}

// roomOf is the top-level folder of one of our packages; internal ones are rooms of their own.
func roomOf(pkg string) string {
	path, ours := strings.CutPrefix(pkg, "rosetree/")
	if !ours {
		return ""
	}
	parts := strings.Split(path, "/")
	if parts[0] == "internal" && len(parts) > 1 {
		return parts[0] + "/" + parts[1]
	}
	return parts[0]
}
