package devstack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// child is a server that we started.
type child struct {
	name string
	log  string // path of what it printed
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// childSpec says how to start one.
type childSpec struct {
	name string
	path string
	args []string
	dir  string
	log  string
	env  []string // beyond what every child gets
	as   *account
	// dieWith is the signal that it gets when we are gone.
	dieWith syscall.Signal
}

// starter is the thread on which children are started. Linux sends a child its parent-death signal
// when the thread that forked it ends, not the process: on a thread that Go may retire the servers
// would die at a random moment.
var starter = sync.OnceValue(func() chan<- func() {
	jobs := make(chan func())
	go func() {
		runtime.LockOSThread()
		for job := range jobs {
			job()
		}
	}()
	return jobs
})

func startChild(spec childSpec) (*child, error) {
	// The log is opened by us, so that the child needs no right to its folder; it is emptied, so that
	// why a start failed is not looked for in an older one's words.
	log, err := os.OpenFile(spec.log, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("devstack: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(spec.path, spec.args...)
	cmd.Dir = spec.dir
	cmd.Stdout, cmd.Stderr = log, log
	// Nothing of ours leaks in: PGHOST, PGDATA or a locale would change what the server does.
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC", "HOME=" + spec.dir}
	cmd.Env = append(cmd.Env, spec.env...)
	// A group of its own: Ctrl-C at the terminal must end the servers after us, not at the same moment.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	spec.as.run(cmd.SysProcAttr)
	setParentDeathSignal(cmd.SysProcAttr, spec.dieWith)
	watch, err := theWatchdog()
	if err != nil {
		return nil, err
	}
	started := make(chan error)
	starter() <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		return nil, fmt.Errorf("devstack: start %s as user %s: %w", spec.name, spec.as, err)
	}
	watch.guard(cmd.Process.Pid)
	c := &child{name: spec.name, log: spec.log, cmd: cmd, done: make(chan struct{})}
	go func() {
		cmd.Wait() // why it ended is in its log
		watch.release(cmd.Process.Pid)
		close(c.done)
	}()
	return c, nil
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// signal sends sig; one that has ended needs none.
func (c *child) signal(sig os.Signal) error {
	if err := c.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("devstack: %s: %w", c.name, err)
	}
	return nil
}

// stop sends sig and waits; what has not gone within patience is killed.
func (c *child) stop(sig os.Signal, patience time.Duration) error {
	if err := c.signal(sig); err != nil {
		return err
	}
	select {
	case <-c.done:
		return nil
	case <-time.After(patience):
	}
	if err := c.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-c.done
	return nil
}

// errTaken is a start that failed because another program took the port after we had found it free.
var errTaken = errors.New("the port was taken")

// await polls ready until it says yes, the child ends, or ctx does.
func (c *child) await(ctx context.Context, ready func() (bool, error)) error {
	tick := time.NewTicker(3 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := ready()
		if err != nil {
			return err
		}
		if ok {
			return nil
		}
		select {
		case <-c.done:
			return c.failed()
		case <-ctx.Done():
			return fmt.Errorf("devstack: %s did not become ready: %w; its log ends: %s", c.name, context.Cause(ctx), c.lastWords())
		case <-tick.C:
		}
	}
}

// failed says why the child ended before it was ready.
func (c *child) failed() error {
	words, _ := os.ReadFile(c.log)
	if bytes.Contains(words, []byte("Address already in use")) {
		return errTaken
	}
	return fmt.Errorf("devstack: %s ended at once (%s); its log ends: %s", c.name, c.cmd.ProcessState, c.lastWords())
}

// lastWords returns the end of the log, short enough for an error.
func (c *child) lastWords() string {
	words, err := os.ReadFile(c.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(words)), "\n")
	return strings.Join(lines[max(0, len(lines)-6):], "\n")
}
