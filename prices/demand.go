package prices

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// demand is who looks at what, so that a feed with few places gives them to what is on a screen.
type demand struct {
	// fixed before Run; nil: nobody
	onScreen func() []Symbol
	held     func() []Symbol

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

// wantTerm is how long a server's wish counts without being said again.
const wantTerm = 10 * time.Second

// shareDemand tells the other servers what users of this one need, and learns theirs: the leader of a
// feed subscribes for all.
func (s *Service) shareDemand(ctx context.Context) error {
	for {
		if err := s.exchangeDemand(ctx, time.Now()); err != nil && ctx.Err() == nil {
			s.log.Debug("prices: demand was not shared", "err", err)
		}
		if sleep(ctx, time.Second) != nil {
			return nil
		}
	}
}

func (s *Service) exchangeDemand(ctx context.Context, now time.Time) error {
	wishes := map[bool][]redis.Z{}
	for symbol, screen := range s.demand.local() {
		wishes[screen] = append(wishes[screen], redis.Z{Score: float64(now.Add(wantTerm).UnixMilli()), Member: string(symbol)})
	}
	past := strconv.FormatInt(now.UnixMilli(), 10)
	var screen, held *redis.StringSliceCmd
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for key, list := range map[string][]redis.Z{keyScreen: wishes[true], keyHeld: wishes[false]} {
			p.ZRemRangeByScore(ctx, key, "-inf", past)
			if len(list) > 0 {
				p.ZAdd(ctx, key, list...)
			}
		}
		screen, held = p.ZRange(ctx, keyScreen, 0, -1), p.ZRange(ctx, keyHeld, 0, -1)
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
