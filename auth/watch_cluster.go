package auth

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	clusterSlots  = 16384
	topologyEvery = time.Second
	moveLimit     = 5 * time.Second        // how long a session is heard at its old master while the new one does not answer
	eventMoved    = "moved"                // asks for a read after a session's subscription has moved; Redis sends no such event
	movedPause    = 500 * time.Millisecond // until the next read where that one failed
)

// cluster places each session on the master that holds its slot. Events stay on the server where they happen, so every
// master has a node of its own. When slots move, a session is subscribed at its new master first and dropped at the
// old one then: an event that is heard twice is only read twice.
type cluster struct {
	// fixed after newCluster
	w      *watcher
	client *redis.ClusterClient
	kicked chan struct{}
	lost   *node // holds what no master answers for: it has no connection and always polls

	mu      sync.Mutex
	owners  [clusterSlots]*node // guarded by mu
	members map[string]*member  // guarded by mu: by address
	begun   context.Context     // guarded by mu: run's
	running *sync.WaitGroup     // guarded by mu: run's
}

type member struct {
	node *node
	end  context.CancelFunc
}

var errNoMaster = errors.New("no master answers for these slots")

func newCluster(w *watcher, client *redis.ClusterClient) *cluster {
	c := &cluster{w: w, client: client, kicked: make(chan struct{}, 1), members: map[string]*member{}}
	w.prefix = keyspacePrefix(0)
	c.lost = newNode(w, "none", func() string { return canaryPrefix },
		func(context.Context, string) (*redis.Client, error) { return nil, errNoMaster })
	c.lost.spare = true
	for slot := range c.owners {
		c.owners[slot] = c.lost
	}
	return c
}

func (c *cluster) nodeFor(tag string) *node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.owners[slotOf(tag)]
}

func (c *cluster) all() []*node {
	var nodes []*node
	if len(c.lost.all()) > 0 {
		nodes = append(nodes, c.lost)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.members {
		nodes = append(nodes, m.node)
	}
	return nodes
}

// kick has the topology looked at now: somebody has reason to think that it changed.
func (c *cluster) kick() {
	select {
	case c.kicked <- struct{}{}:
	default:
	}
}

func (c *cluster) run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	c.mu.Lock()
	c.begun, c.running = ctx, &wg
	c.mu.Unlock()
	wg.Go(func() { c.lost.run(ctx) })
	tick := time.NewTicker(topologyEvery)
	defer tick.Stop()
	for {
		if owners, err := c.topology(ctx); err == nil {
			c.adopt(owners)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		case <-c.kicked:
			pause(ctx, 50*time.Millisecond) // a fail-over makes many of them
		}
	}
}

// topology asks who holds which slot.
func (c *cluster) topology(ctx context.Context) (owners [clusterSlots]string, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	//lint:ignore SA1019 CLUSTER SHARDS is one of Redis 7 and has no answer on compatible servers; SLOTS is what clients route by
	ranges, err := c.client.ClusterSlots(ctx).Result()
	if err != nil {
		return owners, fmt.Errorf("auth: cluster slots: %w", err)
	}
	for _, r := range ranges {
		for slot := max(r.Start, 0); slot <= min(r.End, clusterSlots-1) && len(r.Nodes) > 0; slot++ {
			owners[slot] = r.Nodes[0].Addr
		}
	}
	return owners, nil
}

// adopt makes owners true: nodes for new masters, sessions moved, nodes of former masters ended.
func (c *cluster) adopt(owners [clusterSlots]string) {
	c.mu.Lock()
	changed := false
	serving := map[string]bool{}
	for slot, addr := range owners {
		n := c.lost
		if addr != "" {
			serving[addr] = true
			n = c.member(addr)
		}
		if c.owners[slot] != n {
			c.owners[slot], changed = n, true
		}
	}
	if !changed {
		c.mu.Unlock()
		return
	}
	former := c.retire(serving)
	c.mu.Unlock()
	c.client.ReloadState(c.begun)
	moved := c.move()
	c.running.Go(func() {
		moved.Wait()
		for _, m := range former {
			m.end()
		}
	})
	for _, n := range c.all() {
		n.canaryMoved()
	}
}

// member is the node at addr, started where it is new. The caller holds mu.
func (c *cluster) member(addr string) *node {
	if m := c.members[addr]; m != nil {
		return m.node
	}
	n := newNode(c.w, addr, nil, func(ctx context.Context, canary string) (*redis.Client, error) {
		return c.client.MasterForKey(ctx, canary)
	})
	n.canary = func() string { return c.canaryOf(n) }
	n.lostTouch = c.kick
	ctx, cancel := context.WithCancel(c.begun)
	c.members[addr] = &member{n, cancel}
	c.running.Go(func() { n.run(ctx) })
	return n
}

// retire takes out the members that serve nothing any more. The caller holds mu.
func (c *cluster) retire(serving map[string]bool) (former []*member) {
	for addr, m := range c.members {
		if !serving[addr] {
			former = append(former, m)
			delete(c.members, addr)
		}
	}
	return former
}

// move gives every session the node that now holds it. The group is done when no session needs its old one.
func (c *cluster) move() *sync.WaitGroup {
	var moved sync.WaitGroup
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	for _, s := range c.w.sessions {
		if s.node == nil {
			continue
		}
		from, to := s.node, c.nodeFor(utagOf(s.id))
		if from == to {
			continue
		}
		s.node = to
		acknowledged := to.add(s)
		moved.Go(func() {
			select {
			case <-acknowledged:
			case <-time.After(moveLimit):
			}
			c.w.reads.look(s.id, eventMoved) // whatever happened between the two subscriptions is visible now
			c.leave(s, from)
		})
	}
	return &moved
}

// leave drops s at its old node, unless it has come back there meanwhile.
func (c *cluster) leave(s *watched, from *node) {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	if s.node != from {
		from.remove(s)
	}
}

// canaryOf names a canary in a slot of n: its hash tag is a number that hashes there.
func (c *cluster) canaryOf(n *node) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range 64 * clusterSlots {
		if tag := strconv.Itoa(i); c.owners[slotOf(tag)] == n {
			return canaryPrefix + "{" + tag + "}"
		}
	}
	return canaryPrefix // n holds nothing any more; its canary gets lost, and it polls until it ends
}

// slotOf is the cluster slot of a key's hash tag: CRC-16 (XMODEM) modulo 16384, as the cluster specification says.
func slotOf(tag string) int {
	crc := uint16(0)
	for _, b := range []byte(tag) {
		crc ^= uint16(b) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return int(crc) % clusterSlots
}
