package auth

import (
	"hash/maphash"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Guessing one password at many accounts ("spraying") stays below every account's throttle. What gives it away is how many
// different accounts fail from one address prefix.
const (
	sprayWindow   = 5 * time.Minute // a count covers this window and the one before
	sprayAccounts = 20              // so many different accounts are no household, and no office on a Monday
	sprayMost     = 1000            // accounts remembered per prefix
	sprayPrefixes = 10_000          // prefixes remembered
)

// spray knows at how many different accounts log-ins failed lately, per address prefix. It keeps hashes, no addresses of accounts.
type spray struct {
	// fixed after newSpray
	log  *slog.Logger
	seed maphash.Seed

	mu       sync.Mutex
	began    time.Time           // of the window that is counted in; guarded by mu
	accounts map[string]sprayed  // by prefix; guarded by mu
	before   map[string]sprayed  // the window before; guarded by mu
	reported map[string]struct{} // prefixes that were said in this window; guarded by mu
}

type sprayed map[uint64]struct{}

func newSpray(log *slog.Logger, reg prometheus.Registerer) *spray {
	s := &spray{log: log, seed: maphash.MakeSeed()}
	s.turn(time.Now())
	s.turn(time.Now())
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "rosetree_auth_spray_accounts",
		Help: "Different accounts at which log-ins from one address prefix failed in the last 5 to 10 minutes; the most of any prefix. Above 20: somebody tries passwords at many accounts."},
		func() float64 { return float64(s.worst(time.Now())) }))
	return s
}

// failed notes a log-in with a wrong password. Loopback counts for nobody, as in the throttles.
func (s *spray) failed(ip netip.Addr, account string, now time.Time) {
	if ip.IsLoopback() {
		return
	}
	from := prefix(ip)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(now)
	seen := s.accounts[from]
	if seen == nil {
		if len(s.accounts) >= sprayPrefixes {
			return // so many prefixes at once are an attack of another kind, which the hash pool bounds
		}
		seen = sprayed{}
		s.accounts[from] = seen
	}
	if len(seen) < sprayMost {
		seen[maphash.String(s.seed, account)] = struct{}{}
	}
	if n := s.of(from); n >= sprayAccounts {
		s.report(from, n)
	}
}

// report says it once per prefix and window.
func (s *spray) report(from string, n int) {
	if _, said := s.reported[from]; said {
		return
	}
	s.reported[from] = struct{}{}
	s.log.Warn("login: wrong passwords for many accounts from one address prefix", "prefix", from, "accounts", n)
}

// of counts a prefix' different accounts in both windows.
func (s *spray) of(from string) int {
	n := len(s.accounts[from])
	for account := range s.before[from] {
		if _, again := s.accounts[from][account]; !again {
			n++
		}
	}
	return n
}

func (s *spray) worst(now time.Time) (most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(now)
	for from := range s.accounts {
		most = max(most, s.of(from))
	}
	for from := range s.before {
		most = max(most, s.of(from))
	}
	return most
}

// forget begins another window when it is time.
func (s *spray) forget(now time.Time) {
	switch age := now.Sub(s.began); {
	case age >= 2*sprayWindow:
		s.turn(now)
		s.turn(now)
	case age >= sprayWindow:
		s.turn(now)
	}
}

func (s *spray) turn(now time.Time) {
	s.before, s.accounts, s.reported, s.began = s.accounts, map[string]sprayed{}, map[string]struct{}{}, now
}
