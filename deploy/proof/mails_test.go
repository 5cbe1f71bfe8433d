package proof

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Whoever sends the mails finds in their README which one is sent when, and what each short word in braces stands for.
func TestTheMailsVariablesAreExplained(t *testing.T) {
	const folder = "../migration/mails"
	read := func(path string) string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	readme := read(filepath.Join(folder, "README.md"))
	mails, _ := filepath.Glob(filepath.Join(folder, "[0-9]*.md"))
	if len(mails) < 4 {
		t.Fatalf("%d mails", len(mails))
	}
	variable := regexp.MustCompile(`\{\{[a-z]+( [a-z]+)?\}\}`)
	for _, mail := range mails {
		text, name := read(mail), filepath.Base(mail)
		if !strings.HasPrefix(text, "Subject: ") || !strings.Contains(readme, "]("+name+")") {
			t.Errorf("%s has no subject, or README.md does not say when it is sent", name)
		}
		for _, v := range variable.FindAllString(text, -1) {
			if strings.HasPrefix(v, "{{what ") {
				continue // it says what to write
			}
			if !strings.Contains(readme, "`"+v+"`") {
				t.Errorf("%s: README.md does not say what %s is", name, v)
			}
		}
	}
}
