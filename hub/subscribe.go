package hub

import (
	"encoding/json"
	"fmt"
	"time"

	"rosetree/internal/api"
	"rosetree/prices"
)

// openTimeout bounds the reads that a subscription needs.
const openTimeout = 5 * time.Second

func tooManySubscriptions(limit int, what string) *api.Problem {
	return &api.Problem{Status: 429, Code: "too_many_subscriptions", Message: fmt.Sprintf("one socket may follow up to %d %s", limit, what)}
}

func (c *conn) subscribe(text []byte) error {
	m, err := decodeChannel(text)
	if err != nil {
		return err
	}
	switch m.Channel {
	case "prices":
		return c.followPrices(m)
	case "portfolio":
		return c.followPortfolio(m)
	default:
		return c.followTopic(m)
	}
}

func (c *conn) unsubscribe(text []byte) error {
	m, err := decodeChannel(text)
	if err != nil {
		return err
	}
	ack := subscribed{ID: m.ID, Type: "unsubscribed", Channel: m.Channel, Portfolio: m.Portfolio}
	switch m.Channel {
	case "prices":
		ack.Symbols, err = c.leavePrices(m)
	case "portfolio":
		err = c.leavePortfolio(m)
	default:
		err = c.leaveTopic(m)
	}
	if err == nil && len(m.ID) > 0 {
		c.send(encode(ack))
	}
	return err
}

// decodeChannel refuses what the channel has no use for.
func decodeChannel(text []byte) (channelMessage, error) {
	var m channelMessage
	if err := decode(text, &m); err != nil {
		return m, err
	}
	wrong := func(field string) (channelMessage, error) {
		p := api.BadRequest("%s has no meaning for channel %s", field, m.Channel)
		p.Field = field
		return m, p
	}
	switch {
	case m.Channel == "":
		return m, missing("channel")
	case m.Symbols != nil && m.Channel != "prices":
		return wrong("symbols")
	case m.MaxHz != nil && m.Channel != "prices":
		return wrong("max_hz")
	case m.Portfolio != "" && m.Channel != "portfolio":
		return wrong("portfolio")
	case m.Since != nil && m.Channel != "portfolio":
		return wrong("since")
	}
	return m, nil
}

// gapOf is the pause that max_hz asks for, in milliseconds.
func gapOf(maxHz *float64) (int64, error) {
	if maxHz == nil {
		return 0, nil
	}
	if hz := *maxHz; hz >= 0.01 && hz <= 1000 {
		return int64(1000 / hz), nil
	}
	return 0, api.Invalid("max_hz", "max_hz is between 0.01 and 1000 updates per second")
}

// followPrices acknowledges, sends the snapshot, and then what changes.
func (c *conn) followPrices(m channelMessage) error {
	gap, err := gapOf(m.MaxHz)
	if err != nil {
		return err
	}
	if len(m.Symbols) == 0 {
		return missing("symbols")
	}
	ack := subscribed{ID: m.ID, Type: "subscribed", Channel: "prices", Class: merged}
	every, chosen := c.choose(m.Symbols, &ack)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end != nil {
		return nil
	}
	fresh := 0
	for _, t := range chosen {
		if c.prices.find(t) == nil {
			fresh++
		}
	}
	if limit := c.hub.cfg.Symbols; limit >= 0 && !every && !c.prices.every && len(c.prices.slots)+fresh > limit {
		return tooManySubscriptions(limit, "symbols")
	}
	g, err := c.prices.gate(gap)
	if err != nil {
		return err
	}
	if len(m.ID) > 0 || len(ack.Rejected) > 0 {
		c.queue(encodeAck(ack))
	}
	if every {
		c.prices.every, c.prices.everyGate = true, g
		chosen = c.hub.tickers.all()
		c.prices.seen = len(chosen)
	}
	c.prices.add(chosen, g)
	c.shard.watch(c, chosen, every)
	return nil
}

// choose resolves what a client named; the same symbol twice counts once.
func (c *conn) choose(symbols []string, ack *subscribed) (every bool, chosen []*ticker) {
	seen := make(map[prices.Symbol]bool, len(symbols))
	for _, text := range symbols {
		if text == "*" {
			every = true
			ack.Symbols = append(ack.Symbols, "*")
			continue
		}
		symbol, err := prices.ParseSymbol(text)
		if err != nil {
			ack.Rejected = append(ack.Rejected, rejected{text, "invalid"})
			continue
		}
		if seen[symbol] {
			continue
		}
		seen[symbol] = true
		t := c.hub.lookUp(symbol)
		if t == nil {
			ack.Rejected = append(ack.Rejected, rejected{string(symbol), "unknown_symbol"})
			continue
		}
		ack.Symbols = append(ack.Symbols, string(symbol))
		chosen = append(chosen, t)
	}
	return every, chosen
}

// encodeAck always names the symbols, also when none was accepted.
func encodeAck(ack subscribed) []byte {
	if ack.Symbols == nil {
		ack.Symbols = []string{}
	}
	return encode(struct {
		subscribed
		Symbols []string `json:"symbols"`
	}{ack, ack.Symbols})
}

// leavePrices forgets symbols; "*" forgets all.
func (c *conn) leavePrices(m channelMessage) ([]string, error) {
	if len(m.Symbols) == 0 {
		return nil, missing("symbols")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var left []string
	for _, text := range m.Symbols {
		left = append(left, text)
		if text == "*" {
			c.shard.unwatch(c, c.prices.tickers(), true)
			c.prices = priceSlots{}
			continue
		}
		symbol, err := prices.ParseSymbol(text)
		if err != nil {
			return nil, api.Invalid("symbols", "%s", err)
		}
		if t := c.prices.drop(symbol); t != nil {
			c.shard.unwatch(c, []*ticker{t}, false)
		}
	}
	return left, nil
}

// gate is the number of the gate with this gap.
func (p *priceSlots) gate(gap int64) (uint8, error) {
	for i := range p.gates {
		if p.gates[i].gap == gap {
			return uint8(i), nil
		}
	}
	if len(p.gates) == 255 {
		return 0, api.Invalid("max_hz", "one socket may use up to 255 different values of max_hz")
	}
	p.gates = append(p.gates, gate{gap: gap})
	return uint8(len(p.gates) - 1), nil
}

// add subscribes to chosen; those that are known already are sent again as part of the snapshot.
func (p *priceSlots) add(chosen []*ticker, g uint8) {
	p.snapshot = true
	known := make(map[*ticker]int, len(p.slots))
	for i := range p.slots {
		known[p.slots[i].ticker] = i
	}
	if p.slots == nil {
		p.slots = make([]slot, 0, len(chosen))
	}
	for _, t := range chosen {
		if i, ok := known[t]; ok {
			p.slots[i].gate, p.slots[i].fresh = g, true
			continue
		}
		p.slots = append(p.slots, slot{ticker: t, gate: g, fresh: true})
	}
}

func (p *priceSlots) drop(s prices.Symbol) *ticker {
	for i := range p.slots {
		if t := p.slots[i].ticker; t.symbol == s {
			p.slots = append(p.slots[:i], p.slots[i+1:]...)
			p.from = 0
			return t
		}
	}
	return nil
}

func (p *priceSlots) tickers() []*ticker {
	all := make([]*ticker, len(p.slots))
	for i := range p.slots {
		all[i] = p.slots[i].ticker
	}
	return all
}

// watch marks c as interested and asks for a visit, which sends the snapshot; the caller holds c.mu.
func (s *shard) watch(c *conn, chosen []*ticker, every bool) {
	s.mu.Lock()
	if every {
		s.all.set(c.index)
	} else {
		for _, t := range chosen {
			t.watchers[s.number].set(c.index)
		}
	}
	s.mu.Unlock()
	s.urge(c.index)
}

func (s *shard) unwatch(c *conn, dropped []*ticker, every bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range dropped {
		t.watchers[s.number].clear(c.index)
	}
	if every {
		s.all.clear(c.index)
	}
}

// suspend stops all data, and then answers; what is asked for is still answered.
func (c *conn) suspend(id json.RawMessage) {
	defer c.reply(id, struct{}{})
	c.mu.Lock()
	c.suspended = true
	views := c.views
	for _, f := range c.topics {
		f.open = false
	}
	c.shard.unwatch(c, c.prices.tickers(), c.prices.every)
	c.mu.Unlock()
	for _, v := range views {
		v.close()
	}
}

// resume answers, and then brings snapshots of everything that was followed.
func (c *conn) resume(id json.RawMessage) {
	c.reply(id, struct{}{})
	c.mu.Lock()
	if !c.suspended {
		c.mu.Unlock()
		return
	}
	c.suspended = false
	views, topics := c.views, c.topics
	for i := range c.prices.slots {
		c.prices.slots[i].fresh = true
	}
	c.prices.snapshot = len(c.prices.slots) > 0 || c.prices.every
	c.shard.watch(c, c.prices.tickers(), false)
	if c.prices.every {
		c.shard.watch(c, nil, true)
	}
	c.mu.Unlock()
	for _, v := range views {
		if err := c.openView(v, -1, nil); err != nil {
			c.lose(v, err)
		}
	}
	for _, f := range topics {
		if err := f.start(nil); err != nil {
			c.fail(nil, err)
		}
	}
}
