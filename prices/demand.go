package prices

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// demand is who looks at what, so that a feed with few places gives them to what is on a screen.
type demand struct {
	// fixed before Run; nil: nobody
	onScreen func() []Symbol
	held     func() []Symbol

	asked atomic.Bool // since the others' wishes were read

	mu     sync.Mutex
	remote map[Symbol]bool // what users of all servers look at; true: on a screen
}

// FollowDemand says whom to ask what users of this server need live prices of: what is on their
// screens, and what portfolios in memory hold. Call it before Run.
func (s *Service) FollowDemand(onScreen, held func() []Symbol) {
	s.demand.onScreen, s.demand.held = onScreen, held
}

// local is what users of this server need; true: on a screen.
func (d *demand) local() map[Symbol]bool {
	all := map[Symbol]bool{}
	if d.held != nil {
		for _, s := range d.held() {
			all[s] = false
		}
	}
	if d.onScreen != nil {
		for _, s := range d.onScreen() {
			all[s] = true
		}
	}
	return all
}

// setRemote replaces what users of all servers need.
func (d *demand) setRemote(all map[Symbol]bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.remote = all
}

// wanted are at most budget symbols that covers accepts, what is on a screen first.
func (d *demand) wanted(budget int, covers func(Symbol) bool) []Symbol {
	d.asked.Store(true)
	all := d.local()
	d.mu.Lock()
	for s, screen := range d.remote {
		all[s] = all[s] || screen
	}
	d.mu.Unlock()
	var list []Symbol
	for s := range all {
		if covers(s) {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b Symbol) int {
		if all[a] != all[b] {
			if all[a] {
				return -1
			}
			return 1
		}
		return strings.Compare(string(a), string(b))
	})
	return list[:min(budget, len(list))]
}

const (
	wantTerm  = 10 * time.Second // how long a server's wish counts without being said again
	wantAgain = 3 * time.Second
)

// shareDemand tells the other servers what users of this one need. The leader of a feed subscribes for all: where a feed
// asks, it also learns what the others need.
func (s *Service) shareDemand(ctx context.Context) error {
	var said map[Symbol]bool
	var again time.Time
	for {
		now, wishes := time.Now(), s.demand.local()
		var err error
		if len(wishes) > 0 && (now.After(again) || !maps.Equal(wishes, said)) {
			if err = s.tellDemand(ctx, wishes, now); err == nil {
				said, again = wishes, now.Add(wantAgain)
			}
		}
		if err == nil && s.demand.asked.Swap(false) {
			err = s.readDemand(ctx, now)
		}
		if err != nil && ctx.Err() == nil {
			s.log.Debug("prices: demand was not shared", "err", err)
		}
		if sleep(ctx, time.Second) != nil {
			return nil
		}
	}
}

func (s *Service) tellDemand(ctx context.Context, wishes map[Symbol]bool, now time.Time) error {
	lists := map[string][]redis.Z{}
	for symbol, screen := range wishes {
		key := keyHeld
		if screen {
			key = keyScreen
		}
		lists[key] = append(lists[key], redis.Z{Score: float64(now.Add(wantTerm).UnixMilli()), Member: string(symbol)})
	}
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for key, list := range lists {
			p.ZAdd(ctx, key, list...)
			p.ZRemRangeByScore(ctx, key, "-inf", strconv.FormatInt(now.UnixMilli(), 10))
			p.PExpire(ctx, key, wantTerm)
		}
		return nil
	})
	return err
}

func (s *Service) readDemand(ctx context.Context, now time.Time) error {
	counts := &redis.ZRangeBy{Min: strconv.FormatInt(now.UnixMilli(), 10), Max: "+inf"}
	var screen, held *redis.StringSliceCmd
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		screen, held = p.ZRangeByScore(ctx, keyScreen, counts), p.ZRangeByScore(ctx, keyHeld, counts)
		return nil
	})
	if err != nil {
		return err
	}
	all := map[Symbol]bool{}
	for _, symbol := range held.Val() {
		all[Symbol(symbol)] = false
	}
	for _, symbol := range screen.Val() {
		all[Symbol(symbol)] = true
	}
	s.demand.setRemote(all)
	return nil
}
