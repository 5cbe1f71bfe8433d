package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A test that was renamed would leave a promise that nobody proves, and only who runs the suite would see it.
func TestEveryProofNamesTestsThatExist(t *testing.T) {
	lists, err := filepath.Glob("../../.ci/proofs/*")
	if err != nil || len(lists) < 7 {
		t.Fatalf("%v %v", lists, err)
	}
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			part := strings.Split(line, "|")
			if len(part) != 3 || len(strings.Fields(part[2])) == 0 {
				t.Errorf("%s: %q is not promise | package | tests", filepath.Base(list), line)
				continue
			}
			source := testSource(t, strings.TrimSpace(part[1]))
			for name := range strings.FieldsSeq(part[2]) {
				if !strings.Contains(source, "\nfunc "+name+"(t *testing.T)") {
					t.Errorf("%s: %s has no %s", filepath.Base(list), part[1], name)
				}
			}
		}
	}
}

func testSource(t *testing.T, pkg string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("../..", pkg, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests in %s", pkg)
	}
	var all strings.Builder
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}
