package proof

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"strconv"
	"sync"
	"testing"
	"time"
)

// visitor is one person with a browser: cookies, requests, and one socket that comes back when it was told to.
type visitor struct {
	rec      *record
	front    string // http://host:port of the balancer
	email    string
	password string
	client   *http.Client
	program  bool // no browser: it may be given tokens

	mu        sync.Mutex
	id        string    // guarded by mu; the user's
	portfolio string    // guarded by mu
	written   int       // guarded by mu: transactions that were acknowledged
	shown     int64     // guarded by mu: the newest version of the portfolio that the socket brought
	sent      time.Time // guarded by mu: when the last write was sent; zero once the socket has shown a change
}

func newVisitor(t *testing.T, rec *record, front, email, password string) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 2, IdleConnTimeout: 10 * time.Second}
	t.Cleanup(transport.CloseIdleConnections)
	return &visitor{rec: rec, front: front, email: email, password: password, client: &http.Client{Jar: jar, Transport: transport, Timeout: 30 * time.Second}}
}

// ask sends a request as the page of this origin does. key makes a write happen once however often it is sent.
func (v *visitor) ask(ctx context.Context, method, path, key string, in, out any) (int, error) {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return 0, err
		}
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, v.front+path, body)
	if err != nil {
		return 0, err
	}
	if !v.program {
		r.Header.Set("Origin", v.front)
	}
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	res, err := v.client.Do(r)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return res.StatusCode, err
	}
	if res.StatusCode >= 300 {
		return res.StatusCode, errors.New(string(answer))
	}
	if out != nil {
		return res.StatusCode, json.Unmarshal(answer, out)
	}
	return res.StatusCode, nil
}

// must is ask for what may not fail; it says whether it did not. Nobody tries again: a user would have seen it.
func (v *visitor) must(ctx context.Context, kind, method, path, key string, in, out any) bool {
	began := time.Now()
	status, err := v.ask(ctx, method, path, key, in, out)
	if ctx.Err() != nil {
		return false // the run ended under way
	}
	v.rec.did(kind, time.Since(began))
	if err != nil {
		v.rec.add(&v.rec.failures, "%s: %s %s: %d after %v: %v", v.email, method, path, status, time.Since(began).Round(time.Millisecond), err)
	}
	return err == nil
}

// login returns the path on which it was let in.
func (v *visitor) login(ctx context.Context) string {
	var out struct {
		Auth string
		User struct{ ID string }
	}
	if !v.must(ctx, "log-in", "POST", "/api/auth/login", "", map[string]string{"email": v.email, "password": v.password}, &out) {
		return ""
	}
	v.mu.Lock()
	v.id = out.User.ID
	v.mu.Unlock()
	return out.Auth
}

// upgrade exchanges a legacy token for a session, as our page does once its user's cohort is on. Where that is not possible right
// now the page goes on with the token that it has, and asks again later: no user notices.
func (v *visitor) upgrade(ctx context.Context) {
	var status struct {
		Auth    string
		Rollout struct{ Cohort string }
	}
	if v.must(ctx, "status", "GET", "/api/auth/status", "", nil, &status) && status.Auth == "legacy" && status.Rollout.Cohort == "session" {
		began := time.Now()
		code, err := v.ask(ctx, "POST", "/api/auth/exchange", "", map[string]string{}, nil)
		switch {
		case ctx.Err() != nil:
		case code == http.StatusServiceUnavailable || code == http.StatusForbidden: // Redis is out, or the switch was turned back in between
			v.rec.count("exchange put off")
		case err != nil:
			v.rec.add(&v.rec.failures, "%s: exchange: %d %v", v.email, code, err)
		default:
			v.rec.did("exchange", time.Since(began))
		}
	}
}

// adopt finds the visitor's own portfolio and how many transactions are in it.
func (v *visitor) adopt(ctx context.Context) bool {
	var all struct{ Portfolios []struct{ ID string } }
	if !v.must(ctx, "portfolios", "GET", "/api/portfolios", "", nil, &all) {
		return false
	}
	if len(all.Portfolios) == 0 {
		var made struct{ ID string }
		if !v.must(ctx, "portfolio made", "POST", "/api/portfolios", "first", map[string]string{"name": "Mine", "base_currency": "USD"}, &made) {
			return false
		}
		all.Portfolios = append(all.Portfolios, made)
	}
	n := v.transactions(ctx, all.Portfolios[0].ID)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.portfolio, v.written = all.Portfolios[0].ID, n
	return n >= 0
}

// transactions counts the ledger's rows through the pages of the list; -1 where it could not be read.
func (v *visitor) transactions(ctx context.Context, portfolio string) int {
	n, cursor := 0, ""
	for {
		var page struct {
			Transactions []struct{ ID string }
			Next         string
		}
		if !v.must(ctx, "ledger read", "GET", "/api/portfolios/"+portfolio+"/transactions?limit=500"+cursor, "", nil, &page) {
			return -1
		}
		n += len(page.Transactions)
		if page.Next == "" {
			return n
		}
		cursor = "&cursor=" + page.Next
	}
}

// revoke ends the visitor's own session as a user does in the list of devices.
func (v *visitor) revoke(ctx context.Context) {
	var status struct{ Session struct{ ID string } }
	if v.must(ctx, "status", "GET", "/api/auth/status", "", nil, &status) {
		v.must(ctx, "revocation", "DELETE", "/api/auth/sessions/"+status.Session.ID, "", nil, nil)
	}
}

// forget empties the browser.
func (v *visitor) forget() {
	v.client.Jar, _ = cookiejar.New(nil) // it fails for no options
}

// write adds one transaction and returns its id; "" where it was not taken.
func (v *visitor) write(ctx context.Context) string {
	v.mu.Lock()
	portfolio := v.portfolio
	v.sent = time.Now()
	v.mu.Unlock()
	var made struct{ ID string }
	if v.must(ctx, "ledger write", "POST", "/api/portfolios/"+portfolio+"/transactions", strconv.FormatInt(rand.Int64(), 36), map[string]string{
		"type": "buy", "symbol": "AAPL", "quantity": "1", "price": "100", "currency": "USD", "executed_at": "2026-02-05T15:00:00Z"}, &made) {
		v.mu.Lock()
		v.written++
		v.mu.Unlock()
	}
	return made.ID
}

// takeBack deletes one transaction.
func (v *visitor) takeBack(ctx context.Context, id string) {
	v.mu.Lock()
	portfolio := v.portfolio
	v.mu.Unlock()
	if v.must(ctx, "ledger deletion", "DELETE", "/api/portfolios/"+portfolio+"/transactions/"+id, "", nil, nil) {
		v.mu.Lock()
		v.written--
		v.mu.Unlock()
	}
}

// look checks that the visitor sees its own rows, all of them, and nobody else's.
func (v *visitor) look(ctx context.Context) {
	v.mu.Lock()
	id, portfolio, written := v.id, v.portfolio, v.written
	v.mu.Unlock()
	var status struct{ User struct{ ID string } }
	if v.must(ctx, "status", "GET", "/api/auth/status", "", nil, &status) && status.User.ID != id {
		v.rec.add(&v.rec.wrong, "%s is user %q and was told to be %q", v.email, id, status.User.ID)
	}
	var all struct{ Portfolios []struct{ ID string } }
	if v.must(ctx, "portfolios", "GET", "/api/portfolios", "", nil, &all) && (len(all.Portfolios) != 1 || all.Portfolios[0].ID != portfolio) {
		v.rec.add(&v.rec.wrong, "%s has portfolio %s and was shown %v", v.email, portfolio, all.Portfolios)
	}
	if n := v.transactions(ctx, portfolio); n >= 0 && n != written {
		v.rec.add(&v.rec.wrong, "%s wrote %d transactions and was shown %d", v.email, written, n)
	}
}
