package devstack

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// oldestPostgres is the first major version that has what the schema uses (security_invoker views).
const oldestPostgres = 15

// MissingError says which server is not installed and what to type.
type MissingError struct {
	Server string // "PostgreSQL"
	Why    string // empty where it was simply not found
	Type   string // the one line that installs it
}

func (e *MissingError) Error() string {
	why := e.Why
	if why == "" {
		why = "is not installed (looked in PATH and in the usual places)"
	}
	return fmt.Sprintf("%s %s. Install it with:  %s", e.Server, why, e.Type)
}

// Install returns the one line that installs package (a Debian name) with this system's package
// manager; useful to a person, and to the scripts that may run it.
func Install(apt, brew, dnf, apk string) string {
	sudo := "sudo "
	if os.Geteuid() == 0 {
		sudo = ""
	}
	has := func(program string) bool { _, err := exec.LookPath(program); return err == nil }
	switch {
	case runtime.GOOS == "darwin":
		return "brew install " + brew
	case has("apt-get"):
		return sudo + "apt-get install -y " + apt
	case has("dnf"):
		return sudo + "dnf install -y " + dnf
	case has("apk"):
		return sudo + "apk add " + apk
	default:
		return "(your system's package manager) install " + apt
	}
}

var redisPlaces = []string{"/usr/bin", "/usr/sbin", "/usr/local/bin", "/opt/homebrew/bin", "/usr/local/opt/redis/bin"}

// findRedis returns the path of redis-server: on PATH, or in one of places.
func findRedis(places []string) (string, error) {
	if path, err := exec.LookPath("redis-server"); err == nil {
		return path, nil
	}
	for _, dir := range places {
		if path := filepath.Join(dir, "redis-server"); executable(path) {
			return path, nil
		}
	}
	return "", &MissingError{Server: "Redis", Type: Install("redis-server", "redis", "redis", "redis")}
}

var postgresPlaces = []string{
	"/usr/lib/postgresql/*/bin",         // Debian, Ubuntu
	"/usr/pgsql-*/bin",                  // Red Hat, PGDG
	"/usr/libexec/postgresql*",          // Alpine
	"/opt/homebrew/opt/postgresql*/bin", // brew on Apple silicon
	"/usr/local/opt/postgresql*/bin",    // brew on Intel
	"/usr/local/pgsql/bin",              // from source
	"/usr/bin",
}

// findPostgres returns the folder that holds initdb and postgres: of major version want where that is
// not zero (data of one version cannot be opened by another), else of the newest.
func findPostgres(want int, places []string) (dir string, err error) {
	var best int
	var seen []string
	for _, candidate := range postgresFolders(places) {
		version := postgresVersion(candidate)
		if version == 0 {
			continue
		}
		seen = append(seen, strconv.Itoa(version))
		if version > best && (want == 0 || version == want) {
			best, dir = version, candidate
		}
	}
	missing := &MissingError{Server: "PostgreSQL", Type: Install("postgresql", "postgresql@17", "postgresql-server", "postgresql")}
	switch {
	case best >= oldestPostgres:
		return dir, nil
	case want != 0 && len(seen) > 0:
		slices.Sort(seen)
		return "", fmt.Errorf("the data folder was made by PostgreSQL %d and here is only version %s: "+
			"install version %d, or start again with an empty folder (--fresh)", want, strings.Join(slices.Compact(seen), ", "), want)
	case best > 0:
		missing.Why = fmt.Sprintf("%d is too old: version %d or newer is needed", best, oldestPostgres)
	}
	return "", missing
}

func postgresFolders(places []string) []string {
	var dirs []string
	if path, err := exec.LookPath("postgres"); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil { // initdb stands beside the real file
			path = real
		}
		dirs = append(dirs, filepath.Dir(path))
	}
	for _, pattern := range places {
		found, _ := filepath.Glob(pattern) // only a malformed pattern is an error
		dirs = append(dirs, found...)
	}
	return slices.DeleteFunc(dirs, func(dir string) bool {
		return !executable(filepath.Join(dir, "postgres")) || !executable(filepath.Join(dir, "initdb"))
	})
}

// postgresVersion returns the major version of the server in dir, 0 where it cannot be told.
func postgresVersion(dir string) int {
	out, err := exec.Command(filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return 0
	}
	for word := range strings.FieldsSeq(string(out)) { // "postgres (PostgreSQL) 15.18 (Debian …)"
		digits, _, _ := strings.Cut(word, ".")
		if major, err := strconv.Atoi(digits); err == nil {
			return major
		}
	}
	return 0
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}
