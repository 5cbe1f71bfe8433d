package auth

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// taken is a pool whose only permit is taken until release is called.
func taken(t *testing.T) (p *hashPool, release func()) {
	t.Helper()
	p = newHashPool(newMetrics(newRegistry()))
	p.free, p.permits = 1, 1
	busy, done := make(chan struct{}), make(chan struct{})
	go func() { _ = p.do(context.Background(), true, always, func() { close(busy); <-done }) }()
	<-busy
	return p, sync.OnceFunc(func() { close(done) })
}

// queued waits until n log-ins stand in the queue.
func (p *hashPool) queued(t *testing.T, n int) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		p.mu.Lock()
		waiting := len(p.known) + len(p.strangers)
		p.mu.Unlock()
		if waiting == n {
			return
		}
	}
	t.Fatalf("never %d in the queue", n)
}

func TestHashPool_KnownDevicesGoFirstAndStrangersAreNotStarved(t *testing.T) {
	p, release := taken(t)
	defer release()
	var mu sync.Mutex
	var order []string
	var wg sync.WaitGroup
	enter := func(name string, known bool) {
		before := len(p.known) + len(p.strangers)
		wg.Go(func() {
			if err := p.do(t.Context(), known, always, func() { mu.Lock(); order = append(order, name); mu.Unlock() }); err != nil {
				t.Error(err)
			}
		})
		p.queued(t, before+1)
	}
	for i := range 2 {
		enter(fmt.Sprint("s", i), false)
	}
	for i := range 6 {
		enter(fmt.Sprint("k", i), true)
	}
	release()
	wg.Wait()
	if want := strings.Fields("k0 k1 k2 k3 s0 k4 k5 s1"); !slices.Equal(order, want) {
		t.Errorf("%v, want %v", order, want)
	}
}

func TestHashPool_AQueueFullOfStrangersHasPlacesForKnownDevices(t *testing.T) {
	p, release := taken(t)
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	for range strangersOf {
		wg.Go(func() { _ = p.do(ctx, false, always, func() {}) })
	}
	p.queued(t, strangersOf)
	if err := p.do(t.Context(), false, always, func() {}); err != error(errHashBusy) {
		t.Errorf("one stranger more: %v", err)
	}
	got := make(chan error)
	go func() { got <- p.do(t.Context(), true, always, func() {}) }()
	p.queued(t, strangersOf+1)
	release()
	if err := <-got; err != nil {
		t.Errorf("a known device: %v", err)
	}
	cancel()
	wg.Wait()
	p.queued(t, 0)
	if err := p.do(t.Context(), false, always, func() {}); err != nil || p.free != 1 {
		t.Errorf("after the storm: %v, %d permits free", err, p.free)
	}
}

// Whoever gives up at the moment of its turn must hand the turn on, or the pool loses a permit for ever.
func TestHashPool_NoPermitIsLostToWhoGivesUp(t *testing.T) {
	p := newHashPool(newMetrics(newRegistry()))
	var wg sync.WaitGroup
	for i := range 300 {
		ctx, cancel := context.WithCancel(t.Context())
		wg.Go(func() { _ = p.do(ctx, i%2 == 0, always, func() { time.Sleep(100 * time.Microsecond) }) })
		wg.Go(func() { time.Sleep(time.Duration(i) * 50 * time.Microsecond); cancel() })
	}
	wg.Wait()
	p.queued(t, 0)
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		p.mu.Lock()
		free := p.free
		p.mu.Unlock()
		if free == p.permits {
			return
		}
	}
	t.Errorf("%d of %d permits came back", p.free, p.permits)
}

// A program keeps the device token of its log-in, as a browser keeps the cookie: strangers who use up the account's tries do not
// keep it out.
func TestA11_AStrangerDoesNotLockAProgramOut(t *testing.T) {
	s := newServer(t, sessionsOn)
	s.seedUser("ada@example.test", RoleUser)
	_, g := s.login("ada@example.test", "bearer")
	stranger := s.program("")
	for range accountRate.burst {
		stranger.want(401, "unauthenticated", "POST", "/api/auth/login", map[string]any{"email": "ada@example.test", "password": "a guess of many"})
	}
	right := map[string]any{"email": "ada@example.test", "password": goodPassword, "transport": "bearer"}
	stranger.want(429, "rate_limited", "POST", "/api/auth/login", right)
	right["device_token"] = "x" + g.Tokens.Device[1:]
	stranger.want(429, "rate_limited", "POST", "/api/auth/login", right)
	right["device_token"] = g.Tokens.Device
	stranger.want(200, "", "POST", "/api/auth/login", right)
}

func TestSpray_ManyAccountsFromOnePrefixAreSeenAndManyTriesAtOneAreNot(t *testing.T) {
	cfg := sessionsOn
	cfg.TrustedProxies = []string{"127.0.0.0/8", "::1"}
	s := newServer(t, cfg)
	s.seedUser("ada@example.test", RoleUser)
	fail := func(from, email string) {
		c := s.program("")
		c.header.Set("X-Forwarded-For", from)
		c.want(401, "unauthenticated", "POST", "/api/auth/login", map[string]any{"email": email, "password": "Spring2026!"})
	}
	for range 9 {
		fail("203.0.113.1", "ada@example.test")
	}
	if n := s.auth.spray.worst(time.Now()); n != 1 {
		t.Errorf("nine tries at one account count as %d accounts", n)
	}
	for i := range sprayAccounts {
		fail("203.0.113.7", fmt.Sprintf("u%d@example.test", i))
	}
	if n := gathered(t, s, "rosetree_auth_spray_accounts"); n != sprayAccounts {
		t.Errorf("the metric says %v accounts, want %d", n, sprayAccounts)
	}
	if !strings.Contains(s.logs.String(), "many accounts") || strings.Contains(s.logs.String(), "u1@example.test") {
		t.Error("the log does not say it, or says whose accounts")
	}
	if n := s.auth.spray.worst(time.Now().Add(2 * sprayWindow)); n != 0 {
		t.Errorf("%d accounts are still counted after the windows", n)
	}
}

func TestSpray_OneWindowLaterItStillCountsAndTwoLaterNot(t *testing.T) {
	s := newSpray(slog.New(slog.DiscardHandler), newRegistry())
	ip, now := netip.MustParseAddr("2001:db8::1"), time.Now()
	for i := range 5 {
		s.failed(ip, fmt.Sprint(i), now)
	}
	s.failed(netip.MustParseAddr("2001:db8::ffff"), "0", now.Add(sprayWindow)) // the same /64, the same account
	if n := s.worst(now.Add(sprayWindow)); n != 5 {
		t.Errorf("%d, want 5", n)
	}
	if n := s.worst(now.Add(2 * sprayWindow)); n != 1 {
		t.Errorf("%d, want 1", n)
	}
}

func gathered(t *testing.T, s *server, name string) float64 {
	t.Helper()
	families, err := s.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}
