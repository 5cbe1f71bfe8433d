// Command clients is a whole client in Go: it logs in, watches prices and a portfolio on one socket, comes back when it is sent
// away, and stops when it is told not to. Run it against a demo:
//
//	go run ./docs/clients http://127.0.0.1:8080 ana@example.com PASSWORD
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/coder/websocket"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: clients URL EMAIL PASSWORD")
		os.Exit(2)
	}
	fmt.Fprintln(os.Stderr, watch(context.Background(), os.Args[1], os.Args[2], os.Args[3]))
	os.Exit(1)
}

// login asks for tokens in the body, as every client does that is no browser.
func login(ctx context.Context, url, email, password string) (token string, err error) {
	body, err := json.Marshal(map[string]any{"email": email, "password": password, "transport": "bearer",
		"device": map[string]string{"name": "the Go recipe", "platform": "go"}})
	if err != nil {
		return "", err
	}
	r, err := http.NewRequestWithContext(ctx, "POST", url+"/api/auth/login", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	var answer struct {
		Tokens struct{ Access string }
		Detail string // of a problem
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("log-in: %s %s %v", res.Status, answer.Detail, err)
	}
	return answer.Tokens.Access, nil
}

// message is what the server sends, as far as this client looks at it. Unknown types and fields are ignored.
type message struct {
	Type     string
	Snapshot bool
	Updates  []struct{ S, P string }
	Version  int64
	Totals   struct{ Currency, Value string }
	Code     int
	Reason   string
	RetryMS  int64 `json:"retry_ms"`
}

// watch keeps a socket until it is told not to come back: codes from 4500 on.
func watch(ctx context.Context, url, email, password string) error {
	token, err := login(ctx, url, email, password)
	if err != nil {
		return err
	}
	portfolio, err := firstPortfolio(ctx, url, token)
	if err != nil {
		return err
	}
	for {
		bye, err := visit(ctx, url, token, portfolio)
		if bye.Code >= 4500 {
			return fmt.Errorf("told to stay away: %d %s", bye.Code, bye.Reason)
		}
		fmt.Println("back soon:", bye.Reason, err)
		time.Sleep(max(time.Duration(bye.RetryMS)*time.Millisecond, 250*time.Millisecond))
	}
}

func visit(ctx context.Context, url, token, portfolio string) (bye message, err error) {
	ws, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(url, "http")+"/ws", &websocket.DialOptions{
		Subprotocols: []string{"rosetree.v1"}, HTTPHeader: http.Header{"Authorization": {"Bearer " + token}}})
	if err != nil {
		return bye, err
	}
	defer ws.CloseNow()
	ws.SetReadLimit(1 << 20)
	for _, m := range []string{`{"id":1,"type":"subscribe","channel":"prices","symbols":["AAPL","MSFT"],"max_hz":2}`,
		fmt.Sprintf(`{"id":2,"type":"subscribe","channel":"portfolio","portfolio":%q}`, portfolio)} {
		if err := ws.Write(ctx, websocket.MessageText, []byte(m)); err != nil {
			return bye, err
		}
	}
	for {
		_, data, err := ws.Read(ctx)
		if err != nil {
			return bye, err
		}
		var m message
		if err := json.Unmarshal(data, &m); err != nil {
			return bye, err
		}
		switch m.Type {
		case "prices":
			for _, u := range m.Updates {
				fmt.Println("price", u.S, u.P)
			}
		case "portfolio", "valuation":
			fmt.Println("portfolio", m.Totals.Value, m.Totals.Currency)
		case "bye":
			bye = m
		}
	}
}

func firstPortfolio(ctx context.Context, url, token string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, "GET", url+"/api/portfolios", nil)
	if err != nil {
		return "", err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	var all struct{ Portfolios []struct{ ID string } }
	if err := json.NewDecoder(res.Body).Decode(&all); err != nil || len(all.Portfolios) == 0 {
		return "", fmt.Errorf("no portfolio: %s %v", res.Status, err)
	}
	return all.Portfolios[0].ID, nil
}
