package proof

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"rosetree/internal/devstack"
)

// stand is two servers behind a balancer, the second with ways of its own to Redis and PostgreSQL, and visitors who go on while
// something is broken. They record everything; the promises are kept at the end of each fault, and at the end of the test.
type stand struct {
	t        *testing.T
	rec      *record
	servers  []*server
	settings []string // of the first server
	front    string
	redis    *devstack.Link // of the second server
	postgres *devstack.Link // of the second server
	visitors []*visitor
}

const standVisitors = 6

func newStand(t *testing.T, databaseURL, redisURL string) *stand {
	t.Helper()
	return newStandWith(t, databaseURL, redisURL, binary(t))
}

// newStandWith is newStand with another program as the second server, and settings more.
func newStandWith(t *testing.T, databaseURL, redisURL, second string, more ...string) *stand {
	t.Helper()
	s := &stand{t: t, rec: newRecord()}
	t.Cleanup(s.judge)
	settings := []string{"DATABASE_URL=" + databaseURL, "REDIS_URL=" + redisURL, "NEW_AUTH_ENABLED=true", "NEW_AUTH_PERCENTAGE=100", "PRICE_FEEDS=sim?rate=20", "WS_DRAIN=200ms"}
	settings = append(settings, more...)
	s.settings = settings
	s.postgres, s.redis = devstack.StartLink(t, hostOf(t, databaseURL)), devstack.StartLink(t, hostOf(t, redisURL))
	ways := append(settings[:len(settings):len(settings)], "DATABASE_URL="+strings.Replace(databaseURL, hostOf(t, databaseURL), s.postgres.Addr, 1),
		"REDIS_URL="+strings.Replace(redisURL, hostOf(t, redisURL), s.redis.Addr, 1))
	s.servers = []*server{serve(t, settings...), serveBy(t, exec.Command(second, "serve"), ways...)}
	s.front = balance(t, s.servers)
	for i := range standVisitors {
		v := newVisitor(t, s.rec, s.front, fmt.Sprintf("patient%d@example.com", i), goodPassword)
		if !v.must(t.Context(), "registration", "POST", "/api/auth/register", "", map[string]string{"email": v.email, "password": v.password}, nil) || v.login(t.Context()) == "" || !v.adopt(t.Context()) {
			t.Fatal("no visitor")
		}
		s.visitors = append(s.visitors, v)
	}
	return s
}

func hostOf(t *testing.T, text string) string {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// judge holds the record to what is promised under every fault.
func (s *stand) judge() {
	for _, line := range append(s.rec.failures, s.rec.wrong...) {
		s.t.Error(line)
		for _, server := range s.servers {
			server.explain(line)
		}
	}
	s.t.Logf("%d writes were answered, %d answers said to try again; %d sockets were opened, %d lost without a word", s.rec.counted("ledger write"),
		s.rec.counted("try again"), s.rec.counted("socket opened"), len(s.rec.lost))
}

// begin lets everybody live, until end is called.
func (s *stand) begin() (end func()) {
	ctx, stop := context.WithCancel(s.t.Context())
	var living sync.WaitGroup
	for _, v := range s.visitors {
		living.Go(func() { v.live(ctx) })
		living.Go(func() {
			for ctx.Err() == nil {
				s.write(v)
				rest(ctx, 50*time.Millisecond+rand.N(100*time.Millisecond))
			}
		})
	}
	return sync.OnceFunc(func() { stop(); living.Wait() })
}

// write adds one transaction, and asks again with the same key for as long as it is told to try again or told nothing. Whatever
// else it is told is a broken promise.
func (s *stand) write(v *visitor) {
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	key, began := strconv.FormatInt(rand.Int64(), 36), time.Now()
	body := map[string]string{"type": "buy", "symbol": "AAPL", "quantity": "1", "price": "100", "currency": "USD", "executed_at": "2026-02-05T15:00:00Z"}
	for {
		asking, stop := context.WithTimeout(ctx, 10*time.Second)
		status, err := v.ask(asking, "POST", "/api/portfolios/"+v.portfolio+"/transactions", key, body, nil)
		stop()
		switch {
		case err == nil:
			v.mu.Lock()
			v.written++
			v.mu.Unlock()
			s.rec.did("ledger write", time.Since(began))
			return
		case status == http.StatusServiceUnavailable || status == 0:
			s.rec.count("try again")
		default:
			s.rec.add(&s.rec.failures, "%s: a write: %d %v", v.email, status, err)
			return
		}
		if ctx.Err() != nil {
			s.rec.add(&s.rec.failures, "%s: a write was not taken within a minute: %d %v", v.email, status, err)
			return
		}
		rest(ctx, 200*time.Millisecond)
	}
}

// during breaks something for a while, with everybody going on, and then wants it all back: each visitor's next write, exactly the
// rows that were acknowledged, and a revocation that closes a socket.
func (s *stand) during(fault string, lasts time.Duration, begin, end func()) {
	s.t.Helper()
	before := s.rec.counted("ledger write")
	begin()
	rest(s.t.Context(), lasts)
	meanwhile := s.rec.counted("ledger write") - before
	end()
	began := time.Now()
	for _, v := range s.visitors {
		s.write(v)
	}
	s.t.Logf("%-40s %d writes meanwhile; all visitors write again %v after it", fault, meanwhile, time.Since(began).Round(time.Millisecond))
}

// revokes ends a session at the first server whose socket is at the second, and returns how long that socket lived.
func (s *stand) revokes() time.Duration {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	v := newVisitor(s.t, s.rec, s.servers[1].url, s.visitors[0].email, goodPassword)
	v.login(ctx)
	v.adopt(ctx)
	ws := v.dial(ctx)
	if ws == nil {
		s.t.Fatal("no socket")
	}
	defer ws.CloseNow()
	v.front = s.servers[0].url
	return v.untilClosed(ctx, ws)
}

// look is done when nothing is broken any more.
func (s *stand) look() {
	s.t.Helper()
	for _, v := range s.visitors {
		v.look(s.t.Context())
	}
}
