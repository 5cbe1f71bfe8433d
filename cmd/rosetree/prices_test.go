package main

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestPricesAreRecordedAndPlayedAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ticks.jsonl")
	if code := run(t.Context(), []string{"prices", "record", "sim?rate=20&symbols=BTC-USD", file, "--for", "600ms"}); code != 0 {
		t.Fatalf("record: %d", code)
	}
	if code := run(t.Context(), []string{"prices", "record", "sim", file, "--for", "600ms"}); code != 1 {
		t.Errorf("a recording is not written over: %d", code)
	}
	var out strings.Builder
	root, _ := newRoot()
	root.SetArgs([]string{"prices", "replay", file + "?speed=10", "--for", "500ms"})
	root.SetOut(&out)
	if err := root.ExecuteContext(t.Context()); err != nil || strings.Count(out.String(), `"s":"BTC-USD"`) < 3 {
		t.Errorf("replay: %v\n%s", err, out.String())
	}
	if code := run(t.Context(), []string{"prices", "record", "coinbse", file + "2"}); code != 1 {
		t.Errorf("a feed that there is not: %d", code)
	}
}
