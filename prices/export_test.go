package prices

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/netip"
	"time"
)

// ReachWebhooksHere lets webhooks reach this machine, which no user may, and trust a test's certificate.
func (s *Service) ReachWebhooksHere(cert *x509.Certificate) {
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	s.webhooks.client = publicClient(func(netip.Addr) error { return nil }, &tls.Config{RootCAs: roots})
}

// SealWith makes a service that has not begun a server with another SECRET_KEY.
func (s *Service) SealWith(sealer Sealer) {
	s.store.sealer, s.webhooks.store.sealer = sealer, sealer
}

// KeepSealed is what a server does every ten minutes.
func (s *Service) KeepSealed(ctx context.Context, every time.Duration) error {
	return s.keepSealed(ctx, every)
}

// TrustOnly trusts a test's certificate, and reaches public addresses only.
func (s *Service) TrustOnly(cert *x509.Certificate) {
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	s.webhooks.client = publicClient(publicAddress, &tls.Config{RootCAs: roots})
}

// What a hand-over after a kill is made of.
const (
	LeaseTerm  = leaseTerm
	LeaseTries = leaseTries
)

// Signature is what a receiver of a webhook computes.
var Signature = signature

// PublicAddress is the rule of what a webhook may reach.
var PublicAddress = publicAddress

// WatchedLevel is the price at which something happens to an alert, as ticks are compared with it.
func (s *Service) WatchedLevel(symbol Symbol, id string) string {
	s.alerts.mu.Lock()
	defer s.alerts.mu.Unlock()
	if l := s.alerts.ladders[symbol]; l != nil && l.all[id] != nil {
		return l.all[id].level.String()
	}
	return ""
}

// OnlyFeed makes f the server's only feed, and its instruments known.
func (s *Service) OnlyFeed(f Feed) {
	s.feeds = []Feed{f}
	if c, ok := f.(catalogue); ok {
		s.Book.Define(c.Instruments()...)
	}
}

// Waiting is how many ticks wait to be published, and how many alerts to be claimed.
func (s *Service) Waiting() (ticks, alerts int) {
	s.alerts.mu.Lock()
	alerts = len(s.alerts.due)
	s.alerts.mu.Unlock()
	if s.bus != nil {
		ticks = s.bus.depth()
	}
	return ticks, alerts
}

// WatchedAlerts is how many alerts are checked on ticks.
func (s *Service) WatchedAlerts() int {
	s.alerts.mu.Lock()
	defer s.alerts.mu.Unlock()
	return len(s.alerts.where)
}

// Tape is the listener that makes candles.
func (s *Service) Tape() func([]Quote) { return s.tape.hear }

// Unwritten is how many minutes of symbol the database does not have yet.
func (s *Service) Unwritten(symbol Symbol) int { return len(s.tape.unwritten(symbol)) }
