//go:build !headless

package web

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path"
	"strings"
	"testing"
)

// sources reads app/vendor/SOURCES: each file's sha256 and the packages inside it.
func sources(t *testing.T) (sums map[string]string, packages map[string]string) {
	t.Helper()
	data, err := os.ReadFile("app/vendor/SOURCES")
	if err != nil {
		t.Fatal(err)
	}
	sums, packages = map[string]string{}, map[string]string{}
	for scan := bufio.NewScanner(bytes.NewReader(data)); scan.Scan(); {
		line := scan.Text()
		switch words := strings.Fields(line); {
		case strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "  "):
			packages[words[0]] = words[1]
		default:
			sums[words[0]] = words[1]
		}
	}
	return sums, packages
}

func TestVendoredFilesAreWhatSOURCESSays(t *testing.T) {
	sums, _ := sources(t)
	entries, err := os.ReadDir("app/vendor")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if ext := path.Ext(e.Name()); (ext != ".js" && ext != ".css") || strings.HasSuffix(e.Name(), ".d.ts") {
			continue
		}
		data, err := os.ReadFile("app/vendor/" + e.Name())
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(data)
		if got := hex.EncodeToString(sum[:]); got != sums[e.Name()] {
			t.Errorf("%s has sha256 %s, SOURCES says %q", e.Name(), got, sums[e.Name()])
		}
		delete(sums, e.Name())
	}
	for name := range sums {
		t.Errorf("SOURCES names %s, which is not there", name)
	}
}

func TestVendoredPackagesAreThoseOfTheLock(t *testing.T) {
	data, err := os.ReadFile("test/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	var lock struct {
		Packages map[string]struct{ Version, Integrity, Resolved string }
	}
	if err := json.Unmarshal(data, &lock); err != nil {
		t.Fatal(err)
	}
	_, packages := sources(t)
	if len(packages) == 0 {
		t.Fatal("SOURCES names no package")
	}
	for pkg, integrity := range packages {
		at := strings.LastIndex(pkg, "@")
		if p := lock.Packages["node_modules/"+pkg[:at]]; p.Version != pkg[at+1:] || p.Integrity != integrity {
			t.Errorf("%s: the lock has %s %s", pkg, p.Version, p.Integrity)
		}
	}
	for name, p := range lock.Packages {
		if p.Resolved != "" {
			t.Errorf("the lock names an address for %s", name)
		}
	}
}
