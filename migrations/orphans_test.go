package migrations_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// endWithUs ends the server whose process id is in pidFile with the test, also when the test binary is killed: runbooks start
// servers that detach, so that no parent's death reaches them. A shell reads a pipe that only we hold, and acts at its end.
func endWithUs(t *testing.T, signal, pidFile string) (now func()) {
	t.Helper()
	guard := exec.Command("/bin/sh", "-c", `cat > /dev/null; [ -f "$2" ] && kill -"$1" "$(head -n 1 "$2")"`, "guard", signal, pidFile)
	guard.Dir = "/"
	guard.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // a kill of our process group does not reach it
	pipe, err := guard.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := guard.Start(); err != nil {
		t.Fatal(err)
	}
	now = func() {
		pipe.(io.Closer).Close()
		_ = guard.Wait() // the server may have ended already
	}
	t.Cleanup(now)
	return now
}

func TestAServerThatARunbookStartedEndsWithUs(t *testing.T) {
	server := exec.Command("sleep", "600")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Wait() }()
	pidFile := filepath.Join(t.TempDir(), "pid")
	if err := os.WriteFile(pidFile, []byte(strconv.Itoa(server.Process.Pid)+"\nmore\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	endWithUs(t, "TERM", pidFile)() // as the kernel closes the pipe of a binary that was killed
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Error("the server lives on")
		_ = server.Process.Kill()
	}
}
