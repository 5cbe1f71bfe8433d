package hub

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"rosetree/auth"
	"rosetree/internal/api"
)

const (
	checkEvery   = 5 * time.Minute
	watchesAgree = 100 * time.Millisecond // within this the news of an end has gone from one book to the other
)

// checkSelf looks for contradictions until ctx ends, so that the metric rises though nobody asks.
func (h *Hub) checkSelf(ctx context.Context) {
	ticker := time.NewTicker(checkEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			h.Check()
		}
	}
}

// Check compares what the hub keeps in several places, and what auth keeps of the same sockets, and names each contradiction. It is
// cheap enough to be asked every few minutes; each connection and each shard is locked for a moment by itself.
func (h *Hub) Check() (faults []string) {
	open := h.connections()
	inShards := 0
	for _, s := range h.shards {
		n, more := s.check()
		inShards += n
		faults = append(faults, more...)
	}
	for _, c := range open {
		faults = append(faults, c.check()...)
	}
	faults = append(faults, h.checkCounts()...)
	for _, t := range h.topics {
		faults = append(faults, h.checkTopic(t)...)
	}
	faults = append(faults, h.checkWatches()...)
	if now := h.Open(); inShards > now+len(open)/10+16 && now == len(open) {
		faults = append(faults, fmt.Sprintf("shards hold %d connections, %d are open", inShards, now))
	}
	if len(faults) > 0 {
		h.metrics.faults.Add(float64(len(faults)))
		h.log.Error("the hub contradicts itself", "faults", faults)
	}
	return faults
}

// checkCounts recounts what limits and lists rely on.
func (h *Hub) checkCounts() (faults []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	recount := map[countKey]int{}
	for c := range h.open {
		for _, k := range c.counted {
			if k.what != countNothing {
				recount[k]++
			}
		}
	}
	if len(recount) != len(h.counts) {
		faults = append(faults, fmt.Sprintf("%d counts are kept, %d are right", len(h.counts), len(recount)))
	}
	for k, n := range recount {
		if h.counts[k] != n {
			faults = append(faults, fmt.Sprintf("a count of kind %d is %d, not %d", k.what, h.counts[k], n))
		}
	}
	return faults
}

// checkWatches holds the sockets whose end auth watches against those that are open here. The two books are written one after the
// other, so only what they still disagree on a moment later is a fault.
func (h *Hub) checkWatches() (faults []string) {
	before := h.unlikeAuth()
	if len(before) == 0 {
		return nil
	}
	time.Sleep(watchesAgree)
	for id, fault := range h.unlikeAuth() {
		if before[id] != "" {
			faults = append(faults, fault)
		}
	}
	return faults
}

// unlikeAuth names, by session, where auth watches for fewer sockets than are fully open here, or for more than there are at all.
func (h *Hub) unlikeAuth() map[auth.SessionID]string {
	renewals, before := h.renewals.Load(), h.openAs()
	watched := h.sessions.Watched()
	after := h.openAs()
	least, most := map[auth.SessionID]int{}, map[auth.SessionID]int{}
	for c, now := range after {
		most[now.session]++
		if now.live && before[c] == now {
			least[now.session]++
		}
	}
	for c, was := range before {
		if _, still := after[c]; !still {
			most[was.session]++
		}
	}
	unlike := map[auth.SessionID]string{}
	for id, n := range least {
		if watched[id] < n {
			unlike[id] = fmt.Sprintf("session %s has %d sockets, auth watches for %d", id, n, watched[id])
		}
	}
	if renewals > 0 || h.renewals.Load() > 0 { // a socket that takes another session is watched for under both
		return unlike
	}
	for id, n := range watched {
		if n > most[id] {
			unlike[id] = fmt.Sprintf("auth watches for %d sockets of session %s, which has %d", n, id, most[id])
		}
	}
	return unlike
}

// openAs is under which session auth should know a connection, and whether it must: not while it is being opened or closed.
type openAs struct {
	session auth.SessionID
	live    bool
}

func (h *Hub) openAs() map[*conn]openAs {
	all := map[*conn]openAs{}
	for _, c := range h.connections() {
		c.mu.Lock()
		all[c] = openAs{c.principal.Session, c.unwatch != nil && c.end == nil}
		c.mu.Unlock()
	}
	return all
}

// checkTopic looks for followers that have left: a connection is counted out last of all.
func (h *Hub) checkTopic(t *topic) (faults []string) {
	for _, f := range t.all() {
		h.mu.Lock()
		_, open := h.open[f.c]
		h.mu.Unlock()
		if !open && t.has(f) {
			faults = append(faults, fmt.Sprintf("connection %s is closed and follows %s", f.c.id, t.Name))
		}
	}
	return faults
}

// check looks at the shard's numbers: each is either held or free.
func (s *shard) check() (held int, faults []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, c := range s.conns {
		if c == nil {
			continue
		}
		held++
		if c.index != uint32(i) {
			faults = append(faults, fmt.Sprintf("connection %s has number %d in place %d", c.id, c.index, i))
		}
	}
	if held+len(s.free) != len(s.conns) {
		faults = append(faults, fmt.Sprintf("shard %d: %d numbers, %d held, %d free", s.number, len(s.conns), held, len(s.free)))
	}
	var free bitset
	for _, i := range s.free {
		free.set(i)
	}
	for _, t := range s.hub.tickers.all() {
		if i, shared := free.shared(t.watchers[s.number]); shared {
			faults = append(faults, fmt.Sprintf("%s is watched by number %d, which is free", t.symbol, i))
		}
	}
	return held, faults
}

// check compares a connection with its shard: whoever follows a symbol is marked when it moves.
func (c *conn) check() (faults []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end != nil || c.gone || c.suspended || c.wire == nil {
		return nil
	}
	c.shard.mu.Lock()
	defer c.shard.mu.Unlock()
	if c.shard.conns[c.index] != c {
		return []string{"connection " + c.id + " is open and in no shard"}
	}
	for _, sl := range c.prices.slots {
		if !c.prices.every && !sl.ticker.watchers[c.shard.number].has(c.index) {
			faults = append(faults, fmt.Sprintf("connection %s follows %s and is not marked by it", c.id, sl.ticker.symbol))
		}
		if int(sl.gate) >= len(c.prices.gates) {
			faults = append(faults, fmt.Sprintf("connection %s: %s has no gate", c.id, sl.ticker.symbol))
		}
	}
	if c.prices.every && !c.shard.all.has(c.index) {
		faults = append(faults, "connection "+c.id+" follows everything and is marked by nothing")
	}
	if c.unwatch == nil {
		faults = append(faults, "connection "+c.id+" is not watched for the end of its session")
	}
	return faults
}

// CheckRoutes mounts the self-check, for the metrics listener.
func (h *Hub) CheckRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /debug/check", func(w http.ResponseWriter, r *http.Request) {
		faults, status := h.Check(), http.StatusOK
		if len(faults) > 0 {
			status = http.StatusInternalServerError
		}
		api.WriteJSON(w, status, map[string]any{"open": h.Open(), "faults": orEmpty(faults)})
	})
}
