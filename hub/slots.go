package hub

import (
	"slices"

	"rosetree/internal/api"
	"rosetree/prices"
)

// slot is what a connection knows of one symbol.
type slot struct {
	ticker *ticker
	sent   uint32 // low half of the update number last given; a collision costs one update in four billion
	gate   uint8
	fresh  bool // the snapshot is still to come
}

// gate holds back updates of slots that share a max_hz, so that they leave together.
type gate struct {
	gap  int64 // milliseconds; 0: as the server's pace allows
	next int64
	used bool
}

// priceSlots is the prices channel of one connection.
type priceSlots struct {
	slots     []slot
	gates     []gate
	from      int  // where the next message starts, so that all slots get their turn
	snapshot  bool // a snapshot is to be sent before any update
	every     bool // "*": new symbols join, with this gate
	everyGate uint8
	seen      int    // how many of the hub's tickers "*" has taken in
	overtaken uint32 // updates that a newer one of their symbol has replaced since they were last counted
}

func (p *priceSlots) find(t *ticker) *slot {
	for i := range p.slots {
		if p.slots[i].ticker == t {
			return &p.slots[i]
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

func (p *priceSlots) takeIn(all []*ticker) {
	for ; p.seen < len(all); p.seen++ {
		if t := all[p.seen]; p.find(t) == nil { // new symbols come one by one
			p.slots = append(p.slots, slot{ticker: t, gate: p.everyGate})
		}
	}
}

// drop forgets symbols, and returns the tickers of those that were there.
func (p *priceSlots) drop(symbols map[prices.Symbol]bool) (dropped []*ticker) {
	p.from = 0
	p.slots = slices.DeleteFunc(p.slots, func(s slot) bool {
		if symbols[s.ticker.symbol] {
			dropped = append(dropped, s.ticker)
		}
		return symbols[s.ticker.symbol]
	})
	return dropped
}

var (
	snapshotHead = []byte(`{"type":"prices","snapshot":true,"updates":[`)
	updatesHead  = []byte(`{"type":"prices","updates":[`)
)

// appendPrices appends at most one message of each kind; more says that slots are left over.
func (c *conn) appendPrices(s *shard, b []byte, now int64) (_ []byte, more bool) {
	p := &c.prices
	if p.every {
		p.takeIn(c.hub.tickers.all())
	}
	if len(p.slots) == 0 && !p.snapshot {
		return b, false
	}
	before := len(b)
	var sent, updates int
	var due int64
	if p.snapshot {
		b, sent = p.appendSnapshot(b)
	}
	if !p.snapshot {
		b, updates, due, more = p.appendUpdates(b, now)
	}
	if due > 0 {
		s.later(c, due, now)
	}
	if len(b) > before {
		c.flush.sentAt = now
	}
	c.flush.delivered += uint64(sent + updates)
	s.delivered += uint64(sent + updates)
	s.conflated += uint64(p.overtaken)
	p.overtaken = 0
	return b, more || p.snapshot
}

// appendSnapshot sends what is known of the fresh slots; one without a price has nothing to send, and
// its first price comes as an update.
func (p *priceSlots) appendSnapshot(b []byte) ([]byte, int) {
	start := len(b)
	b = append(openFrame(b), snapshotHead...)
	sent := 0
	p.snapshot = false
	for i := range p.slots {
		sl := &p.slots[i]
		if !sl.fresh {
			continue
		}
		if len(b)-start > maxPrices {
			p.snapshot = true
			break
		}
		sl.fresh = false
		if f := sl.ticker.newest.Load(); f != nil {
			b = appendUpdate(b, f, sent)
			if len(f.from) > 0 {
				b = append(append(b[:len(b)-1], f.from...), '}')
			}
			sl.sent = uint32(f.n)
			sent++
		}
	}
	return sealFrame(append(b, "]}"...), start), sent
}

// appendUpdates sends what is newer than what the peer has. due is when a held-back slot may go.
func (p *priceSlots) appendUpdates(b []byte, now int64) (_ []byte, sent int, due int64, more bool) {
	start := len(b)
	for k := range p.slots {
		i := p.from + k
		if i >= len(p.slots) {
			i -= len(p.slots)
		}
		sl := &p.slots[i]
		f := sl.ticker.newest.Load()
		if f == nil || uint32(f.n) == sl.sent {
			continue
		}
		g := &p.gates[sl.gate]
		if now < g.next {
			if due == 0 || g.next < due {
				due = g.next
			}
			continue
		}
		if sent == 0 {
			b = append(openFrame(b), updatesHead...)
		} else if len(b)-start > maxPrices {
			p.from, more = i, true
			break
		}
		b = appendUpdate(b, f, sent)
		if sl.sent > 0 {
			p.overtaken += uint32(f.n) - sl.sent - 1
		}
		sl.sent = uint32(f.n)
		g.used = true
		sent++
	}
	if sent > 0 {
		b = sealFrame(append(b, "]}"...), start)
	}
	p.shut(now, more)
	return b, sent, due, more
}

// shut holds the gates that let something through for their gap; not while slots are left over.
func (p *priceSlots) shut(now int64, more bool) {
	for i := range p.gates {
		if g := &p.gates[i]; g.used && !more {
			g.used, g.next = false, now+g.gap
		}
	}
}

func appendUpdate(b []byte, f *fragment, sent int) []byte {
	if sent > 0 {
		b = append(b, ',')
	}
	return append(b, f.json...)
}
