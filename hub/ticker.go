package hub

import (
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

// Watched are the symbols that somebody follows here; all of them where somebody follows "*".
func (h *Hub) Watched() []prices.Symbol {
	known := h.tickers.all()
	looked := make([]bool, len(known))
	for _, s := range h.shards {
		s.mu.Lock()
		every := !s.all.empty()
		for i, t := range known {
			looked[i] = looked[i] || every || !t.watchers[s.number].empty()
		}
		s.mu.Unlock()
	}
	var watched []prices.Symbol
	for i, t := range known {
		if looked[i] {
			watched = append(watched, t.symbol)
		}
	}
	return watched
}
