package devstack

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is the unprivileged user that the servers run as; nil is the user who runs us.
type account struct {
	name     string
	uid, gid uint32
}

// unprivileged returns who the servers run as: ourselves, or, because PostgreSQL refuses to run as
// root, a user without rights.
func unprivileged() (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errU := strconv.ParseUint(u.Uid, 10, 32)
		gid, errG := strconv.ParseUint(u.Gid, 10, 32)
		if errU == nil && errG == nil && uid != 0 {
			return &account{name: name, uid: uint32(uid), gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("devstack: PostgreSQL refuses to run as root, and here is neither a user " +
		"postgres nor a user nobody to run it as: start as another user")
}

// run makes attr start its process as a.
func (a *account) run(attr *syscall.SysProcAttr) {
	if a != nil {
		attr.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid}
	}
}

// own gives dir and all in it to a.
func (a *account) own(dir string) error {
	if a == nil {
		return nil
	}
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(a.uid), int(a.gid))
	})
}

// canWrite tries, as a, to make a file in dir. Asking the system says more than reading modes: a
// parent with mode 0700 (root's home, a CI workspace), an ACL, a read-only mount.
func (a *account) canWrite(dir string) error {
	cmd := exec.Command("/bin/sh", "-c", `cd -- "$1" && : >.probe && rm .probe`, "sh", dir)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	a.run(cmd.SysProcAttr)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("devstack: user %s cannot work in %s: %s (%w)", a.String(), dir, bytes.TrimSpace(out), err)
	}
	return nil
}

func (a *account) String() string {
	if a == nil {
		return strconv.Itoa(os.Geteuid())
	}
	return a.name
}
