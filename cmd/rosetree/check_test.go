package main

import (
	"crypto/rand"
	"net/url"
	"strings"
	"testing"

	"rosetree/auth"
	"rosetree/internal/devstack"
)

// setup is what a check is pointed at: all well, until a case breaks one thing of it.
type setup struct {
	t     *testing.T
	env   *devstack.Env
	db    devstack.DB
	redis *devstack.Redis

	database, redisURL string
	extra              []string
}

func (s *setup) withPassword(text, password string) string {
	u, err := url.Parse(text)
	if err != nil {
		s.t.Fatal(err)
	}
	u.User = url.UserPassword(u.User.Username(), password)
	return u.String()
}

// breaks are the ways in which a set-up is wrong; each names what is found and what cures it.
var breaks = []struct {
	name   string
	breaks func(s *setup)
	what   string // begins the finding
	detail string // is in what was found
	do     string // is in the cure
}{
	{"a misspelt share", func(s *setup) { s.extra = append(s.extra, "NEW_AUTH_PERCENTAGE=120") }, "settings", "NEW_AUTH_PERCENTAGE", "rosetree config"},
	{"a wrong password of the database", func(s *setup) { s.database = s.withPassword(s.database, "wrong") }, "PostgreSQL", "password", "DATABASE_URL"},
	{"a database that nobody migrated", func(s *setup) { s.database = s.env.Empty(s.t).URL }, "PostgreSQL", "is not migrated", "rosetree migrate up"},
	{"the owner as the runtime login", func(s *setup) { s.database = s.db.OwnerURL }, "PostgreSQL", "rosetree_owner", "DATABASE_URL"},
	{"another SECRET_KEY than migrate had", func(s *setup) { s.extra = append(s.extra, "SECRET_KEY="+strings.Repeat("5ec4e7", 11)) }, "PostgreSQL", "does not know the key", "rosetree migrate up"},
	{"a Redis that is not there", func(s *setup) { s.redis.Kill(s.t) }, "Redis", "refused", "REDIS_URL"},
	{"a wrong password of Redis", func(s *setup) { s.redisURL = s.withPassword(s.redisURL, "wrong"+rand.Text()) }, "Redis", "WRONGPASS", "REDIS_URL"},
	{"a Redis without events", func(s *setup) { s.redis.Configure(s.t, "notify-keyspace-events", "") }, "Redis", "event", "CONFIG SET notify-keyspace-events Kgxe"},
	{"a Redis that evicts", func(s *setup) { s.redis.Configure(s.t, "maxmemory-policy", "allkeys-lru") }, "Redis", "allkeys-lru", "noeviction"},
	{"a Redis that is nearly full", func(s *setup) { s.redis.Configure(s.t, "maxmemory", "1200000") }, "Redis", "maxmemory", "raise maxmemory"},
	{"a replica instead of the master", func(s *setup) {
		master := s.env.Redis(s.t)
		host, port, _ := strings.Cut(master.Addr, ":")
		if err := s.redis.Client(s.t).Do(s.t.Context(), "REPLICAOF", host, port).Err(); err != nil {
			s.t.Fatal(err)
		}
	}, "Redis", "slave", "master"},
	{"a Redis login that may too little", func(s *setup) {
		if err := s.redis.Client(s.t).Do(s.t.Context(), "ACL", "SETUSER", "narrow", "on", ">narrow-password", "~rt:*", "&*", "+@all", "-publish").Err(); err != nil {
			s.t.Fatal(err)
		}
		s.redisURL = "redis://narrow:narrow-password@" + s.redis.Addr
	}, "Redis", "publish", "ACL SETUSER"},
}

func TestCheckNamesEachFaultOfABrokenSetUpAndItsCure(t *testing.T) {
	for _, c := range breaks {
		t.Run(c.name, func(t *testing.T) {
			env := devstack.Test(t)
			s := &setup{t: t, env: env, db: env.Database(t, migrate), redis: env.Redis(t)}
			s.database, s.redisURL = s.db.URL, s.redis.URL
			if bad := findings(s); len(bad) != 0 {
				t.Fatalf("before it was broken: %+v", bad)
			}
			c.breaks(s)
			bad := findings(s)
			for _, f := range bad {
				if strings.HasPrefix(f.What, c.what) && strings.Contains(f.Detail, c.detail) && strings.Contains(f.Do, c.do) {
					t.Logf("%s %s: %s -> %s", f.Status, f.What, f.Detail, f.Do)
					return
				}
			}
			t.Errorf("want %q: …%s… -> …%s…, got %+v", c.what, c.detail, c.do, bad)
		})
	}
}

// findings is what is not well, but for the one that every test's set-up has: keys derived from the password.
func findings(s *setup) (bad []auth.Finding) {
	for _, f := range check(s.t.Context(), append([]string{"DATABASE_URL=" + s.database, "REDIS_URL=" + s.redisURL}, s.extra...)) {
		if f.Status != auth.StatusOK && f.What != "SECRET_KEY" {
			bad = append(bad, f)
		}
	}
	return bad
}
