package devstack

import (
	"fmt"
	"io"
	"os/exec"
	"sync"
	"syscall"
)

// watchdog is a small shell that reads from a pipe whose other end only we hold. When we end, in
// whatever way, it reads the end of file and clears up: servers that still run (on systems without a
// parent-death signal, and frozen ones, which a signal does not wake) and the folder of a test run.
type watchdog struct {
	mu   sync.Mutex
	pipe io.Writer
}

// A guarded process is woken first: a stopped one would not see SIGQUIT. SIGQUIT is PostgreSQL's
// immediate shutdown. Half a second later what is left is killed.
const watchdogScript = `
pids= junk=
while read -r op arg; do
  case $op in
  guard) pids="$pids $arg" ;;
  release) left=; for p in $pids; do [ "$p" = "$arg" ] || left="$left $p"; done; pids=$left ;;
  junk) junk=$arg ;;
  esac
done
for p in $pids; do kill -QUIT "$p"; kill -CONT "$p"; done
for i in 1 2 3 4 5; do
  left=; for p in $pids; do kill -0 "$p" && left="$left $p"; done
  [ -z "$left" ] && break
  sleep 0.1
done
for p in $left; do kill -KILL "$p"; done
[ -n "$junk" ] && { rm -rf -- "$junk" || { sleep 1; rm -rf -- "$junk"; }; }
`

var theWatchdog = sync.OnceValues(func() (*watchdog, error) {
	cmd := exec.Command("/bin/sh", "-c", watchdogScript)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // a kill of our process group does not reach it
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("devstack: watchdog: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("devstack: watchdog: %w", err)
	}
	return &watchdog{pipe: pipe}, nil // never waited for: it outlives us
})

func (w *watchdog) guard(pid int)   { w.say("guard %d\n", pid) }
func (w *watchdog) release(pid int) { w.say("release %d\n", pid) }

// junk names the one folder that goes with us.
func (w *watchdog) junk(dir string) { w.say("junk %s\n", dir) }

func (w *watchdog) say(format string, arg any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fmt.Fprintf(w.pipe, format, arg) // a watchdog that was killed is missed by nobody: on Linux the kernel does its work
}
