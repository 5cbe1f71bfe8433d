package devstack

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// redisServer is one running redis-server.
type redisServer struct {
	*child
	port int
}

type redisSpec struct {
	dir      string
	as       *account
	password string
	wish     int
	exact    bool // the port must be wish: a restart
	settings map[string]string
	args     []string // beyond the configuration file: --sentinel
	env      []string
}

// startRedis starts a redis-server whose data is in spec.dir.
func startRedis(ctx context.Context, spec redisSpec) (*redisServer, error) {
	path, err := findRedis(redisPlaces)
	if err != nil {
		return nil, err
	}
	if err := endLeftover(leftRedis(spec.dir), syscall.SIGKILL); err != nil {
		return nil, err
	}
	r := &redisServer{}
	start := func(port int) error {
		config, err := spec.configure(port)
		if err != nil {
			return err
		}
		r.port = port
		r.child, err = startChild(childSpec{name: "redis-server", path: path, args: append([]string{config}, spec.args...),
			dir: spec.dir, log: filepath.Join(spec.dir, "log"), env: spec.env, as: spec.as, dieWith: syscall.SIGKILL})
		if err != nil {
			return err
		}
		note := fmt.Sprintf("%d %d\n", r.pid(), port)
		if err := os.WriteFile(filepath.Join(spec.dir, "pid"), []byte(note), 0o600); err != nil {
			return fmt.Errorf("devstack: %w", err)
		}
		return r.awaitReady(ctx, spec.password)
	}
	if spec.exact {
		err = start(spec.wish)
	} else {
		err = onFreePort(spec.wish, start)
	}
	if err != nil {
		if r.child != nil {
			r.stop(syscall.SIGKILL, time.Second)
		}
		return nil, err
	}
	return r, nil
}

// configure writes the configuration into a file, because a password on the command line can be read
// by every user of the machine, and because sentinels write into theirs.
func (spec redisSpec) configure(port int) (path string, err error) {
	settings := map[string]string{
		"bind": "127.0.0.1", "port": strconv.Itoa(port), "dir": strconv.Quote(spec.dir), "daemonize": "no",
		"requirepass": spec.password, "masterauth": spec.password, "loglevel": "notice",
	}
	maps.Copy(settings, spec.settings)
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&b, "%s %s\n", key, settings[key])
	}
	path = filepath.Join(spec.dir, "redis.conf")
	if spec.exact {
		return path, nil // sentinels and failovers have written into it since
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		return "", fmt.Errorf("devstack: %w", err)
	}
	if err := spec.as.own(spec.dir); err != nil {
		return "", fmt.Errorf("devstack: %w", err)
	}
	return path, nil
}

// awaitReady waits until the server answers, and it is ours: another program may have taken the port
// between our look and the start.
func (r *redisServer) awaitReady(ctx context.Context, password string) error {
	mine := "process_id:" + strconv.Itoa(r.pid()) + "\r\n"
	return r.await(ctx, func() (bool, error) {
		info, err := serverInfo(loopback(r.port), password)
		switch {
		case err != nil:
			return false, nil // not yet: refused, or still loading its keys
		case !strings.Contains(info, mine):
			return false, errTaken
		}
		return true, nil
	})
}

// serverInfo asks for INFO over a connection of its own. A client with a pool would be in the way: it
// logs each refusal, and after some of them it stops dialling for a second.
func serverInfo(addr, password string) (string, error) {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := fmt.Fprintf(conn, "AUTH %s\r\nINFO server\r\n", password); err != nil {
		return "", err
	}
	answer := bufio.NewReader(conn)
	if _, err := answer.ReadString('\n'); err != nil { // +OK
		return "", err
	}
	var size int
	if _, err := fmt.Fscanf(answer, "$%d\r\n", &size); err != nil {
		return "", err // -LOADING
	}
	info := make([]byte, size)
	_, err = io.ReadFull(answer, info)
	return string(info), err
}

// leftRedis returns the process id of a server that still runs in dir, 0 where none does.
func leftRedis(dir string) int {
	raw, err := os.ReadFile(filepath.Join(dir, "pid"))
	if err != nil {
		return 0
	}
	var pid, port int
	if _, err := fmt.Sscan(string(raw), &pid, &port); err != nil {
		return 0
	}
	if line := commandLine(pid); !strings.Contains(line, "redis-server") || !strings.Contains(line, strconv.Itoa(port)) {
		return 0 // the id was given to another program
	}
	return pid
}

// shutdown ends the server with its data saved.
func (r *redisServer) shutdown() error {
	return errors.Join(r.signal(syscall.SIGCONT), r.stop(syscall.SIGTERM, 5*time.Second))
}
