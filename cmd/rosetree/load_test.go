package main

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSpreadKnowsItsShares(t *testing.T) {
	s := &spread{}
	for i := range 1000 {
		s.add(time.Duration(i+1) * time.Millisecond)
	}
	for share, want := range map[float64]time.Duration{0.5: 500 * time.Millisecond, 0.99: 990 * time.Millisecond, 1: time.Second} {
		if got := s.at(share); got < want || got > want+want/30 {
			t.Errorf("%v: %v, want about %v", share, got, want)
		}
	}
	for us := int64(0); us < 1<<31; us += us/7 + 1 {
		if top := bucketTop(bucketOf(us)); top < us || float64(top) > float64(us)*1.04+1 {
			t.Fatalf("%d µs is counted as %d", us, top)
		}
	}
}

func TestTickCarriesItsAge(t *testing.T) {
	sent := time.UnixMicro(1_790_000_000_000_120)
	message := []byte(`{"type":"prices","updates":[{"s":"A","p":"` + strings.TrimRight(stampedPrice(sent), "0") + `","t":1,"n":1},{"s":"B","p":"1","t":1,"n":1}]}`)
	if n := updatesIn(message); n != 2 {
		t.Errorf("%d updates", n)
	}
	if age, ok := ageOf(message, sent.Add(1500*time.Microsecond)); !ok || age != 1500*time.Microsecond {
		t.Errorf("%v %v", age, ok)
	}
	if n := updatesIn([]byte(`{"type":"prices","snapshot":true,"updates":[{"s":"A"}]}`)); n != 0 {
		t.Errorf("a snapshot counted as %d updates", n)
	}
}

func TestLoadIsRefusedWhereItWouldHurtOthers(t *testing.T) {
	for _, args := range [][]string{
		{"load"}, {"load", "flood"}, {"load", "idle"},
		{"load", "idle", "--account", "a:b", "--url", "http://192.0.2.1:80"},
		{"load", "idle", "--account", "a:b", "--url", "https://127.0.0.1"},
		{"load", "idle", "--account", "nocolon"},
		{"load", "idle", "--account", "a:b", "--sockets", "1000000"},
		{"load", "fanout", "--account", "a:b", "--symbols", "50", "--of", "10"},
		{"load", "fanout", "--account", "a:b", "--duration", "1h"},
		{"load", "fanout", "--account", "a:b", "--symbols", "-1"},
		{"load", "revoke", "--account", "a:b", "--count", "-1"},
		{"load", "slow-readers", "--account", "a:b", "--stalled", "-1"},
		{"load", "revoke", "--account", "a:b", "--redis", "http://127.0.0.1"},
		{"load", "slow-readers", "--account", "a:b", "--duration", "10s"},
		{"load", "revoke", "--account", "a:b", "--mass", "--count", "3"},
	} {
		if code := run(context.Background(), args); code != 2 {
			t.Errorf("%v: exit code %d, want 2", args, code)
		}
	}
}

// Each scenario is given every flag: it must name those that it would not heed, and no other.
func TestLoadRefusesFlagsThatMeanNothingInTheScenario(t *testing.T) {
	all := map[string]string{"sessions": "1", "sockets": "1", "symbols": "1", "of": "1000", "max-hz": "1", "ticks": "1", "rate": "1", "count": "1", "duration": "1s", "warm": "1s",
		"stalled": "1", "mass": "true", "redis": "redis://127.0.0.1"}
	for name, s := range loadScenarios {
		for flag, value := range all {
			cmd := newLoad()
			if err := cmd.ParseFlags([]string{"--account", "a:b", "--" + flag + "=" + value}); err != nil {
				t.Fatal(err)
			}
			err := cmd.Args(cmd, []string{name})
			if heeded := slices.Contains(strings.Fields(s.flags), flag); heeded && err != nil || !heeded && (err == nil || !strings.HasPrefix(err.Error(), "--"+flag+": not for the scenario "+name)) {
				t.Errorf("%s --%s: %v", name, flag, err)
			}
		}
	}
}

func TestAHotSymbolNeedsAQuietOneBesideIt(t *testing.T) {
	if err := loadHotSymbol(t.Context(), &loadWorld{o: loadOptions{Of: 1}}); err == nil || !strings.Contains(err.Error(), "--of is 1") {
		t.Errorf("%v", err)
	}
}
