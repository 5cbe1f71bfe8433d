package imports

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzOwnCSV: notes and names come back as they were, also those that a spreadsheet would run.
func FuzzOwnCSV(f *testing.F) {
	for _, s := range []string{"", "=1+1", "+1", "-1", "@SUM(A1)", "\tx", "'=1", "''-1", "'til Tuesday", "'", " blanks around ", "two\nlines", `a "quote", a comma; and ünïcode`} {
		f.Add(s, "Depot 1")
		f.Add("", s)
	}
	f.Fuzz(func(t *testing.T, note, account string) {
		if !utf8.ValidString(note+account) || strings.ContainsAny(note+account, "\x00\r") || strings.TrimSpace(account) != account {
			return // no text, ends of lines that CSV does not keep, no name
		}
		own := Own{Transactions: []OwnTransaction{{ID: "1", Account: account, Type: "deposit", Amount: "1", Currency: "USD", Fee: "0", Tax: "0", Note: note, ExecutedAt: time.Unix(1_790_000_000, 0).UTC()}}}
		var text strings.Builder
		if err := own.WriteCSV(&text); err != nil {
			t.Fatal(err)
		}
		file, err := Parse("", []byte(text.String()))
		if err != nil || len(file.Rows) != 1 {
			t.Fatal(file, err)
		}
		r := file.Rows[0]
		if r.Note != note || r.Account != account || r.Bad != "" {
			t.Errorf("note %q and account %q came back as %q and %q (%s)", note, account, r.Note, r.Account, r.Bad)
		}
		if g := guarded(note); g != "" && strings.ContainsRune("=+-@\t", rune(g[0])) {
			t.Errorf("a spreadsheet would run %q", g)
		}
	})
}
