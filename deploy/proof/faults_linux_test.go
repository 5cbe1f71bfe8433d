package proof

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"rosetree/internal/devstack"
)

// standOf is a stand on the environment's PostgreSQL and a Redis of its own.
func standOf(t *testing.T) *stand {
	t.Helper()
	env := devstack.Test(t)
	return newStand(t, env.Database(t, migrate).URL, env.Redis(t).URL)
}

// faultLasts is how long each fault lasts: short in make test, ROSETREE_FAULT=20s for a person.
func faultLasts(t *testing.T) time.Duration { return span(t, "ROSETREE_FAULT", time.Second) }

// The network of one of two servers is cut, goes half-open and is slow, towards Redis and towards PostgreSQL: no wrong row, nothing
// but "try again", and all is as before when it is over.
func TestTheNetworkOfOneServerFails(t *testing.T) {
	s := standOf(t)
	end := s.begin()
	defer end()
	for _, to := range []struct {
		name string
		link *devstack.Link
	}{{"Redis", s.redis}, {"PostgreSQL", s.postgres}} {
		s.during(to.name+" cut off", faultLasts(t), to.link.Cut, to.link.Restore)
		s.during(to.name+" half-open", faultLasts(t), to.link.Stall, to.link.Restore)
		s.during(to.name+" 40 ms away", faultLasts(t), func() { to.link.Delay(20 * time.Millisecond) }, to.link.Restore)
	}
	end()
	s.look()
	t.Logf("a revocation afterwards closes a socket of the other server after %v", s.revokes())
	if blind := s.servers[1].metric("rosetree_auth_blind_seconds_total"); blind < faultLasts(t).Seconds()/2 {
		t.Errorf("it counted %v s without Redis' events", blind)
	}
}

// One of two servers stands still and is then killed: whoever was there is told nothing, asks again, and finds everything.
func TestAServerStandsStillAndIsKilled(t *testing.T) {
	s := standOf(t)
	end := s.begin()
	defer end()
	ill := s.servers[1].cmd.Process
	s.during("a server frozen", faultLasts(t), func() { _ = ill.Signal(syscall.SIGSTOP) }, func() { _ = ill.Signal(syscall.SIGCONT) })
	s.during("a server killed", faultLasts(t), func() { _ = ill.Kill() }, func() {})
	end()
	s.look()
}

// The disk of PostgreSQL and of Redis's append-only file is full.
func TestADiskIsFull(t *testing.T) {
	const mounted = "ROSETREE_FAULT_DISK"
	dir := os.Getenv(mounted)
	if dir == "" { // again, in a mount namespace of its own: the disk goes with the process
		dir := t.TempDir()
		if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
			t.Fatal(err)
		}
		inner := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v", "-test.timeout", "5m")
		inner.Env = append(os.Environ(), mounted+"="+dir)
		inner.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
		out, err := inner.CombinedOutput()
		if errors.Is(err, os.ErrPermission) {
			t.Skip("mounting a small disk needs root")
		}
		t.Logf("%s", out)
		if strings.Contains(string(out), "--- SKIP") {
			t.Skip("mounting a small disk is not allowed here")
		}
		if err != nil {
			t.Error(err)
		}
		return
	}
	if err := syscall.Mount("rosetree", dir, "tmpfs", 0, "size=160m,mode=755"); err != nil {
		t.Skip(err)
	}
	stack := startStack(t, dir)
	s := newStand(t, stack.DatabaseURL, stack.RedisURL)
	end := s.begin()
	defer end()
	filler := filepath.Join(dir, "filler")
	s.during("the disk is full", faultLasts(t), func() { fill(t, filler) }, func() {
		if err := os.Remove(filler); err != nil {
			t.Error(err)
		}
	})
	end()
	s.look()
}

func startStack(t *testing.T, dir string, env ...string) *devstack.Stack {
	t.Helper()
	stack, err := devstack.Start(t.Context(), devstack.Options{Dir: filepath.Join(dir, "stack"), Env: env})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stack.Close() })
	if err := migrate(t.Context(), stack.OwnerURL, stack.DatabaseURL); err != nil {
		t.Fatal(err)
	}
	return stack
}

// fill writes until there is no room.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size >= 1; {
		if _, err := f.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
			size /= 2
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// Each commit waits a tenth of a second for the disk, and Redis stands still for a third of each second, as it does when its
// append-only file cannot be written: nobody fails, and prices go on as before.
func TestADiskIsSlow(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	stack, redis := startStack(t, dir), devstack.Test(t).Redis(t)
	s := newStand(t, stack.DatabaseURL, redis.URL)
	end := s.begin()
	defer end()
	s.rec.cut("price")
	ctx, fast := context.WithCancel(t.Context())
	var slow sync.WaitGroup
	s.during("the disk is slow", 2*faultLasts(t), func() {
		for _, sql := range []string{"ALTER SYSTEM SET commit_siblings = 0", "ALTER SYSTEM SET commit_delay = 100000", "SELECT pg_reload_conf()"} {
			owns(t, stack.OwnerURL, sql)
		}
		slow.Go(func() {
			for ctx.Err() == nil {
				redis.Freeze(t)
				time.Sleep(300 * time.Millisecond)
				redis.Thaw(t)
				rest(ctx, 700*time.Millisecond)
			}
		})
	}, func() {
		fast()
		slow.Wait()
		owns(t, stack.OwnerURL, "ALTER SYSTEM RESET commit_delay")
		owns(t, stack.OwnerURL, "SELECT pg_reload_conf()")
	})
	t.Logf("prices to the client meanwhile: %v; writes: %v", s.rec.cut("price"), s.rec.cut("ledger write"))
	end()
	s.look()
}

// A server without descriptors refuses newcomers; who is there goes on, and when somebody leaves the next is let in.
func TestAServerHasNoDescriptorsLeft(t *testing.T) {
	s := standOf(t)
	end := s.begin()
	defer end()
	ill := s.servers[1]
	if out, err := exec.Command("prlimit", "--pid", strconv.Itoa(ill.cmd.Process.Pid), "--nofile=90:90").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	crowd := newVisitor(t, newRecord(), ill.url, s.visitors[0].email, goodPassword)
	crowd.login(t.Context())
	crowd.adopt(t.Context())
	var there []io.Closer
	s.during("no descriptors left", faultLasts(t), func() {
		for refused := 0; refused < 3; {
			dialling, stop := context.WithTimeout(t.Context(), 2*time.Second)
			if ws := crowd.dial(dialling); ws != nil {
				there = append(there, closer(ws.CloseNow))
			} else {
				refused++
			}
			stop()
		}
		t.Logf("%d more sockets were let in, then no more", len(there))
	}, func() {
		for _, ws := range there {
			ws.Close()
		}
	})
	if ws := crowd.dial(t.Context()); ws == nil {
		t.Errorf("nobody is let in afterwards: %v", crowd.rec.lost)
	} else {
		ws.CloseNow()
	}
	end()
	s.look()
	if len(s.rec.lost) > 0 {
		t.Errorf("those who were there lost their sockets: %v", s.rec.lost)
	}
}

type closer func() error

func (c closer) Close() error { return c() }

// Under a hard limit of memory a flood of log-ins is worked off or turned away, and the server is not killed.
func TestAServerMayUseLittleMemory(t *testing.T) {
	s := standOf(t)
	end := s.begin()
	defer end()
	ill := s.servers[1]
	ill.limit(192 << 20)
	known := newVisitor(t, s.rec, ill.url, "flood@example.com", goodPassword)
	if !known.must(t.Context(), "registration", "POST", "/api/auth/register", "", map[string]string{"email": known.email, "password": known.password}, nil) {
		t.FailNow()
	}
	var flood sync.WaitGroup
	s.during("200 log-ins at once in 192 MiB", faultLasts(t), func() {
		for range 200 {
			flood.Go(func() {
				v := newVisitor(t, s.rec, ill.url, known.email, known.password)
				status, err := v.ask(t.Context(), "POST", "/api/auth/login", "", map[string]string{"email": v.email, "password": v.password}, nil)
				switch status {
				case 200:
					s.rec.count("let in")
				case 429, 503:
					s.rec.count("turned away")
				default:
					s.rec.add(&s.rec.failures, "a log-in: %d %v", status, err)
				}
			})
		}
	}, flood.Wait)
	t.Logf("%d log-ins were let in, %d told to wait; the server uses %.0f MB", s.rec.counted("let in"), s.rec.counted("turned away"), ill.metric("process_resident_memory_bytes")/(1<<20))
	end()
	s.look()
	if len(s.rec.lost) > 0 {
		t.Errorf("sockets were lost: %v", s.rec.lost)
	}
}

// limit puts a process into a control group that may not use more.
func (s *server) limit(bytes int) {
	t, pid := s.t, s.cmd.Process.Pid
	t.Helper()
	group, file := fmt.Sprintf("/sys/fs/cgroup/rosetree-%d", pid), "memory.max"
	if _, err := os.Stat("/sys/fs/cgroup/memory/memory.limit_in_bytes"); err == nil {
		group, file = fmt.Sprintf("/sys/fs/cgroup/memory/rosetree-%d", pid), "memory.limit_in_bytes"
	}
	err := os.Mkdir(group, 0o755)
	t.Cleanup(func() {
		s.stop()
		os.Remove(group)
	})
	if err == nil {
		err = os.WriteFile(filepath.Join(group, file), []byte(strconv.Itoa(bytes)), 0o644)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o644)
	}
	if err != nil {
		t.Skipf("no control group can be made here: %v", err)
	}
}
