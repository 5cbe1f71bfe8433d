package devstack

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
)

// What a test needs that starts a server by itself, because it stops, copies or replaces it.

// hereIsPostgres is found once: to ask a server for its version means to start it.
var hereIsPostgres = sync.OnceValues(func() (dir string, err error) { return findPostgres(0, postgresPlaces) })

// PostgresProgram returns the path of one of PostgreSQL's programs: beside the server that tests run on, or where it is not among
// that one's (psql with a server from a package of servers alone), of another installation.
func PostgresProgram(t TB, name string) string {
	t.Helper()
	server, err := hereIsPostgres()
	if err != nil {
		t.Fatalf("%v", err)
	}
	for _, dir := range append([]string{server}, postgresFolders(postgresPlaces)...) {
		if path := filepath.Join(dir, name); executable(path) {
			return path
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("PostgreSQL's program %s is not installed", name)
	}
	return path
}

// Account is whom servers run as where the test is root, which PostgreSQL refuses to be; else nil.
func (e *Env) Account() *syscall.Credential {
	var attr syscall.SysProcAttr
	e.as.run(&attr)
	return attr.Credential
}

// Folder returns a folder of this test's own that Account may work in; t.TempDir may lie below one that only root may enter.
func (e *Env) Folder(t TB) string {
	t.Helper()
	dir := e.folder(t, "folder-"+strconv.FormatInt(e.next.Add(1), 10))
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// FreePort returns a port of 127.0.0.1 that is free now.
func FreePort(t TB) int {
	t.Helper()
	port, err := freePort(0)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return port
}
