package prices

import (
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// feedMaker makes a feed of its entry in PRICE_FEEDS.
type feedMaker func(feedSpec, feedDeps) (Feed, error)

// feedDeps are what feeds are made with.
type feedDeps struct {
	config  Config
	rdb     redis.UniversalClient
	book    *Book
	demand  *demand
	metrics *feedMetrics
	name    string            // of the feed
	brought func(Symbol) bool // another feed brings this instrument
	now     time.Time
}

// of are the deps of the feed with that name.
func (d feedDeps) of(name string) feedDeps {
	d.name = name
	return d
}

func (d feedDeps) malformed()                             { d.metrics.malformed.WithLabelValues(d.name).Inc() }
func (d feedDeps) instrument(s Symbol) (Instrument, bool) { return d.book.Instrument(s) }
func (d feedDeps) instruments() []Instrument              { return d.book.Instruments() }

// feedMakers are the feeds by their name in PRICE_FEEDS.
var feedMakers = map[string]feedMaker{
	"sim":    func(s feedSpec, d feedDeps) (Feed, error) { return newSim(s.options, d.brought) },
	"replay": func(s feedSpec, d feedDeps) (Feed, error) { return newReplay(s.argument, s.options, d.now) },
	"coinbase": func(s feedSpec, d feedDeps) (Feed, error) {
		return newExchange(s, d, coinbase{}, coinbaseTerms, coinbaseAddress, "")
	},
	"kraken": func(s feedSpec, d feedDeps) (Feed, error) {
		return newExchange(s, d, kraken{}, krakenTerms, krakenAddress, "")
	},
	"binance": func(s feedSpec, d feedDeps) (Feed, error) {
		return newExchange(s, d, binance{}, binanceTerms, binanceAddress, "")
	},
	"alpaca": func(s feedSpec, d feedDeps) (Feed, error) {
		return newExchange(s, d, alpaca{d.config.AlpacaKey, string(d.config.AlpacaSecret)}, alpacaTerms, alpacaAddress, string(d.config.AlpacaSecret))
	},
	"finnhub": func(s feedSpec, d feedDeps) (Feed, error) {
		return newExchange(s, d, finnhub{}, finnhubTerms, finnhubAddress, string(d.config.FinnhubKey))
	},
	"ecb": newECB,
	"ingest": func(s feedSpec, d feedDeps) (Feed, error) {
		return &ingest{d.rdb, d}, readOptions(s.options).err()
	},
}

// newExchange is a feed "NAME?url=wss://…&history=https://…&symbols=BTC-USD+ETH-USD&budget=N": symbols are subscribed
// whether or not somebody looks, url and history are for a proxy or a test.
func newExchange(s feedSpec, d feedDeps, p protocol, t terms, address, secret string) (Feed, error) {
	o := readOptions(s.options)
	e := &exchange{name: s.name, protocol: p, address: o.address("url", address, "ws", "wss"), secret: secret, terms: t,
		always: o.symbols("symbols"), deps: d}
	e.budget.Store(o.count("budget", int32(t.budget), 10_000))
	if c, ok := p.(chronicle); ok {
		e.history = o.address("history", c.past().address, "http", "https")
	}
	if _, inAddress := p.(finnhub); inAddress {
		e.address = withToken(e.address, secret)
	}
	return e, o.err()
}

// newECB is the feed "ecb?url=https://…&every=900": seconds between two looks.
func newECB(s feedSpec, d feedDeps) (Feed, error) {
	o := readOptions(s.options)
	e := &ecb{address: o.address("url", ecbAddress, "http", "https"), every: time.Duration(o.number("every", 900, 86400) * float64(time.Second)), deps: d}
	return e, o.err()
}

// check refuses an argument where none is meant: "sim:file".
func (s feedSpec) check() error {
	if s.argument != "" && s.name != "replay" {
		return errors.New(s.name + " takes options only, as in " + s.name + "?a=1&b=2")
	}
	return nil
}
