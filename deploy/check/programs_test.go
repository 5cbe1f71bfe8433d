package check

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// asks runs the program that reads a file, in the way that it offers for checking one.
func asks(t *testing.T, name string, args ...string) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path = filepath.Join("/usr/sbin", name) // not in everybody's PATH
		if _, err := os.Stat(path); err != nil {
			t.Fatalf("%s is needed: .ci/setup deploy", name)
		}
	}
	if out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput(); err != nil {
		t.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

func TestPrometheusTakesItsConfiguration(t *testing.T) {
	asks(t, "promtool", "check", "config", "--syntax-only", "../prometheus/prometheus.yml")
}

func TestAlertmanagerTakesTheExample(t *testing.T) {
	asks(t, "amtool", "check-config", "../prometheus/alertmanager.yml")
}

func TestTheBalancerTakesItsConfiguration(t *testing.T) {
	asks(t, "haproxy", "-c", "-f", "../compose/haproxy.cfg")
}

func TestSystemdTakesTheUnitAndFindsItSafe(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("no systemd here")
	}
	raw, err := os.ReadFile("../systemd/rosetree.service")
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "rosetree.service") // with a program that is there
	if err := os.WriteFile(unit, []byte(strings.ReplaceAll(string(raw), "/usr/local/bin/rosetree", "/bin/true")), 0o600); err != nil {
		t.Fatal(err)
	}
	asks(t, "systemd-analyze", "verify", unit)
	asks(t, "systemd-analyze", "security", "--offline=yes", "--threshold=20", unit)
}
