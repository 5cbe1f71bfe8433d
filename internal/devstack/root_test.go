package devstack

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root has rights to drop")
	}
}

func TestStartedByRootTheServersRunWithoutRights(t *testing.T) {
	needRoot(t)
	s := start(t, Options{Dir: dataDir(t)})
	defer closeStack(t, s)
	for _, pid := range []int{s.postgres.pid(), s.redis.pid()} {
		owner, err := os.Stat("/proc/" + strconv.Itoa(pid))
		if err != nil {
			t.Fatal(err)
		}
		if uid := owner.Sys().(*syscall.Stat_t).Uid; uid == 0 {
			t.Errorf("%s runs as root", commandLine(pid))
		}
	}
	status, err := os.ReadFile("/proc/" + strconv.Itoa(s.redis.pid()) + "/status")
	if err != nil || !strings.Contains(string(status), "CapEff:\t0000000000000000") || !strings.Contains(string(status), "\nGroups:\t \n") {
		t.Errorf("%v: rights are left:\n%s", err, status)
	}
}

func TestBelowAFolderOfRootAloneTheServersGetAPlaceOutside(t *testing.T) {
	needRoot(t)
	dir := filepath.Join(t.TempDir(), "data") // 0700 and root's: so is /root, so are many CI workspaces
	var said []string
	say := func(format string, args ...any) { said = append(said, format) }
	s := start(t, Options{Dir: dir, Say: say})
	t.Cleanup(func() { os.RemoveAll(s.Folder) })
	leave(t, s)
	closeStack(t, s)
	if !strings.HasPrefix(s.Folder, "/var/lib/rosetree/") || !strings.Contains(strings.Join(said, "\n"), "cannot enter") {
		t.Errorf("the servers' data is in %s, and it said %q", s.Folder, said)
	}
	s = start(t, Options{Dir: dir})
	if pg, rd := found(t, s); !pg || !rd {
		t.Errorf("the next start finds the data: PostgreSQL %v, Redis %v", pg, rd)
	}
	closeStack(t, s)
	s = start(t, Options{Dir: dir, Fresh: true})
	defer closeStack(t, s)
	if pg, rd := found(t, s); pg || rd {
		t.Errorf("after Fresh the data is there: PostgreSQL %v, Redis %v", pg, rd)
	}
}

func TestAPlaceOutsideGoesAfterItsFolderIsDeleted(t *testing.T) {
	needRoot(t)
	dir := filepath.Join(t.TempDir(), "data")
	s := start(t, Options{Dir: dir})
	t.Cleanup(func() { os.RemoveAll(s.Folder) })
	closeStack(t, s)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	other := start(t, Options{Dir: filepath.Join(t.TempDir(), "data")})
	defer os.RemoveAll(other.Folder)
	defer closeStack(t, other)
	if _, err := os.Stat(s.Folder); !os.IsNotExist(err) {
		t.Errorf("%s is still there (%v)", s.Folder, err)
	}
}
