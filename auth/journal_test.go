package auth

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"rosetree/internal/devstack"
)

func legacyPrincipal(session SessionID) Principal {
	return Principal{User: "00000000-0000-7000-8000-000000000001", Role: RoleUser, Session: session, Via: ViaLegacy,
		IssuedAt: time.Now(), Expires: time.Now().Add(time.Hour)}
}

// A legacy token has no key in Redis whose end would be an event: without PostgreSQL only the journal tells of it.
func TestR18_ALegacyTokenEndsEverywhereWithoutPostgreSQL(t *testing.T) {
	for name, fault := range map[string]func(*twoServers){
		"refused":            func(s *twoServers) { s.database.Cut() },
		"silent":             func(s *twoServers) { s.database.Stall() },
		"and events are off": func(s *twoServers) { s.database.Cut(); s.redis.Configure(t, "notify-keyspace-events", "") },
	} {
		t.Run(name, func(t *testing.T) {
			s := newTwoServers(t, time.Minute)
			gone, stays := legacyPrincipal("gone"), legacyPrincipal("stays")
			s.two.watchAll([]Principal{gone, stays})
			fault(s)
			receipt, at := s.one.revoke(Target{Kind: KindSession, Session: gone.Session})
			if receipt.Durable || receipt.Redis != "ok" {
				t.Errorf("receipt %+v", receipt)
			}
			s.two.closed(gone.Session, at, bar)
			if n := s.two.count(); n != 1 {
				t.Errorf("%d sessions were closed, one was revoked", n)
			}
			s.one.admin.FlushDB(t.Context())
			s.one.within(10*time.Second, "a Redis that lost it to be told again", func() bool {
				return s.one.admin.Exists(t.Context(), journalKey).Val() == 1
			})
			s.database.Restore()
		})
	}
}

// What was acknowledged while PostgreSQL was away outlives the server that acknowledged it, and stands in PostgreSQL once.
func TestR18_WhatWasAcknowledgedOutlivesItsServer(t *testing.T) {
	env := devstack.Test(t)
	r, d := env.Redis(t), env.Database(t, migrate)
	dsn, link := through(t, d.URL)
	var gone revokeEnv
	t.Run("the first server", func(t *testing.T) { // ends with all that it remembers
		db, err := OpenDB(t.Context(), DBConfig{URL: Secret(dsn), AcquireWait: 300 * time.Millisecond, QueryTimeout: time.Second}, prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(db.Close)
		rdb := redis.NewClient(authOptions(r))
		t.Cleanup(func() { rdb.Close() })
		gone = *joinRevokeEnv(t, rdb, r.Client(t), db, "one")
		link.Cut()
		gone.revoke(Target{Kind: KindSession, Session: "legacy"})
		gone.revoke(Target{Kind: KindUser, User: "00000000-0000-7000-8000-000000000002"})
	})
	two := newRevokeEnv(t, r, d, "two") // which reaches PostgreSQL
	if _, denied := two.rv.denied.check(legacyPrincipal("legacy")); !denied {
		t.Error("a server let somebody in before it knew what had been revoked")
	}
	three := newRevokeEnv(t, r, d, "three")
	two.within(10*time.Second, "PostgreSQL to have it", func() bool { return rowsAbout(t, two.db, "legacy") > 0 })
	two.within(10*time.Second, "Redis to let go of it", func() bool { return two.admin.Exists(t.Context(), journalKey).Val() == 0 })
	for _, subject := range []SessionID{"legacy", "00000000-0000-7000-8000-000000000002"} {
		if n := rowsAbout(t, two.db, subject); n != 1 {
			t.Errorf("%d rows about %s", n, subject)
		}
	}
	three.within(10*time.Second, "the third server to know", func() bool { _, no := three.rv.denied.check(legacyPrincipal("legacy")); return no })
	if line := lineAbout(t, two.db, "legacy"); line.Actor != string(admin.User) || line.IP != admin.IP || line.Detail["took_effect"] == nil {
		t.Errorf("audit line %+v", line)
	}
}

func lineAbout(t *testing.T, db *DB, subject string) AuditEntry {
	t.Helper()
	lines, err := (&Auth{rows: db.Service(ServiceAuth)}).auditLog(t.Context(), AuditFilter{Subject: subject})
	if err != nil || len(lines) != 1 {
		t.Fatalf("%d lines of audit about %s: %v", len(lines), subject, err)
	}
	return lines[0]
}

// Whoever can write to Redis can end sessions there, but not make it a revocation that lasts.
func TestJournal_AForgedEntryDoesNotCount(t *testing.T) {
	env := devstack.Test(t)
	e := newRevokeEnv(t, env.Redis(t), env.Database(t, migrate), "one")
	if err := e.rv.journal.add(t.Context(), &revocation{Kind: KindSession, Subject: "signed", At: time.Now(), Until: time.Now().Add(time.Hour), Reason: "x", Actor: "test"}); err != nil {
		t.Fatal(err)
	}
	texts := e.admin.ZRange(t.Context(), journalKey, 0, -1).Val()
	forged := strings.Replace(strings.Join(texts, ""), `"signed"`, `"forged"`, 1)
	e.admin.ZAdd(t.Context(), journalKey, redis.Z{Member: forged})
	e.within(10*time.Second, "the signed one to reach PostgreSQL", func() bool { return rowsAbout(t, e.db, "signed") == 1 })
	e.within(10*time.Second, "the forged one to have been looked at", func() bool {
		e.rv.journal.mu.Lock()
		defer e.rv.journal.mu.Unlock()
		return e.rv.journal.known[forged] != nil
	})
	if _, denied := e.rv.denied.check(legacyPrincipal("forged")); denied || rowsAbout(t, e.db, "forged") != 0 {
		t.Error("a forged entry revoked somebody")
	}
}
