package hub

import (
	"rosetree/internal/api"
	"rosetree/prices"
)

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

// leavePrices forgets symbols; "*" forgets all. Where one of them is none, all stay.
func (c *conn) leavePrices(m channelMessage) error {
	if len(m.Symbols) == 0 {
		return missing("symbols")
	}
	every, named := false, make(map[prices.Symbol]bool, len(m.Symbols))
	for _, text := range m.Symbols {
		if text == "*" {
			every = true
			continue
		}
		symbol, err := prices.ParseSymbol(text)
		if err != nil {
			return api.Invalid("symbols", "%s", err)
		}
		named[symbol] = true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.end != nil: // its number in the shard may be another connection's by now
	case every:
		c.shard.unwatch(c, c.prices.tickers(), true)
		c.prices = priceSlots{}
	default:
		c.shard.unwatch(c, c.prices.drop(named), false)
	}
	return nil
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
