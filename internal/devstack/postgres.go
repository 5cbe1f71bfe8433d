package devstack

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	ownerRole   = "rosetree_owner" // the cluster's superuser: owns and migrates
	runtimeRole = "rosetree_api"   // what the program runs as; the migrations create it
	database    = "rosetree"
)

// postgres is one running cluster.
type postgres struct {
	*child
	port  int
	owner string // password of ownerRole
	api   string // password of runtimeRole
}

type postgresSpec struct {
	dir        string // holds data and log
	as         *account
	owner, api string
	wish       int  // the port that it had before, 0 none
	unsafe     bool // may lose data when the machine fails: for tests
	env        []string
}

// startPostgres starts the cluster of spec.dir, made first where there is none.
func startPostgres(ctx context.Context, spec postgresSpec) (*postgres, error) {
	data := filepath.Join(spec.dir, "data")
	bin, err := findPostgres(madeBy(data), postgresPlaces)
	if err != nil {
		return nil, err
	}
	if err := endLeftover(leftPostgres(data), syscall.SIGQUIT); err != nil {
		return nil, err
	}
	if madeBy(data) == 0 {
		if err := initCluster(ctx, bin, data, spec); err != nil {
			return nil, err
		}
	}
	pg := &postgres{owner: spec.owner, api: spec.api}
	err = onFreePort(spec.wish, func(port int) error {
		// Left by a postmaster that was killed. PostgreSQL would refuse to start where its process id
		// now belongs to another program, as it easily does in a container.
		os.Remove(filepath.Join(data, "postmaster.pid"))
		pg.port = port
		pg.child, err = startChild(childSpec{name: "postgres", path: filepath.Join(bin, "postgres"),
			args: postgresArgs(data, port, spec.unsafe), dir: spec.dir, log: filepath.Join(spec.dir, "log"),
			env: spec.env, as: spec.as, dieWith: syscall.SIGQUIT})
		if err != nil {
			return err
		}
		return pg.await(ctx, func() (bool, error) { return postmasterReady(data, pg.pid()), nil })
	})
	if err != nil {
		if pg.child != nil {
			pg.stop(syscall.SIGQUIT, time.Second)
		}
		return nil, err
	}
	return pg, nil
}

func postgresArgs(data string, port int, unsafe bool) []string {
	args := []string{"-D", data}
	set := func(settings ...string) {
		for _, s := range settings {
			args = append(args, "-c", s)
		}
	}
	set("listen_addresses=127.0.0.1", "port="+strconv.Itoa(port),
		"unix_socket_directories=", // a path too long for a socket address would stop the start
		"max_connections=200", "shared_buffers=64MB", "jit=off", "logging_collector=off",
		"password_encryption=scram-sha-256", "log_min_messages=warning", "timezone=UTC")
	if unsafe {
		set("fsync=off", "full_page_writes=off", "wal_level=minimal", "max_wal_senders=0",
			"shared_buffers=32MB", "max_worker_processes=2", "checkpoint_timeout=1h")
	}
	return args
}

// initCluster makes the cluster beside its place and moves it there, so that a start which is killed
// half-way leaves nothing that looks like a cluster.
func initCluster(ctx context.Context, bin, data string, spec postgresSpec) error {
	half, password := data+".half", filepath.Join(spec.dir, "initdb.password")
	if err := os.RemoveAll(half); err != nil {
		return fmt.Errorf("devstack: %w", err)
	}
	defer os.Remove(password)
	if err := os.WriteFile(password, []byte(spec.owner+"\n"), 0o600); err != nil {
		return fmt.Errorf("devstack: %w", err)
	}
	if err := spec.as.own(spec.dir); err != nil {
		return fmt.Errorf("devstack: %w", err)
	}
	args := []string{"-D", half, "--username=" + ownerRole, "--pwfile=" + password, "--auth=scram-sha-256",
		"--encoding=UTF8", "--locale=C", "--no-instructions"}
	if spec.unsafe {
		args = append(args, "--no-sync")
	}
	c, err := startChild(childSpec{name: "initdb", path: filepath.Join(bin, "initdb"), args: args,
		dir: spec.dir, log: filepath.Join(spec.dir, "initdb.log"), as: spec.as, dieWith: syscall.SIGKILL})
	if err != nil {
		return err
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		c.stop(syscall.SIGKILL, time.Second)
		return context.Cause(ctx)
	}
	if !c.cmd.ProcessState.Success() {
		return fmt.Errorf("devstack: initdb failed: %s", c.lastWords())
	}
	return os.Rename(half, data)
}

// madeBy returns the major version that made the cluster in data, 0 where there is none.
func madeBy(data string) int {
	raw, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if err != nil {
		return 0
	}
	major, _ := strconv.Atoi(strings.TrimSpace(string(raw)))
	return major
}

// postmasterReady reads what the postmaster itself says in its pid file: unlike an attempt to connect
// it cannot be answered by another server on the same port.
func postmasterReady(data string, pid int) bool {
	lines := pidFile(data)
	return len(lines) >= 8 && lines[0] == strconv.Itoa(pid) && strings.TrimSpace(lines[7]) == "ready"
}

// leftPostgres returns the process id of a postmaster that still runs on data, 0 where none does.
func leftPostgres(data string) int {
	lines := pidFile(data)
	if len(lines) == 0 {
		return 0
	}
	pid, err := strconv.Atoi(lines[0])
	if err != nil || !strings.Contains(commandLine(pid)+" ", "-D "+data+" ") {
		return 0 // the id was given to another program
	}
	return pid
}

func pidFile(data string) []string {
	f, err := os.Open(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return nil
	}
	defer f.Close()
	var lines []string
	for s := bufio.NewScanner(f); s.Scan(); {
		lines = append(lines, s.Text())
	}
	return lines
}

// endLeftover ends a server of a parent that is gone; the caller holds the folder's lock, so nobody
// else's it can be.
func endLeftover(pid int, sig syscall.Signal) error {
	if pid == 0 {
		return nil
	}
	for i := range 200 {
		switch i {
		case 0:
			syscall.Kill(pid, sig)
			syscall.Kill(pid, syscall.SIGCONT)
		case 100:
			syscall.Kill(pid, syscall.SIGKILL)
		}
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) || commandLine(pid) == "" {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("devstack: process %d still runs on this folder and cannot be ended: %s", pid, commandLine(pid))
}

// url is where role reaches database db.
func (pg *postgres) url(role, password, db string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(role, password), Host: loopback(pg.port),
		Path: db, RawQuery: "sslmode=disable"}
	return u.String()
}

func (pg *postgres) ownerURL(db string) string   { return pg.url(ownerRole, pg.owner, db) }
func (pg *postgres) runtimeURL(db string) string { return pg.url(runtimeRole, pg.api, db) }

// exec runs statements as the superuser on database db.
func (pg *postgres) exec(ctx context.Context, db string, statements ...string) error {
	conn, err := pgx.Connect(ctx, pg.ownerURL(db))
	if err != nil {
		return fmt.Errorf("devstack: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for _, s := range statements {
		if _, err := conn.Exec(ctx, s); err != nil {
			return fmt.Errorf("devstack: %w", err)
		}
	}
	return nil
}

// createDatabase makes the program's database where there is none.
func (pg *postgres) createDatabase(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, pg.ownerURL("postgres"))
	if err != nil {
		return fmt.Errorf("devstack: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var exists bool
	err = conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = $1)", database).Scan(&exists)
	if err == nil && !exists {
		_, err = conn.Exec(ctx, "CREATE DATABASE "+database)
	}
	if err != nil {
		return fmt.Errorf("devstack: create the database: %w", err)
	}
	return nil
}
