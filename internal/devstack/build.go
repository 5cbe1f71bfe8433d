package devstack

import (
	"os/exec"
	"path"
	"path/filepath"
	"sync"
)

// builds are the programs that a test binary has built.
type builds struct {
	mu    sync.Mutex // held while one is built: who asks for the same waits for it
	paths map[string]string
}

// Program returns the program of a package, as it is in this tree, built once for the test binary and gone with it.
func (e *Env) Program(t TB, pkg string) string {
	t.Helper()
	e.built.mu.Lock()
	defer e.built.mu.Unlock()
	if bin := e.built.paths[pkg]; bin != "" {
		return bin
	}
	bin := filepath.Join(e.folder(t, "bin-"+path.Base(pkg)), path.Base(pkg))
	if out, err := exec.Command("go", "build", "-o", bin, pkg).CombinedOutput(); err != nil {
		t.Fatalf("devstack: build %s: %v: %s", pkg, err, out)
	}
	if e.built.paths == nil {
		e.built.paths = map[string]string{}
	}
	e.built.paths[pkg] = bin
	return bin
}
