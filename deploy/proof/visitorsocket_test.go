package proof

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/coder/websocket"
)

// live keeps a socket open until ctx ends, and comes back as often as it was told to go.
func (v *visitor) live(ctx context.Context) {
	for ctx.Err() == nil {
		wait := v.visit(ctx)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

type said struct {
	Type, Portfolio, Reason string
	Code                    int
	Version                 int64
	Snapshot                bool
	Updates                 []struct{ T int64 }
	Retry                   *int64 `json:"retry_ms"`
}

// dial opens a socket and subscribes; nil where there is none.
func (v *visitor) dial(ctx context.Context) *websocket.Conn {
	began := time.Now()
	dialling, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	ws, res, err := websocket.Dial(dialling, v.front+"/ws", &websocket.DialOptions{HTTPClient: &http.Client{Jar: v.client.Jar}, HTTPHeader: http.Header{"Origin": {v.front}}})
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		v.rec.add(&v.rec.lost, "%s: no socket: %v", v.email, err)
		if res != nil && res.StatusCode == 401 {
			v.login(ctx)
		}
		return nil
	}
	ws.SetReadLimit(4 << 20)
	v.rec.did("socket opened", time.Since(began))
	v.mu.Lock()
	portfolio := fmt.Sprintf(`{"id":2,"type":"subscribe","channel":"portfolio","portfolio":%q}`, v.portfolio)
	v.mu.Unlock()
	for _, m := range []string{`{"id":1,"type":"subscribe","channel":"prices","symbols":["AAPL","MSFT"]}`, portfolio} {
		_ = ws.Write(ctx, websocket.MessageText, []byte(m)) // reading says why where it fails
	}
	return ws
}

// visit is one connection; it returns how long to wait before the next.
func (v *visitor) visit(ctx context.Context) time.Duration {
	began := time.Now()
	ws := v.dial(ctx)
	if ws == nil {
		return 200 * time.Millisecond
	}
	defer ws.CloseNow()
	return v.read(ctx, ws, began)
}

// read follows one connection to its end. Announced ends: a bye with a code that says "come back".
func (v *visitor) read(ctx context.Context, ws *websocket.Conn, began time.Time) time.Duration {
	var bye *said
	first := map[string]bool{}
	for {
		// No message for two heartbeats is a socket that was lost without a word.
		hearing, cancel := context.WithTimeout(ctx, 50*time.Second)
		_, data, err := ws.Read(hearing)
		cancel()
		switch {
		case ctx.Err() != nil:
			return 0
		case err != nil && bye != nil && bye.Code < 4500:
			v.rec.count("socket sent away: " + bye.Reason)
			if bye.Retry == nil {
				return 0
			}
			return time.Duration(*bye.Retry) * time.Millisecond
		case err != nil:
			v.rec.add(&v.rec.lost, "%s: %v after bye %+v", v.email, err, bye)
			return 200 * time.Millisecond
		}
		var m said
		if err := json.Unmarshal(data, &m); err != nil {
			v.rec.add(&v.rec.wrong, "%s: %v in %s", v.email, err, data)
		}
		v.hear(&m, &bye)
		if len(first) < 2 && m.Snapshot {
			if first[m.Type] = true; len(first) == 2 {
				v.rec.did("first data", time.Since(began))
			}
		}
	}
}

func (v *visitor) hear(m *said, bye **said) {
	switch m.Type {
	case "bye":
		*bye = m
	case "prices":
		for _, u := range m.Updates {
			if !m.Snapshot {
				v.rec.did("price", time.Since(time.UnixMilli(u.T)))
			}
		}
	case "error":
		v.rec.add(&v.rec.wrong, "%s: the socket says error", v.email)
	case "portfolio", "valuation":
		v.mu.Lock()
		defer v.mu.Unlock()
		if m.Portfolio != v.portfolio {
			v.rec.add(&v.rec.wrong, "%s was shown portfolio %s", v.email, m.Portfolio)
		}
		if m.Version < v.shown {
			v.rec.add(&v.rec.wrong, "%s: version %d after %d", v.email, m.Version, v.shown)
		}
		if m.Type == "portfolio" && !m.Snapshot && !v.sent.IsZero() && m.Version > v.shown {
			v.rec.did("portfolio sync", time.Since(v.sent)) // the write itself included
			v.sent = time.Time{}
		}
		v.shown = max(v.shown, m.Version)
	}
}

// untilClosed revokes the visitor's session and returns how long its socket still lived.
func (v *visitor) untilClosed(ctx context.Context, ws *websocket.Conn) time.Duration {
	closed := make(chan time.Time, 1)
	go func() {
		for {
			if _, _, err := ws.Read(ctx); err != nil {
				closed <- time.Now()
				return
			}
		}
	}()
	began := time.Now()
	v.revoke(ctx)
	return (<-closed).Sub(began)
}
