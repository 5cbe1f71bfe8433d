package proof

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"rosetree/internal/devstack"
)

// TestTheHubsTable measures what one core of the hub carries: `make bench-hub`, on a machine that does nothing else. The
// server has the first core for itself and the load generator the second; PostgreSQL and Redis are where the system puts them.
// GOGC goes to the server: docs/operate.md says what it changes.
func TestTheHubsTable(t *testing.T) {
	if os.Getenv("ROSETREE_HUB_TABLE") == "" {
		t.Skip("a measurement for a quiet machine: make bench-hub")
	}
	if _, err := exec.LookPath("taskset"); err != nil || runtime.NumCPU() < 2 {
		t.Skip("two cores and taskset are needed")
	}
	b := newHubBench(t)
	for _, s := range hubScenarios {
		if only := os.Getenv("ROSETREE_HUB_TABLE"); only != "all" && !strings.Contains(","+only+",", ","+s.name+",") {
			continue
		}
		b.run(s)
	}
	t.Logf("\n%s", b.table())
}

// hubScenario is one run of the load generator and what it must show.
type hubScenario struct {
	name string
	load string // arguments; {redis} is the address of Redis
	bars []hubBar
}

// hubBar is one figure of a run and the limit that it keeps; a lower limit is written below zero.
type hubBar struct {
	what    string
	figure  func(r hubReport) float64
	atMost  float64
	atLeast float64
	unit    string
}

// hubReport is what `rosetree load --json` prints.
type hubReport struct {
	Numbers   map[string]float64
	Latencies map[string]struct {
		P50 float64 `json:"p50_ms"`
		P99 float64 `json:"p99_ms"`
	}
	Server map[string]float64
}

func number(name string) func(hubReport) float64 {
	return func(r hubReport) float64 { return r.Numbers[name] }
}

func p50(name string) func(hubReport) float64 {
	return func(r hubReport) float64 { return r.Latencies[name].P50 }
}

func p99(name string) func(hubReport) float64 {
	return func(r hubReport) float64 { return r.Latencies[name].P99 }
}

func cores(r hubReport) float64 { return r.Server["cpu_cores"] }

var hubScenarios = []hubScenario{
	{"idle", "idle --sockets 10000 --sessions 10000 --users 12", []hubBar{
		{what: "resident memory of an idle socket with 10 symbols, 10,000 sockets of 10,000 sessions", figure: number("rss_kb_per_socket"), atMost: 12, unit: "KB"},
		{what: "CPU of an idle socket", figure: number("cpu_us_per_socket_second"), atMost: 2, unit: "µs/s"},
	}},
	{"joined", "fanout --sockets 10000 --symbols 25 --of 500 --ticks 2200 --max-hz 5 --users 2", []hubBar{
		{what: "updates delivered, 10,000 sockets × 25 symbols, joined at 5 Hz", figure: number("updates_per_second"), atLeast: 1e6, unit: "/s"},
		{what: "… in", figure: cores, atMost: 0.6, unit: "core"},
	}},
	{"fanout", "fanout --sockets 1000 --symbols 10 --of 500 --ticks 1000 --users 2", []hubBar{
		{what: "tick to client, 1,000 sockets × 10 of 500 symbols at 1,000 ticks/s, p50", figure: p50("tick to client"), atMost: 5, unit: "ms"},
		{what: "… p99", figure: p99("tick to client"), atMost: 20, unit: "ms"},
	}},
	{"stalled", "slow-readers --sockets 1000 --symbols 10 --of 500 --ticks 1000 --stalled 100 --users 2", []hubBar{
		{what: "a stalled reader: living memory and the kernel's, both ends", atMost: 150, unit: "KB",
			figure: func(r hubReport) float64 {
				return r.Numbers["living_kb_per_stalled"] + r.Numbers["kernel_kb_per_stalled_both_ends"]
			}},
		{what: "p99 of the others beside 100 stalled, to that beside none", figure: number("p99_ratio"), atMost: 1.1, unit: ""},
	}},
	{"revoke", "revoke --sockets 10000 --sessions 10000 --symbols 10 --of 500 --ticks 10 --users 12 --count 500 --rate 100 --redis {redis}", []hubBar{
		{what: "revoke (DEL in Redis, 100/s among 10,000 sockets with 2,000 updates/s) to close, p99 of 500", figure: p99("revoke to close"), atMost: 10, unit: "ms"},
	}},
	{"revoke-admin", "revoke --sockets 1000 --sessions 1000 --symbols 10 --of 500 --ticks 200 --users 3 --count 500", []hubBar{
		{what: "revoke (admin's request, among 1,000) to close, p99 of 500", figure: p99("revoke to close"), atMost: 10, unit: "ms"},
	}},
	{"mass", "revoke --mass --sockets 10920 --sessions 10920 --symbols 10 --of 500 --ticks 1000 --users 12 --redis {redis}", massBars("DEL in Redis")},
	{"mass-admin", "revoke --mass --sockets 10920 --sessions 10920 --symbols 10 --of 500 --ticks 1000 --users 12", massBars("admin's request for each of 11 users")},
	{"upgrades", "reconnect-storm --sockets 4000 --count 3 --symbols 10 --of 100 --users 2", []hubBar{
		{what: "authenticated upgrades", figure: number("upgrades_per_second"), atLeast: 2000, unit: "/s"},
	}},
	{"ledger", "ledger --users 2", []hubBar{
		{what: "ledger write on one device to the push on another, p50", figure: p50("write to push"), atMost: 20, unit: "ms"},
		{what: "… p99", figure: p99("write to push"), atMost: 100, unit: "ms"},
	}},
}

func massBars(how string) []hubBar {
	return []hubBar{
		{what: "sockets of one session each revoked at once (" + how + ")", figure: number("sockets_revoked_at_once"), atLeast: 10000, unit: ""},
		{what: "… the last one closed after", figure: number("all_closed_after_s"), atMost: 2, unit: "s"},
		{what: "… others' tick to client meanwhile, p99", figure: p99("tick to client meanwhile"), atMost: 50, unit: "ms"},
		{what: "… and before it", figure: p99("tick to client before"), unit: "ms"},
	}
}

// hubBench is what all runs share.
type hubBench struct {
	t     *testing.T
	stack *devstack.Stack
	env   []string
	rows  []string
}

const hubAdmin = "admin@example.com"

func newHubBench(t *testing.T) *hubBench {
	stack, err := devstack.Start(t.Context(), devstack.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stack.Close() })
	b := &hubBench{t: t, stack: stack, env: []string{"PATH=" + os.Getenv("PATH"), "DATABASE_URL=" + stack.DatabaseURL, "MIGRATE_DATABASE_URL=" + stack.OwnerURL, "REDIS_URL=" + stack.RedisURL,
		"NEW_AUTH_ENABLED=true", "NEW_AUTH_PERCENTAGE=100", "SESSIONS_PER_USER=1000", "WS_SOCKETS_PER_USER=-1", "LEGACY_JWT_SECRET=" + strings.Repeat("of-this-measurement-", 3),
		"PRICE_FEEDS=sim?rate=0.2"}}
	b.rosetree("", "migrate", "up")
	b.rosetree(goodPassword, "user", "add", hubAdmin, "--role", "admin")
	return b
}

// rosetree runs a command of the program and returns what it prints.
func (b *hubBench) rosetree(stdin string, args ...string) []byte {
	b.t.Helper()
	return b.output(stdin, exec.Command(binary(b.t), args...))
}

func (b *hubBench) output(stdin string, cmd *exec.Cmd) []byte {
	b.t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = b.env, strings.NewReader(stdin), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		b.t.Fatalf("%v: %v\n%s", cmd.Args, err, &stderr)
	}
	return stdout.Bytes()
}

// run starts a server for one scenario, and forgets what the guard of the one before has thought of its machine.
func (b *hubBench) run(s hubScenario) {
	b.rosetree("", "rollout", "reset", "--reason", "the next measurement")
	server := serveBy(b.t, exec.Command("taskset", "-c", "0", binary(b.t), "serve"), append(b.env, "GOMAXPROCS=1", "GOGC="+os.Getenv("GOGC"))...)
	defer server.stop()
	args := strings.Fields(strings.ReplaceAll(s.load, "{redis}", b.stack.RedisURL))
	args = append([]string{"-c", "1", binary(b.t), "load"}, append(args, "--json", "--url", server.url, "--account", hubAdmin+":"+goodPassword)...)
	out := b.output("", exec.Command("taskset", args...))
	b.t.Logf("%s\n%s", s.load, out)
	var r hubReport
	if err := json.Unmarshal(out, &r); err != nil {
		b.t.Fatalf("%s: %v", s.name, err)
	}
	for _, bar := range s.bars {
		b.judge(s.name, bar, bar.figure(r))
	}
}

func (b *hubBench) judge(scenario string, bar hubBar, measured float64) {
	b.t.Helper()
	limit, met := "", true
	switch {
	case bar.atMost > 0:
		limit, met = fmt.Sprintf("≤ %g %s", bar.atMost, bar.unit), measured <= bar.atMost
	case bar.atLeast > 0:
		limit, met = fmt.Sprintf("≥ %.0f%s", bar.atLeast, bar.unit), measured >= bar.atLeast
	}
	verdict := ""
	if limit != "" {
		verdict = "met"
	}
	if !met {
		verdict = "NOT MET"
		b.t.Errorf("%s: %.4g %s, not %s", bar.what, measured, bar.unit, limit)
	}
	b.rows = append(b.rows, fmt.Sprintf("%s\t%s\t%s\t%.4g %s\t%s", scenario, bar.what, limit, measured, bar.unit, verdict))
}

func (b *hubBench) table() string {
	return aligned("scenario\twhat\tbar\tmeasured\tverdict", b.rows)
}
