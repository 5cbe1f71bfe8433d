package main

import (
	"context"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/shopspring/decimal"

	"rosetree/auth"
	"rosetree/hub"
	"rosetree/portfolio"
	"rosetree/prices"
)

// hubSource is the product's hub.
type hubSource struct {
	mux  *http.ServeMux
	tell func([]prices.Quote)

	listening chan struct{} // closed when tell is there
}

func newHubSource(o options) *hubSource {
	s := &hubSource{mux: http.NewServeMux()}
	h := hub.New(hub.Config{SocketsPerUser: -1, SocketsPerAddress: -1}, hub.Deps{
		Sessions: everyone{new(atomic.Int64)}, Market: &market{s: s, symbols: o.symbols}, Portfolios: noPortfolios{}, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
	h.Routes(s.mux)
	s.listening = make(chan struct{})
	go h.Run(context.Background())
	<-s.listening
	return s
}

func (s *hubSource) handler() http.Handler { return s.mux }

func (s *hubSource) tick(i int, _ []byte, n uint64) {
	s.tell([]prices.Quote{{Symbol: prices.Symbol(symbol(i)), Price: decimal.New(10000+int64(n%5000), -2), At: time.Now(), N: n}})
}

// everyone lets everybody in, as one user with one session.
type everyone struct{ watched *atomic.Int64 }

func (everyone) AuthenticateUpgrade(*http.Request) (auth.Principal, error) {
	return auth.Principal{User: "u", Session: "s", Role: auth.RoleUser, Via: auth.ViaSession}, nil
}
func (e everyone) Watch(_ context.Context, p auth.Principal, _ func(auth.End)) (func(), auth.Principal, error) {
	e.watched.Add(1)
	return func() { e.watched.Add(-1) }, p, nil
}
func (e everyone) Watched() map[auth.SessionID]int {
	return map[auth.SessionID]int{"s": int(e.watched.Load())}
}
func (everyone) Recheck(_ context.Context, p auth.Principal) (auth.Principal, error) { return p, nil }
func (everyone) Renew(_ context.Context, p auth.Principal, _ string) (auth.Principal, error) {
	return p, nil
}
func (everyone) Blind(auth.Principal) bool                  { return false }
func (everyone) SocketsChanged(auth.SessionID, auth.UserID) {}

type market struct {
	s       *hubSource
	symbols int
}

func (m *market) Quote(prices.Symbol) (prices.Quote, bool) { return prices.Quote{}, false }
func (m *market) Instrument(prices.Symbol) (prices.Instrument, bool) {
	return prices.Instrument{}, true
}
func (m *market) Instruments() (all []prices.Instrument) {
	for i := range m.symbols {
		all = append(all, prices.Instrument{Symbol: prices.Symbol(symbol(i))})
	}
	return all
}
func (m *market) Listen(fn func([]prices.Quote)) func() {
	m.s.tell = fn
	close(m.s.listening)
	return func() {}
}

type noPortfolios struct{}

func (noPortfolios) Watch(context.Context, auth.Principal, portfolio.ID, int64, portfolio.Viewer) (func(), bool, error) {
	return nil, false, context.Canceled
}
