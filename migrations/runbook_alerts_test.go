package migrations_test

import (
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"rosetree/internal/devstack"
)

// TestRunbookAlerts types every command of the page beside a server that runs.
func TestRunbookAlerts(t *testing.T) {
	b := openRunbook(t, "alerts.md")
	db := fresh(t)
	b.env["MIGRATE_DATABASE_URL"], b.env["DATABASE_URL"] = db.OwnerURL, db.URL
	b.env["REDIS_URL"] = strings.Replace(devstack.Test(t).Redis(t).URL, "redis://:", "redis://default:", 1) // as redis-cli wants it
	b.sh("rosetree migrate up")
	b.serve()

	says := map[string]string{
		"check": "postgres", "switches": "rollback", "auth-errors": "rosetree_auth_breaker_open", "slow": "0.000", "log-ins": `result="failed"`,
		"isolation": `RT001`, "spraying": "rosetree_auth_spray_accounts 0", "memory": "maxmemory_policy", "pool": "query", "sockets": "rosetree_hub_sockets", "late": "process_cpu_seconds_total",
		"revocations": "notify-keyspace-events", "hub": `"faults":[]`,
	}
	for _, name := range []string{"check", "switches", "roll-back", "forward", "down", "auth-errors", "slow", "log-ins", "spraying", "isolation", "memory", "pool", "sockets", "late",
		"revocations", "lockdown", "audit", "hub"} {
		if out := b.do(name); !strings.Contains(strings.ToLower(out), strings.ToLower(says[name])) {
			t.Errorf("%s says nothing of %q:\n%s", name, says[name], out)
		}
	}
}

// serve runs a server as long as the test, and waits until it answers.
func (b *runbook) serve() {
	b.t.Helper()
	port := devstack.FreePort(b.t)
	address := fmt.Sprintf("127.0.0.1:%d", port)
	b.env["METRICS_URL"] = "http://" + address + "/metrics"
	cmd := exec.Command(b.bin+"/rosetree", "serve")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	for k, v := range b.env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	cmd.Env = append(cmd.Env, "LISTEN_ADDR="+address, "WS_DRAIN=100ms")
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	for deadline := time.Now().Add(30 * time.Second); exec.Command("curl", "-fsS", b.env["METRICS_URL"]).Run() != nil; {
		if time.Now().After(deadline) {
			b.t.Fatal("the server does not answer")
		}
		time.Sleep(50 * time.Millisecond)
	}
}
