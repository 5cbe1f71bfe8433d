package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"rosetree/auth"
	"rosetree/internal/api"
	"rosetree/portfolio"
	"rosetree/prices"
)

// TestTranscripts replays testdata/*.txt; testdata/README.md tells what the lines mean.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d transcripts: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			inBubble(t, Config{}, func(t *testing.T, h *house) {
				h.market.tick("189.12", "AAPL")
				r := &replay{t: t, h: h, file: file}
				for line := range strings.Lines(string(text)) {
					r.number++
					r.play(strings.TrimSuffix(line, "\n"))
				}
				r.expectNothing()
			})
		})
	}
}

type replay struct {
	t      *testing.T
	h      *house
	file   string
	number int
	client *client

	mu   sync.Mutex
	seen []string // what the server sent and no line has taken yet
	end  string
}

func (r *replay) play(line string) {
	r.t.Helper()
	if line == "" || line[0] == '#' {
		return
	}
	mark, rest := line[:1], strings.TrimSpace(line[1:])
	if mark != "<" && mark != "x" {
		r.expectNothing()
	}
	switch mark {
	case "@":
		r.act(strings.Fields(rest))
	case ">":
		r.client.send(rest)
	case "<":
		r.expect(rest)
	case "x":
		r.mu.Lock()
		if end := strings.TrimSpace(r.end); end != rest && !strings.HasPrefix(end, rest+" retry_ms=") {
			r.fail("closed with %q, not %q", r.end, rest)
		}
		r.mu.Unlock()
	default:
		r.fail("what is %q?", line)
	}
	synctest.Wait()
}

func (r *replay) fail(format string, args ...any) {
	r.t.Helper()
	r.t.Fatalf("%s:%d: %s", r.file, r.number, fmt.Sprintf(format, args...))
}

// listen collects what the server sends, and keeps the client answering pings.
func (r *replay) listen() {
	for {
		_, b, err := r.client.ws.Read(r.t.Context())
		r.mu.Lock()
		if err != nil {
			var ce websocket.CloseError
			errors.As(err, &ce)
			r.end = fmt.Sprintf("%d %s", ce.Code, ce.Reason)
			r.mu.Unlock()
			return
		}
		r.seen = append(r.seen, string(b))
		r.mu.Unlock()
	}
}

func (r *replay) take() (string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.seen) == 0 {
		return "", false
	}
	first := r.seen[0]
	r.seen = r.seen[1:]
	return first, true
}

func (r *replay) expectNothing() {
	r.t.Helper()
	if text, ok := r.take(); ok {
		r.fail("before this line the server sent %s", text)
	}
}

func (r *replay) expect(want string) {
	r.t.Helper()
	text, ok := r.take()
	if !ok {
		r.fail("the server sent nothing, want %s", want)
	}
	var got, wanted any
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		r.fail("the server sent no JSON: %s", text)
	}
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		r.fail("the transcript is no JSON: %v", err)
	}
	if !matches(got, wanted) {
		r.fail("\n got %s\nwant %s", text, want)
	}
}

func matches(got, want any) bool {
	switch w := want.(type) {
	case string:
		if w == "$time" {
			return isTime(got)
		}
		return w == "$any" || got == want
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok || len(g) != len(w) {
			return false
		}
		for k := range w {
			if v, there := g[k]; !there || !matches(v, w[k]) {
				return false
			}
		}
		return true
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return false
		}
		for i := range w {
			if !matches(g[i], w[i]) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(got, want)
}

func isTime(v any) bool {
	if text, ok := v.(string); ok {
		_, err := time.Parse(time.RFC3339Nano, text)
		return err == nil
	}
	ms, ok := v.(float64)
	return ok && ms > 9e11
}

func (r *replay) act(words []string) {
	r.t.Helper()
	switch words[0] {
	case "connect":
		r.client = r.h.dial(words[1], "rosetree.v1")
		go r.listen()
	case "price":
		r.h.market.tick(words[2], prices.Symbol(words[1]))
	case "wait":
		time.Sleep(r.duration(words[1]))
	case "expires":
		r.h.sessions.mu.Lock()
		r.h.sessions.expires["s-ana"] = time.Now().Add(r.duration(words[1]))
		r.h.sessions.mu.Unlock()
	case "end":
		r.h.sessions.end("s-ana", auth.End{Reason: auth.EndReason(words[1]), By: words[2], Said: strings.Join(words[3:], " "), At: time.Now(), Heard: "keyspace"})
	case "change":
		v, _ := strconv.ParseInt(words[1], 10, 64)
		r.h.portfolios.viewer().Change(portfolio.Change{Version: v, Holdings: []portfolio.Holding{{Symbol: "MSFT"}}, Removed: []prices.Symbol{"AAPL"}})
	case "valuation":
		r.h.portfolios.viewer().Valuation(portfolio.Valuation{Version: 5, T: time.Now().UnixMilli(),
			Holdings: []portfolio.Mark{{Symbol: "MSFT", Price: portfolio.Figure(words[1]), Value: portfolio.Figure(words[1])}}})
	case "gone":
		r.h.portfolios.viewer().Gone(api.NotFound("portfolio"))
	case "notice":
		r.h.hub.Publish("notices", Notice{Type: "notice", ID: words[1], Level: "info", Text: strings.Join(words[2:], " ")})
	case "alert":
		user := auth.UserID(words[1])
		r.h.hub.PublishTo("alerts", user, alertOf(user, words[2]))
	case "seen":
		r.h.hub.PublishTo("alerts", auth.UserID(words[1]), prices.AlertsSeenMessage{Type: "alerts_seen", IDs: words[2:]})
	case "changed":
		r.h.hub.PublishTo("alerts", auth.UserID(words[1]), prices.AlertsChangedMessage{Type: "alerts_changed"})
	case "import":
		done, _ := strconv.Atoi(words[3])
		r.h.hub.PublishTo(portfolio.ImportsChannel, auth.UserID(words[1]), portfolio.ImportProgress{Type: "import", Run: "r1", Portfolio: "p1", Phase: words[2], Done: done, Total: 100_000})
	case "session":
		n := auth.SessionNews{Event: words[1], ID: auth.SessionID(words[2]), User: auth.UserID(strings.Join(words[3:], "")), At: time.Now()}
		r.h.hub.Publish("sessions", struct {
			Type string `json:"type"`
			auth.SessionNews
		}{"session", n})
		r.h.hub.TellDevices(n, func(u auth.UserID, id auth.SessionID) bool { // s-ana2 is u-ana's
			return strings.HasPrefix(string(id), "s-"+strings.TrimPrefix(string(u), "u-"))
		})
	case "sockets":
		n, _ := strconv.Atoi(words[2])
		r.h.hub.Publish("sessions", struct {
			Type string         `json:"type"`
			Open map[string]int `json:"open"`
		}{"sockets", map[string]int{words[1]: n}})
	case "parts":
		r.h.parts.Store(words[1])
	case "rollout":
		version, _ := strconv.ParseInt(words[1], 10, 64)
		percentage, _ := strconv.ParseFloat(words[2], 64)
		r.h.hub.Publish("rollout", rolloutOf(version, percentage))
	case "drain":
		r.h.stop()
	case "move":
		if _, _, err := r.h.hub.move(100, func(bool) {}); err != nil {
			r.fail("%v", err)
		}
	default:
		r.fail("unknown act %q", words[0])
	}
}

func (r *replay) duration(text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		r.fail("%v", err)
	}
	return d
}
