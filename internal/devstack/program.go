package devstack

import (
	"path/filepath"
	"syscall"
	"time"
)

// Program is a child of ours that is no server of the stack's own: it runs as we do, and ends with us.
type Program struct {
	PID  int
	Log  string        // the file of what it prints
	Done chan struct{} // closed when it has ended

	child *child
}

// Run starts a program. Its log and working folder are in the stack's.
func (s *Stack) Run(name, path string, args, env []string) (*Program, error) {
	c, err := startChild(childSpec{name: name, path: path, args: args, env: env, dir: s.folder.dir,
		log: filepath.Join(s.folder.dir, name+".log"), dieWith: syscall.SIGKILL})
	if err != nil {
		return nil, err
	}
	return &Program{PID: c.pid(), Log: c.log, Done: c.done, child: c}, nil
}

// End asks the program to end; what has not ended within patience is killed.
func (p *Program) End(patience time.Duration) error { return p.child.stop(syscall.SIGTERM, patience) }

// LastWords are the end of its log.
func (p *Program) LastWords() string { return p.child.lastWords() }
