package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"rosetree/internal/devstack"
)

// program is the binary under test.
func program(t *testing.T) string {
	t.Helper()
	return devstack.Test(t).Program(t, "rosetree/cmd/rosetree")
}

// environment is this process' without what is meant for tests, which the program takes for misspelt settings.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(variable string) bool { return strings.HasPrefix(variable, "ROSETREE_") })
}

// runningDemo is a demo as a person or a script starts it.
type runningDemo struct {
	URL      string       `json:"url"`
	Socket   string       `json:"ws"`
	Metrics  string       `json:"metrics"`
	Database string       `json:"database_url"`
	Redis    string       `json:"redis_url"`
	Users    []demoPerson `json:"users"`
	Servers  []member     `json:"servers"`

	cmd    *exec.Cmd
	data   string
	stderr *bytes.Buffer
}

// startDemo starts a demo on data and waits until it says that it is ready.
func startDemo(t *testing.T, data string) *runningDemo {
	t.Helper()
	return startAs(t, "demo", data)
}

// startAs starts a demo, or a cluster.
func startAs(t *testing.T, command, data string) *runningDemo {
	t.Helper()
	bin := program(t)
	d := &runningDemo{data: data, stderr: &bytes.Buffer{}}
	d.cmd = exec.Command(bin, command, "--json", "--listen", "127.0.0.1:0", "--data", data)
	d.cmd.Env = environment()
	d.cmd.Stderr = d.stderr
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.cmd.Process.Kill(); d.cmd.Wait() })
	cut := time.AfterFunc(60*time.Second, func() { d.cmd.Process.Kill() })
	defer cut.Stop()
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		t.Fatalf("no line of JSON: %v; it said: %s", err, d.stderr)
	}
	if err := json.Unmarshal(line, d); err != nil {
		t.Fatalf("%v in %s", err, line)
	}
	return d
}

// demoData is a folder for a demo; its servers' data goes with it, also where that lies outside.
func demoData(t *testing.T) string {
	t.Helper()
	data := filepath.Join(t.TempDir(), "data")
	t.Cleanup(func() {
		if servers, err := filepath.EvalSymlinks(filepath.Join(data, "servers")); err == nil {
			os.RemoveAll(servers)
		}
	})
	return data
}

// servers returns the process ids of the demo's PostgreSQL and Redis, as they note them themselves.
func (d *runningDemo) servers(t *testing.T) []int {
	t.Helper()
	var pids []int
	for _, note := range []string{"servers/postgres/data/postmaster.pid", "servers/redis/pid"} {
		pids = append(pids, devstack.NotedPID(t, filepath.Join(d.data, note)))
	}
	return pids
}

// awaitGone waits until none of the processes runs. A process that ended may stay a zombie until
// somebody asks for it: that one runs no more.
func awaitGone(t *testing.T, pids []int) {
	t.Helper()
	running := func(pid int) bool {
		state, err := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
		return err == nil && !strings.HasPrefix(string(state), "Z")
	}
	eventually(t, fmt.Sprintf("the end of all of the processes %v", pids), func() bool { return !slices.ContainsFunc(pids, running) })
}

// ask sends a request as the bearer of token and reads the JSON answer.
func (d *runningDemo) ask(t *testing.T, method, path, token string, body any, into any) {
	t.Helper()
	if method == http.MethodGet {
		body = nil
	}
	status, _, answer := (&house{t: t, url: d.URL}).send(method, path, token, body)
	if status >= 300 {
		t.Fatalf("%s %s: %d %s", method, path, status, answer)
	}
	if err := json.Unmarshal(answer, into); into != nil && err != nil {
		t.Fatalf("%s %s: %v in %s", method, path, err, answer)
	}
}

func (d *runningDemo) logIn(t *testing.T, who demoPerson) (token string) {
	t.Helper()
	var answer struct {
		Tokens map[string]any `json:"tokens"`
	}
	d.ask(t, "POST", "/api/auth/login", "", map[string]string{"email": who.Email, "password": who.Password, "transport": "bearer"}, &answer)
	for _, v := range answer.Tokens {
		if s, _ := v.(string); strings.HasPrefix(s, "rt1.") {
			return s
		}
	}
	t.Fatalf("no session token in %v", answer.Tokens)
	return ""
}

type listedPortfolio struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Version int64  `json:"version"`
}

func (d *runningDemo) portfolios(t *testing.T, token string) []listedPortfolio {
	t.Helper()
	var answer struct {
		Portfolios []listedPortfolio `json:"portfolios"`
	}
	d.ask(t, "GET", "/api/portfolios", token, nil, &answer)
	return answer.Portfolios
}

func TestAKilledDemoLeavesNoServerAndTheNextOneHasItsData(t *testing.T) {
	first := startDemo(t, demoData(t))
	token := first.logIn(t, first.Users[0])
	before := first.portfolios(t, token)
	if len(before) < 2 {
		t.Fatalf("%s has the portfolios %v", first.Users[0].Email, before)
	}
	first.ask(t, "POST", "/api/portfolios/"+before[0].ID+"/transactions", token, map[string]string{
		"type": "buy", "symbol": "AAPL", "quantity": "1", "price": "100", "currency": "USD", "executed_at": "2026-01-05"}, nil)
	servers := first.servers(t)
	first.cmd.Process.Kill()
	awaitGone(t, servers)

	again := startDemo(t, first.data)
	if again.Database != first.Database || again.Redis != first.Redis {
		t.Error("the data URLs changed though their ports were free")
	}
	after := again.portfolios(t, token) // the session was kept as well
	if len(after) != len(before) || after[0].Version <= before[0].Version {
		t.Errorf("portfolios before the kill %v, after it %v", before, after)
	}
}

func TestADemoHasThreeUsersAnAdminAndYearsOfTransactions(t *testing.T) {
	d := startDemo(t, demoData(t))
	roles := map[string]int{}
	total := 0
	for _, who := range d.Users {
		roles[string(who.Role)]++
		token := d.logIn(t, who)
		for _, p := range d.portfolios(t, token) {
			var list struct {
				Transactions []struct {
					ExecutedAt time.Time `json:"executed_at"`
				} `json:"transactions"`
			}
			d.ask(t, "GET", "/api/portfolios/"+p.ID+"/transactions", token, nil, &list)
			total++
			if n := len(list.Transactions); n < 15 {
				t.Errorf("%s of %s has %d transactions", p.Name, who.Email, n)
			}
		}
	}
	if roles["user"] != 3 || roles["admin"] != 1 || total < 4 {
		t.Errorf("people %v with %d portfolios", roles, total)
	}
	if !strings.HasPrefix(d.Socket, "ws://127.0.0.1:") || !strings.HasSuffix(d.Socket, "/ws") || !strings.HasSuffix(d.Metrics, "/metrics") {
		t.Errorf("socket %s, metrics %s", d.Socket, d.Metrics)
	}
}

func TestCtrlCEndsTheDemoAndItsServers(t *testing.T) {
	d := startDemo(t, demoData(t))
	servers := d.servers(t)
	if err := d.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	cut := time.AfterFunc(20*time.Second, func() { d.cmd.Process.Signal(syscall.SIGQUIT) })
	defer cut.Stop()
	if err := d.cmd.Wait(); err != nil {
		t.Errorf("the demo ended with %v: %s", err, d.stderr)
	}
	awaitGone(t, servers)
}

func TestASecondDemoOnTheSameFolderIsRefused(t *testing.T) {
	d := startDemo(t, demoData(t))
	second := exec.Command(d.cmd.Path, "demo", "--listen", "127.0.0.1:0", "--fresh", "--data", d.data)
	second.Env = environment()
	out, _ := second.CombinedOutput()
	if code := second.ProcessState.ExitCode(); code != 1 || !strings.Contains(string(out), "another demo runs on it") || !strings.Contains(string(out), "--data") {
		t.Errorf("exit code %d, it said: %s", code, out)
	}
	d.logIn(t, d.Users[0]) // the first one has lost nothing
}

func TestADemoTellsAPersonWhatToTry(t *testing.T) {
	bin := program(t)
	cmd := exec.Command(bin, "demo", "--data", demoData(t), "--listen", "127.0.0.1:0")
	cmd.Env = environment()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	cut := time.AfterFunc(60*time.Second, func() { cmd.Process.Kill() })
	defer cut.Stop()
	var said strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
		if strings.HasPrefix(lines.Text(), "ready in ") {
			break
		}
	}
	for _, want := range []string{"dashboard", "log in as", "administrator", "socket", "metrics", "PostgreSQL", "Redis", "sessions revoke", "DEL", "ready in "} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("it says nothing of %q:\n%s", want, said.String())
		}
	}
}

func TestWithoutServersTheDemoGivesTheLineToType(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make a root of its own")
	}
	out, code := inImage(t, buildImage(t), "demo", "--data", "/tmp/data")
	if code != 1 || !strings.Contains(out, "Redis is not installed") || !strings.Contains(out, "Install it with:") {
		t.Errorf("exit code %d: %s", code, out)
	}
}
