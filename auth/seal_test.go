package auth

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func sealerOf(t *testing.T, secrets ...string) *Sealer {
	t.Helper()
	var k SecretKey
	if err := k.UnmarshalText([]byte(strings.Join(secrets, ","))); err != nil {
		t.Fatal(err)
	}
	return k.Sealer()
}

func TestWhatIsSealedOpensWithEverySecretThatIsNamedAtItsPlaceAlone(t *testing.T) {
	old, next := strings.Repeat("ab", 31)+"cd", strings.Repeat("12", 31)+"34"
	before, rotated, after := sealerOf(t, old), sealerOf(t, next, old), sealerOf(t, next)
	const text = "signs what a webhook is sent"
	sealed := before.Seal(text, "user", "alert")
	if bytes.Contains(sealed, []byte(text)) || bytes.Equal(sealed, before.Seal(text, "user", "alert")) {
		t.Errorf("%x: it can be read, or told from others", sealed)
	}
	for name, s := range map[string]*Sealer{"the secret that sealed it": before, "the second of two": rotated} {
		if got, err := s.Open(sealed, "user", "alert"); got != text || err != nil {
			t.Errorf("%s: %q %v", name, got, err)
		}
	}
	again := rotated.Seal(text, "user", "alert")
	if got, err := after.Open(again, "user", "alert"); got != text || err != nil {
		t.Errorf("sealed by the first of two, opened by it alone: %q %v", got, err)
	}
	if !bytes.HasPrefix(again, after.Newest()) || bytes.HasPrefix(sealed, after.Newest()) {
		t.Error("what the newest secret sealed is not known by its beginning")
	}
	damaged := bytes.Clone(sealed)
	damaged[len(damaged)-1] ^= 1
	renamed := append(bytes.Clone(after.Newest()), sealed[len(after.Newest()):]...) // says that another secret sealed it
	for name, c := range map[string]struct {
		s      *Sealer
		sealed []byte
		place  []string
	}{
		"the secret is gone":      {after, sealed, []string{"user", "alert"}},
		"another row":             {before, sealed, []string{"user", "other"}},
		"another owner":           {before, sealed, []string{"other", "alert"}},
		"places run together":     {before, sealed, []string{"useralert"}},
		"damaged":                 {before, damaged, []string{"user", "alert"}},
		"another secret's name":   {rotated, renamed, []string{"user", "alert"}},
		"cut off":                 {before, sealed[:len(before.Newest())+3], []string{"user", "alert"}},
		"nothing":                 {before, nil, []string{"user", "alert"}},
		"the secret in the clear": {before, []byte(text), []string{"user", "alert"}},
	} {
		if got, err := c.s.Open(c.sealed, c.place...); got != "" || !errors.Is(err, ErrSealed) {
			t.Errorf("%s: %q %v", name, got, err)
		}
	}
}
