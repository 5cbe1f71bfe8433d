package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	typed  = regexp.MustCompile("(?m)(?:^|[`(\\s/])rosetree( +[a-z][^`|;>#)\n]*)")
	quoted = regexp.MustCompile(`'[^'\n]*'|"[^"\n]*"`)
	spans  = regexp.MustCompile("(?s)```.*?```|`[^`\n]+`")
)

// TestTheCommandsOfTheDocsExist: what a reader is told to type is a command, with flags that it has.
func TestTheCommandsOfTheDocsExist(t *testing.T) {
	var files []string
	for _, pattern := range []string{"../../*.md", "../../docs/*.md", "../../deploy/*/*.md", "../../deploy/*/*/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	seen := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, span := range spans.FindAllString(string(text), -1) {
			for _, m := range typed.FindAllStringSubmatch(span, -1) {
				seen++
				words := strings.NewReplacer("[", " ", "]", " ").Replace(quoted.ReplaceAllString(m[1], "word"))
				if why := refused(strings.Fields(words)); why != "" {
					t.Errorf("%s: rosetree%s: %s", strings.TrimPrefix(file, "../../"), m[1], why)
				}
			}
		}
	}
	if seen < 30 {
		t.Errorf("only %d commands were found", seen)
	}
}

// refused is why the program would not begin to work.
func refused(words []string) string {
	root, _ := newRoot()
	cmd, rest, err := root.Find(words)
	switch {
	case err != nil:
		return err.Error()
	case !cmd.Runnable():
		return "only says what there is beneath it"
	}
	if err := cmd.ParseFlags(rest); err != nil && !strings.Contains(err.Error(), "needs an argument") { // which a sentence may leave out
		return err.Error()
	}
	return ""
}
