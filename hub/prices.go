package hub

import (
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"rosetree/prices"
)

// ticker is a symbol as connections see it: its newest update, encoded once for all of them.
type ticker struct {
	symbol   prices.Symbol
	newest   atomic.Pointer[fragment] // nil: no price yet
	from     atomic.Pointer[origin]   // of the newest; nil: nobody has said
	watchers []bitset                 // by shard; guarded by that shard's mu
}

type fragment struct {
	n    uint64
	json []byte // of an update
	from []byte // what a snapshot adds before the last brace: where the price comes from; may be empty
}

// offer makes q the newest update, unless a newer one is there already.
func (t *ticker) offer(q prices.Quote) bool {
	f := &fragment{n: q.N, json: encodeUpdate(q)}
	for {
		old := t.newest.Load()
		f.from = t.origin(q)
		if old != nil && old.n >= q.N {
			return false
		}
		if t.newest.CompareAndSwap(old, f) {
			return true
		}
	}
}

// encodeUpdate writes {"s":"AAPL","p":"189.12","t":1790000000123,"n":57}; no symbol or decimal has a
// character that JSON escapes.
func encodeUpdate(q prices.Quote) []byte {
	b := make([]byte, 0, 64+len(q.Symbol))
	b = append(append(b, `{"s":"`...), q.Symbol...)
	b = append(append(b, `","p":"`...), q.Price.String()...)
	b = strconv.AppendInt(append(b, `","t":`...), q.At.UnixMilli(), 10)
	b = strconv.AppendUint(append(b, `,"n":`...), q.N, 10)
	return append(b, '}')
}

// tickers are the symbols that the hub has met.
type tickers struct {
	mu   sync.RWMutex
	by   map[prices.Symbol]*ticker
	list atomic.Pointer[[]*ticker] // those with a place for "*", in the order of their coming
}

func (t *tickers) all() []*ticker {
	if list := t.list.Load(); list != nil {
		return *list
	}
	return nil
}

func (t *tickers) get(s prices.Symbol) *ticker {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.by[s]
}

func (t *tickers) make(s prices.Symbol, shards int) *ticker {
	t.mu.Lock()
	defer t.mu.Unlock()
	if known := t.by[s]; known != nil {
		return known
	}
	made := &ticker{symbol: s, watchers: make([]bitset, shards)}
	t.by[s] = made
	var list []*ticker
	if old := t.list.Load(); old != nil {
		list = *old
	}
	list = append(list, made) // readers of the old slice do not see past its length
	t.list.Store(&list)
	return made
}

// tick is called by the price book with what it has just believed.
func (h *Hub) tick(quotes []prices.Quote) {
	h.feed.Lock()
	defer h.feed.Unlock()
	h.changed = h.changed[:0]
	for _, q := range quotes {
		t := h.tickers.get(q.Symbol)
		if t == nil {
			t = h.tickers.make(q.Symbol, len(h.shards))
		}
		if t.offer(q) {
			h.changed = append(h.changed, t)
		}
	}
	for _, s := range h.shards {
		s.touch(h.changed)
	}
}

// lookUp is the ticker of a symbol that the market knows, or nil.
func (h *Hub) lookUp(s prices.Symbol) *ticker {
	if t := h.tickers.get(s); t != nil {
		return t
	}
	q, priced := h.market.Quote(s)
	if !priced {
		if _, known := h.market.Instrument(s); !known {
			return nil
		}
	}
	t := h.tickers.make(s, len(h.shards))
	if priced {
		t.offer(q)
	}
	return t
}

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

func (p *priceSlots) takeIn(all []*ticker) {
	for ; p.seen < len(all); p.seen++ {
		if t := all[p.seen]; p.find(t) == nil { // new symbols come one by one
			p.slots = append(p.slots, slot{ticker: t, gate: p.everyGate})
		}
	}
}

func (p *priceSlots) find(t *ticker) *slot {
	for i := range p.slots {
		if p.slots[i].ticker == t {
			return &p.slots[i]
		}
	}
	return nil
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

// Watched are the symbols that somebody follows here; all of them where somebody follows "*".
func (h *Hub) Watched() []prices.Symbol {
	known, watched := h.tickers.all(), map[prices.Symbol]bool{}
	for _, s := range h.shards {
		s.mu.Lock()
		every := !s.all.empty()
		for _, t := range known {
			if every || !t.watchers[s.number].empty() {
				watched[t.symbol] = true
			}
		}
		s.mu.Unlock()
	}
	return slices.Collect(maps.Keys(watched))
}
