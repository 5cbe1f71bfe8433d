package auth

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"rosetree/internal/devstack"
)

// pgCluster is a PostgreSQL server of one test, to be stopped, killed and replaced.
type pgCluster struct {
	t    testing.TB
	data string
	port int
	args []string
	cmd  *exec.Cmd
}

func (c *pgCluster) tool(name string, args ...string) {
	c.t.Helper()
	cmd := exec.Command(devstack.PostgresProgram(c.t, name), args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: devstack.Test(c.t).Account()}
	if out, err := cmd.CombinedOutput(); err != nil {
		c.t.Fatalf("%s: %v: %s", name, err, out)
	}
}

func newPgCluster(t testing.TB, args ...string) *pgCluster {
	t.Helper()
	c := &pgCluster{t: t, data: filepath.Join(devstack.Test(t).Folder(t), "data"), port: devstack.FreePort(t), args: args}
	c.tool("initdb", "-D", c.data, "-U", "owner", "-A", "trust", "--no-sync")
	c.start()
	t.Cleanup(func() { c.stop(syscall.SIGQUIT) })
	return c
}

// standby is a copy of c that follows it.
func (c *pgCluster) standby() *pgCluster {
	c.t.Helper()
	s := &pgCluster{t: c.t, data: filepath.Join(devstack.Test(c.t).Folder(c.t), "data"), port: devstack.FreePort(c.t), args: c.args}
	c.tool("pg_basebackup", "-D", s.data, "-R", "-c", "fast", "--no-sync", "-d", c.url("owner", "postgres")+"&application_name=standby")
	s.start()
	c.t.Cleanup(func() { s.stop(syscall.SIGQUIT) })
	return s
}

func (c *pgCluster) start() {
	c.t.Helper()
	args := append([]string{"-D", c.data, "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "port=" + strconv.Itoa(c.port),
		"-c", "shared_buffers=16MB", "-c", "max_connections=60", "-c", "logging_collector=off"}, c.args...)
	c.cmd = exec.Command(devstack.PostgresProgram(c.t, "postgres"), args...)
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT, Credential: devstack.Test(c.t).Account()}
	log, err := os.OpenFile(filepath.Join(filepath.Dir(c.data), "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		c.t.Fatal(err)
	}
	defer log.Close()
	c.cmd.Stderr = log
	if err := c.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if conn, err := pgx.Connect(c.t.Context(), c.url("owner", "postgres")); err == nil {
			conn.Close(c.t.Context())
			return
		}
	}
	text, _ := os.ReadFile(log.Name())
	c.t.Fatalf("the cluster does not answer: %s", text)
}

// stop ends the server: SIGINT fast, SIGQUIT at once, SIGKILL like a power cut.
func (c *pgCluster) stop(how os.Signal) {
	if c.cmd == nil {
		return
	}
	_ = c.cmd.Process.Signal(how)
	_ = c.cmd.Wait()
	c.cmd = nil
	// Children of a killed postmaster end by themselves; the file would stop the next start if its number is reused.
	if how == syscall.SIGKILL {
		time.Sleep(300 * time.Millisecond)
		_ = os.Remove(filepath.Join(c.data, "postmaster.pid"))
	}
}

func (c *pgCluster) url(login, database string) string {
	return "postgres://" + login + ":password@127.0.0.1:" + strconv.Itoa(c.port) + "/" + database + "?sslmode=disable"
}

func (c *pgCluster) exec(sql string) string {
	c.t.Helper()
	conn, err := pgx.Connect(c.t.Context(), c.url("owner", "postgres"))
	if err != nil {
		c.t.Fatal(err)
	}
	defer conn.Close(c.t.Context())
	var all []string
	results, err := conn.PgConn().Exec(c.t.Context(), sql).ReadAll()
	if err != nil {
		c.t.Fatalf("%s: %v", sql, err)
	}
	for _, r := range results {
		for _, row := range r.Rows {
			all = append(all, string(row[0]))
		}
	}
	return strings.Join(all, "\n")
}
