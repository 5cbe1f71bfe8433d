package hub

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rosetree/auth"
	"rosetree/internal/api"
	"rosetree/portfolio"
	"rosetree/prices"
)

// Config is what an operator may set. A zero field means its default; a limit below zero is no limit.
type Config struct {
	Heartbeat         time.Duration `env:"WS_HEARTBEAT" envDefault:"20s" doc:"a socket that is quiet for this long is sent a heartbeat and a ping; a peer silent for two is closed"`
	FlushInterval     time.Duration `env:"WS_FLUSH_INTERVAL" envDefault:"100ms" doc:"longest time for which price updates are joined under load"`
	Stall             time.Duration `env:"WS_STALL" envDefault:"10s" doc:"a socket that takes no byte for this long is closed (4001)"`
	Drain             time.Duration `env:"WS_DRAIN" envDefault:"10s" doc:"time over which sockets are sent away when the server stops"`
	MessageBytes      int           `env:"WS_MESSAGE_BYTES" envDefault:"65536" doc:"longest message of a client (1009)"`
	MessagesPerSecond int           `env:"WS_MESSAGES_PER_SECOND" envDefault:"50" doc:"messages of one socket per second, with a burst of four times as many (4029)"`
	QueueBytes        int           `env:"WS_QUEUE_BYTES" envDefault:"1048576" doc:"what may wait for one socket in ordered channels (4001)"`
	Symbols           int           `env:"WS_SYMBOLS" envDefault:"1000" doc:"symbols that one socket may name (too_many_subscriptions)"`
	Portfolios        int           `env:"WS_PORTFOLIOS" envDefault:"20" doc:"portfolios that one socket may watch (too_many_subscriptions)"`
	Calls             int           `env:"WS_CALLS" envDefault:"8" doc:"calls of one socket under way at once (rate_limited)"`
	SocketsPerUser    int           `env:"WS_SOCKETS_PER_USER" envDefault:"100" doc:"open sockets of one user on one server (4505)"`
	SocketsPerAddress int           `env:"WS_SOCKETS_PER_ADDRESS" envDefault:"1000" doc:"open sockets of one network address on one server (429); a proxy on this machine does not count as one"`
	Upgrades          int           `env:"WS_UPGRADES" envDefault:"256" doc:"upgrades authenticated at once; the next ones wait, and get 503 with Retry-After when that takes longer than five seconds"`
	UpgradesPerSecond int           `env:"WS_UPGRADES_PER_SECOND" envDefault:"2500" doc:"upgrades begun in a second, with a burst of WS_UPGRADES; the next ones wait, and get 503 with Retry-After where that would take longer than five seconds"`
}

func (c Config) withDefaults() Config {
	for field, value := range map[*time.Duration]time.Duration{
		&c.Heartbeat: 20 * time.Second, &c.FlushInterval: 100 * time.Millisecond, &c.Stall: 10 * time.Second, &c.Drain: 10 * time.Second} {
		if *field == 0 {
			*field = value
		}
	}
	for field, value := range map[*int]int{
		&c.MessageBytes: 64 << 10, &c.MessagesPerSecond: 50, &c.QueueBytes: 1 << 20, &c.Symbols: 1000, &c.Portfolios: 20,
		&c.Calls: 8, &c.SocketsPerUser: 100, &c.SocketsPerAddress: 1000, &c.Upgrades: 256, &c.UpgradesPerSecond: 2500} {
		if *field == 0 {
			*field = value
		}
	}
	return c
}

// Sessions is who a caller is and when that ends. Implemented by *auth.Auth.
type Sessions interface {
	AuthenticateUpgrade(r *http.Request) (auth.Principal, error)
	Watch(ctx context.Context, p auth.Principal, end func(auth.End)) (stop func(), now auth.Principal, err error)
	Recheck(ctx context.Context, p auth.Principal) (auth.Principal, error)
	Renew(ctx context.Context, p auth.Principal, token string) (auth.Principal, error)
	Blind(p auth.Principal) bool // whether p still holds cannot be told at the moment
	Watched() map[auth.SessionID]int
	SocketsChanged(auth.SessionID, auth.UserID) // it has another number of sockets here
}

// Market is what things cost. Implemented by *prices.Book.
type Market interface {
	Quote(prices.Symbol) (prices.Quote, bool)
	Instrument(prices.Symbol) (prices.Instrument, bool)
	Instruments() []prices.Instrument
	Listen(fn func([]prices.Quote)) (stop func())
}

// Portfolios shows what users own. Implemented by *portfolio.Service, by way of [Ledger].
type Portfolios interface {
	Watch(ctx context.Context, p auth.Principal, id portfolio.ID, since int64, v portfolio.Viewer) (stop func(), recovered bool, err error)
}

// Ledger makes a portfolio service the hub's Portfolios.
func Ledger(s *portfolio.Service) Portfolios { return ledger{s} }

type ledger struct{ *portfolio.Service }

func (l ledger) Watch(ctx context.Context, p auth.Principal, id portfolio.ID, since int64, v portfolio.Viewer) (func(), bool, error) {
	w, recovered, err := l.Service.Watch(ctx, p, id, since, v)
	if err != nil {
		return nil, false, err
	}
	return w.Stop, recovered, nil
}

// Deps are the rooms below and the news that the hub carries.
type Deps struct {
	Sessions   Sessions
	Market     Market
	Portfolios Portfolios
	Figures    Figures                                  // for the admins' overview
	Calls      map[string]api.Operation[auth.Principal] // by name
	Topics     []Topic                                  // besides the hub's own: devices, overview
	Address    func(*http.Request) string               // a client's address; nil: of the TCP connection
	Log        *slog.Logger
	Registry   prometheus.Registerer
}

// Hub is every connection of this process.
type Hub struct {
	// fixed after New
	cfg        Config
	sessions   Sessions
	market     Market
	portfolios Portfolios
	figures    Figures
	operations map[string]api.Operation[auth.Principal]
	topics     map[string]*topic
	address    func(*http.Request) string
	log        *slog.Logger
	metrics    *metrics
	start      time.Time
	shards     []*shard
	tickers    tickers
	admission  chan struct{} // a place for each upgrade under way
	arrivals   *arrivals     // their rate
	rechecking chan struct{} // a place for each re-check under way
	ids        atomic.Uint64
	upgraded   atomic.Uint64
	spread     atomic.Uint32
	renewals   atomic.Int32 // under way

	beat atomic.Pointer[heartbeat]

	feed    sync.Mutex // one batch of prices at a time
	changed []*ticker  // guarded by feed

	mu       sync.Mutex // guards what follows
	open     map[*conn]struct{}
	counts   map[countKey]int // open sockets
	draining bool
	moving   bool               // sockets are being sent elsewhere; see drain.go
	blind    map[*conn]struct{} // whose account data waits; see blind.go

	stopping chan struct{} // closed when draining begins
	empty    chan struct{} // closed when draining and nothing is open
	emptied  func()        // closes empty, once
	workers  sync.WaitGroup
}

// New makes a hub; nothing happens before Run and the first request.
func New(cfg Config, d Deps) *Hub {
	cfg = cfg.withDefaults()
	h := &Hub{cfg: cfg, sessions: d.Sessions, market: d.Market, portfolios: d.Portfolios, figures: d.Figures, operations: map[string]api.Operation[auth.Principal]{}, topics: map[string]*topic{},
		address: d.Address, log: d.Log, start: time.Now(), tickers: tickers{by: map[prices.Symbol]*ticker{}},
		admission: make(chan struct{}, max(cfg.Upgrades, 1)), rechecking: make(chan struct{}, 64),
		arrivals: newArrivals(cfg.UpgradesPerSecond, cfg.Upgrades), open: map[*conn]struct{}{}, blind: map[*conn]struct{}{}, counts: map[countKey]int{}, stopping: make(chan struct{}), empty: make(chan struct{})}
	h.emptied = sync.OnceFunc(func() { close(h.empty) })
	if h.address == nil {
		h.address = peerAddress
	}
	for i := range min(runtime.GOMAXPROCS(0), runtime.NumCPU()) { // one flusher for each core, also where more processors hash passwords
		h.shards = append(h.shards, newShard(h, i))
	}
	maps.Copy(h.operations, d.Calls)
	for _, o := range h.Operations() {
		h.operations[o.Name] = o
	}
	devices := Topic{Name: DevicesTopic, Personal: true, Now: func(context.Context, auth.Principal) ([]any, error) { return nil, nil }}
	for _, t := range append(slices.Clone(d.Topics), devices, h.overviewTopic()) {
		h.topics[t.Name] = &topic{Topic: t, followers: map[*subscription]struct{}{}, users: map[auth.UserID]map[*subscription]struct{}{}}
	}
	h.metrics = newMetrics(d.Registry, h)
	return h
}

// Run serves until ctx ends; then it sends the connections away, spread over the drain window, and returns.
func (h *Hub) Run(ctx context.Context) error {
	defer h.market.Listen(h.tick)()
	for _, i := range h.market.Instruments() {
		h.lookUp(i.Symbol)
	}
	stop := make(chan struct{})
	var flushers sync.WaitGroup
	for _, s := range h.shards {
		flushers.Go(func() { s.run(stop) })
	}
	flushers.Go(func() { h.settle(ctx) })
	for _, t := range h.topics {
		if t.Every > 0 {
			flushers.Go(func() { t.readFigure(ctx) })
		}
	}
	flushers.Go(func() { h.checkSelf(ctx) })
	<-ctx.Done()
	h.drain()
	close(stop)
	flushers.Wait()
	return nil
}

// now is the hub's clock: milliseconds since it was made. It does not jump.
func (h *Hub) now() int64 { return time.Since(h.start).Milliseconds() }

// Sockets counts the open sockets of a session on this server.
func (h *Hub) Sockets(id auth.SessionID) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.counts[countKey{countSession, string(id)}]
}

// LastFrames is when sockets of these sessions were last heard on this server; what has none here is left out.
func (h *Hub) LastFrames(sessions []auth.SessionID) map[auth.SessionID]time.Time {
	wanted := make(map[string]bool, len(sessions))
	for _, id := range sessions {
		wanted[string(id)] = true
	}
	heard := map[auth.SessionID]time.Time{}
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.open {
		for _, k := range c.counted {
			if k.what != countSession || !wanted[k.name] {
				continue
			}
			at, id := h.start.Add(time.Duration(c.readAt.Load())*time.Millisecond).UTC(), auth.SessionID(k.name)
			if at.After(heard[id]) {
				heard[id] = at
			}
		}
	}
	return heard
}

// OpenSockets counts those of this server.
func (h *Hub) OpenSockets() auth.OpenSockets {
	return auth.OpenSockets{All: h.Open(), Sessions: h.openVia(auth.ViaSession)}
}

// Open counts all open sockets on this server.
func (h *Hub) Open() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.open)
}

func (h *Hub) connections() []*conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Collect(maps.Keys(h.open))
}
