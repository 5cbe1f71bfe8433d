package proof

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// jumpFile is in the program's environment: the seconds by which its wall clock is off.
const jumpFile = "CLOCK_JUMP_FILE"

// Go asks the kernel for the time without a system call, which nothing outside of the process can change. So the program is built
// with a time.Now whose wall part can be moved while it runs; the monotonic part stays, as it does when somebody sets a clock.
const (
	jumpingNow = `func Now() Time {
	t := machineNow()
	t.addSec(Jump.Load())
	return t
}

var Jump atomic.Int64

func machineNow() Time {`
	jumpingMain = `package main

import (
	"os"
	"strconv"
	"strings"
	"time"
)

func init() {
	look := func() {
		text, _ := os.ReadFile(os.Getenv("` + jumpFile + `"))
		if seconds, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil {
			time.Jump.Store(seconds)
		}
	}
	look()
	go func() {
		for range time.Tick(10 * time.Millisecond) {
			look()
		}
	}()
}
`
)

// jumpingBinary builds rosetree with a wall clock that can be moved.
func jumpingBinary(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	library := filepath.Join(strings.TrimSpace(string(goroot)), "src", "time", "time.go")
	text, err := os.ReadFile(library)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.NewReplacer("func Now() Time {", jumpingNow, "\t\"math/bits\"\n", "\t\"math/bits\"\n\t\"sync/atomic\"\n").Replace(string(text))
	main, err := filepath.Abs("../../cmd/rosetree/clock_jump.go")
	if err != nil {
		t.Fatal(err)
	}
	replace := map[string]string{library: filepath.Join(dir, "time.go"), main: filepath.Join(dir, "main.go")}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string]string{replace[library]: changed, replace[main]: jumpingMain, filepath.Join(dir, "overlay.json"): string(overlay)} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	bin := filepath.Join(dir, "rosetree")
	if out, err := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", bin, "rosetree/cmd/rosetree").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	return bin
}

// jump sets a server's wall clock by so much from the right time, and waits until it shows it.
func jump(t *testing.T, s *server, file string, by time.Duration) {
	t.Helper()
	if err := os.WriteFile(file, []byte(strconv.Itoa(int(by.Seconds()))), 0o600); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if off := shows(t, s); (off - by).Abs() < time.Minute {
			return
		} else if time.Now().After(deadline) {
			t.Fatalf("the clock is off by %v and not by %v", off, by)
		}
	}
}

// shows is how far a server's wall clock is off, by the date of its answer.
func shows(t *testing.T, s *server) time.Duration {
	t.Helper()
	res, err := http.Get(s.url + "/api/health/live")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	at, err := http.ParseTime(res.Header.Get("Date"))
	if err != nil {
		t.Fatal(err)
	}
	return time.Until(at)
}
