package main

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// The Dockerfile is checked as far as that goes without a Docker engine: its build command is run, and
// what it makes is started as the image would start it.

func readDockerfile(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// buildImage runs the Dockerfile's go build and returns the binary.
func buildImage(t *testing.T) string {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the image is for Linux")
	}
	command := regexp.MustCompile(`(?m)^RUN (CGO_ENABLED=0 go build .*)$`).FindStringSubmatch(readDockerfile(t))
	if command == nil {
		t.Fatal("the Dockerfile has no line 'RUN CGO_ENABLED=0 go build …'")
	}
	bin := filepath.Join(t.TempDir(), "rosetree")
	build := exec.Command("/bin/sh", "-c", strings.Replace(command[1], "/out/rosetree", bin, 1))
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command[1], err, out)
	}
	return bin
}

func TestTheImagesBinaryIsStaticAndSmall(t *testing.T) {
	bin := buildImage(t)
	file, err := elf.Open(bin)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("the binary wants a dynamic loader; the image has none")
		}
	}
	if libs, _ := file.ImportedLibraries(); len(libs) > 0 {
		t.Errorf("the binary wants %v", libs)
	}
	info, err := os.Stat(bin)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%.1f MB", float64(info.Size())/1e6)
	if info.Size() > 40e6 {
		t.Errorf("the binary has %d bytes", info.Size())
	}
}

// inImage runs the binary in an empty root, as the image's user, with the image's environment.
func inImage(t *testing.T, bin string, args ...string) (out string, code int) {
	t.Helper()
	root := t.TempDir()
	raw, err := os.ReadFile(bin)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "rosetree"), raw, 0o755); err != nil {
		t.Fatal(err)
	}
	for dir := root; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("/rosetree", args...)
	cmd.Env = []string{"LISTEN_ADDR=0.0.0.0:8080"}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
	got, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(got), cmd.ProcessState.ExitCode()
}

func TestTheImageRunsAsNobodyInAnEmptyRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make a root of its own")
	}
	bin := buildImage(t)
	if out, code := inImage(t, bin, "version"); code != 0 || !strings.HasPrefix(out, "rosetree ") {
		t.Errorf("version: %d, %s", code, out)
	}
	if out, code := inImage(t, bin, "health"); code != 1 || !strings.Contains(out, "not ready") {
		t.Errorf("health without a server: %d, %s", code, out)
	}
}

func TestTheDockerfileRunsWhatTheProgramHas(t *testing.T) {
	text := readDockerfile(t)
	root, _ := newRoot()
	for _, pattern := range []string{`(?m)^CMD \["(\w+)"\]`, `(?m)^HEALTHCHECK .*CMD \["/rosetree", "(\w+)"\]`} {
		found := regexp.MustCompile(pattern).FindStringSubmatch(text)
		if found == nil {
			t.Errorf("the Dockerfile has no line like %s", pattern)
			continue
		}
		if cmd, _, err := root.Find([]string{found[1]}); err != nil || cmd == root {
			t.Errorf("the Dockerfile runs %q, which is no command", found[1])
		}
	}
	if user := regexp.MustCompile(`(?m)^USER (\d+)`).FindStringSubmatch(text); user == nil || user[1] == "0" {
		t.Errorf("the image's user is %v", user)
	}
	if !strings.Contains(text, "\nFROM scratch\n") {
		t.Error("the image is not from scratch")
	}
}
