package proof

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"rosetree/internal/devstack"
)

func binary(t *testing.T) string {
	t.Helper()
	return devstack.Test(t).Program(t, "rosetree/cmd/rosetree")
}

// server is one `rosetree serve` in a process of its own.
type server struct {
	t    *testing.T
	url  string // http://127.0.0.1:…
	cmd  *exec.Cmd
	log  *keptLog
	done chan struct{}
}

// keptLog keeps all that a server said.
type keptLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *keptLog) add(line []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(line)
	l.text.WriteByte('\n')
}

func (l *keptLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// serve starts a server and returns once callers are let in.
func serve(t *testing.T, settings ...string) *server {
	t.Helper()
	return serveBy(t, exec.Command(binary(t), "serve"), settings...)
}

// serveBy is serve for those who start the program in a way of their own.
func serveBy(t *testing.T, cmd *exec.Cmd, settings ...string) *server {
	t.Helper()
	s := &server{t: t, cmd: cmd, log: &keptLog{}, done: make(chan struct{})}
	s.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "LISTEN_ADDR=127.0.0.1:0", "LOG_FORMAT=json"}, settings...)
	out, err := s.cmd.StderrPipe()
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	serving := make(chan string, 1)
	go func() {
		defer close(s.done)
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			s.log.add(lines.Bytes())
			var line struct{ Msg, URL string }
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "serving" {
				serving <- line.URL
			}
		}
		_ = s.cmd.Wait()
	}()
	select {
	case s.url = <-serving:
	case <-s.done:
		t.Fatalf("a server ended at once: %s", s.log)
	case <-time.After(time.Minute):
		t.Fatalf("a server did not start within a minute: %s", s.log)
	}
	return s
}

func (s *server) addr() string { return strings.TrimPrefix(s.url, "http://") }

// stop is what a deploy does: SIGTERM, and the server sends its sockets away.
func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	cut := time.AfterFunc(30*time.Second, func() { _ = s.cmd.Process.Kill() })
	defer cut.Stop()
	<-s.done
}

// get asks the server itself, and not through the balancer.
func (s *server) get(path string) (int, string) {
	res, err := http.Get(s.url + path)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(body)
}

// metric sums all series of a name; NaN where there is none does not happen: every metric of ours is there from the start.
func (s *server) metric(name string) (sum float64) {
	_, text := s.get("/metrics")
	for line := range strings.Lines(text) {
		series, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if series == name || strings.HasPrefix(series, name+"{") {
			n, _ := strconv.ParseFloat(value, 64)
			sum += n
		}
	}
	return sum
}

// balance puts a balancer before the servers and returns its address.
func balance(t *testing.T, servers []*server) string {
	t.Helper()
	front, err := devstack.StartBalancer("127.0.0.1:0", addrs(servers)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(front.Close)
	return "http://" + front.Addr
}

func addrs(servers []*server) (all []string) {
	for _, s := range servers {
		all = append(all, s.addr())
	}
	return all
}

// explain prints what the server said of the request of an answer, if it was the one that answered.
func (s *server) explain(answer string) {
	_, id, found := strings.Cut(answer, `"request_id":"`)
	if !found {
		return
	}
	id, _, _ = strings.Cut(id, `"`)
	for line := range strings.Lines(s.log.String()) {
		if strings.Contains(line, id) {
			s.t.Log(line)
		}
	}
}
