package auth

import (
	"context"
	"time"
)

// breakSomething breaks one thing; heal repairs it.
func (m *model) breakSomething() {
	if m.broken() {
		return
	}
	long := time.Duration(100+m.rng.IntN(1500)) * time.Millisecond
	m.faulty = time.Now().Add(long)
	switch m.rng.IntN(8) {
	case 0:
		m.say("fault: Redis frozen for %v", long)
		m.redis.Freeze(m.t)
		m.repair = func() { m.redis.Thaw(m.t) }
	case 1:
		m.say("fault: Redis unreachable for %v", long)
		m.wire.Cut()
		m.repair = m.wire.Restore
	case 2:
		m.say("fault: Redis half-open for %v", long)
		m.wire.Stall()
		m.repair = m.wire.Restore
	case 3:
		m.say("fault: connections to Redis reset")
		m.wire.Drop()
	case 4:
		m.say("fault: PostgreSQL unreachable for %v", long)
		m.sql.Cut()
		m.repair = m.sql.Restore
	case 5:
		m.say("fault: events off for %v", long)
		m.redis.Configure(m.t, "notify-keyspace-events", "")
		m.repair = func() { m.redis.Configure(m.t, "notify-keyspace-events", "Kgxe") }
	case 6:
		m.say("fault: Redis killed, back with what it had %v ago", long)
		m.snapshot(long)
	case 7:
		m.say("fault: Redis flushed")
		m.flush()
	}
}

// flush ends everybody's sessions without an event.
func (m *model) flush() {
	at := time.Now()
	if err := m.admin.FlushDB(context.Background()).Err(); err != nil {
		m.t.Fatalf("FLUSHDB: %v", err)
	}
	for _, s := range m.subjects {
		if s.over.IsZero() && !s.isLegacy() {
			s.over = at
		}
	}
}

// snapshot takes Redis back to how it was: what was made since is lost, what was deleted since is there again.
func (m *model) snapshot(long time.Duration) {
	m.admin.Save(context.Background())
	for until := time.Now().Add(min(long, 300*time.Millisecond)); time.Now().Before(until); {
		m.create()
		m.revoke(m.any())
	}
	m.redis.Kill(m.t)
	m.redis.Restart(m.t, true)
	for _, s := range m.subjects {
		m.learn(s)
	}
}

// learn finds out whether a Redis that lost some of its past still has s: it lives then, unless it had ended before, and
// that end was undone. What is durably revoked stays so in either case.
func (m *model) learn(s *subject) {
	if s.acked && time.Since(s.over) < grace() {
		s.refused = time.Now().Add(grace()) // the ledger alone tells of it now, and its news may be on its way
	}
	if s.isLegacy() {
		return
	}
	there, err := m.admin.Exists(context.Background(), sessionKey(s.p.Session)).Result()
	if err != nil || !s.over.IsZero() || s.unsure {
		s.unsure = true
		return
	}
	if there == 0 {
		s.over = time.Now()
	}
}

func (m *model) heal(now bool) {
	if m.repair == nil || !now && time.Now().Before(m.faulty) {
		return
	}
	m.repair()
	m.repair = nil
	m.say("healed")
}

// restart replaces a server; its sockets are gone with it.
func (m *model) restart() {
	if m.broken() {
		return
	}
	m.say("restart of a server")
	i := m.rng.IntN(2)
	m.servers[i].stop()
	m.start(i)
	for _, s := range m.subjects { // which sockets were whose is not kept: none is expected to be told
		s.sockets = map[int]bool{}
	}
}
