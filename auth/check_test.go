package auth

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"rosetree/internal/devstack"
)

// finding is the first one whose What ends so.
func finding(t *testing.T, found []Finding, what string) Finding {
	t.Helper()
	for _, f := range found {
		if strings.HasSuffix(f.What, what) {
			return f
		}
	}
	t.Fatalf("nothing found about %q in %+v", what, found)
	return Finding{}
}

func TestCheckRedis_AllIsWell(t *testing.T) {
	r := devstack.Test(t).Redis(t)
	for _, f := range CheckRedis(t.Context(), r.Client(t)) {
		if f.Status != StatusOK || f.Do != "" {
			t.Errorf("%+v", f)
		}
	}
	if keys := r.Client(t).Keys(t.Context(), "*").Val(); len(keys) != 0 {
		t.Errorf("left behind: %v", keys)
	}
}

func TestCheckRedis_SaysWhatToDo(t *testing.T) {
	for name, c := range map[string]struct {
		settings map[string]string
		what     string
		status   Status
		do       string
	}{
		"no events":        {map[string]string{"notify-keyspace-events": `""`}, "keyspace events", StatusWarning, "CONFIG SET notify-keyspace-events Kgxe"},
		"no expiry events": {map[string]string{"notify-keyspace-events": "Kg"}, "keyspace events", StatusWarning, "CONFIG SET notify-keyspace-events Kgxe"},
		"evicts":           {map[string]string{"maxmemory-policy": "allkeys-lru"}, "eviction", StatusWarning, "noeviction"},
		"nearly full":      {map[string]string{"maxmemory": "1200000"}, "memory", StatusWarning, "raise maxmemory"},
	} {
		t.Run(name, func(t *testing.T) {
			f := finding(t, CheckRedis(t.Context(), devstack.Test(t).StartRedis(t, c.settings).Client(t)), c.what)
			if f.Status != c.status || !strings.Contains(f.Do, c.do) {
				t.Errorf("%+v", f)
			}
		})
	}
}

func TestCheckRedis_NamesTheMissingPermission(t *testing.T) {
	r := devstack.Test(t).Redis(t)
	r.Client(t).Do(t.Context(), "ACL", "SETUSER", "narrow", "on", ">x", "~rt:*", "+@all", "-publish")
	opt := authOptions(r)
	opt.Username, opt.Password = "narrow", "x"
	rdb := redis.NewClient(opt)
	defer rdb.Close()
	found := CheckRedis(t.Context(), rdb)
	if f := finding(t, found, "permissions"); f.Status != StatusFailed || !strings.Contains(f.Detail, "publish") || !strings.Contains(f.Do, "ACL SETUSER") {
		t.Errorf("%+v", f)
	}
	if f := finding(t, found, "keyspace events"); f.Status != StatusWarning || !strings.Contains(f.Detail, "NOPERM") {
		t.Errorf("%+v", f)
	}
}

func TestCheckRedis_ThatIsNotThere(t *testing.T) {
	r := devstack.Test(t).Redis(t)
	rdb := redis.NewClient(authOptions(r))
	defer rdb.Close()
	r.Kill(t)
	if found := CheckRedis(t.Context(), rdb); len(found) != 1 || found[0].Status != StatusFailed {
		t.Errorf("%+v", found)
	}
}

func TestCheckRedis_EveryMasterOfACluster(t *testing.T) {
	found := CheckRedis(t.Context(), openCluster(t, devstack.Test(t).StartCluster(t)))
	heard := 0
	for _, f := range found {
		if f.Status != StatusOK {
			t.Errorf("%+v", f)
		}
		if strings.HasSuffix(f.What, "keyspace events") {
			heard++
		}
	}
	if heard != 3 {
		t.Errorf("events of %d masters were tested", heard)
	}
}

func TestCheckDatabase(t *testing.T) {
	db := openDB(t, devstack.Test(t).Database(t, migrate))
	found := CheckDatabase(t.Context(), db)
	for _, what := range []string{"PostgreSQL", "revocation ledger", "LISTEN/NOTIFY"} {
		if f := finding(t, found, what); f.Status != StatusOK {
			t.Errorf("%+v", f)
		}
	}
	if f := finding(t, found, "SECRET_KEY"); f.Status != StatusWarning || f.Do == "" {
		t.Errorf("%+v", f)
	}
}

func TestEnableEvents_KnowsTheProviderByItsName(t *testing.T) {
	for addr, want := range map[string]string{
		"127.0.0.1:6379": "redis-cli CONFIG SET",
		"x.abc123.ng.0001.euw1.cache.amazonaws.com:6379": "modify-cache-parameter-group",
		"x.upstash.io:6379":  "Upstash",
		"10.1.2.3:6379":      "gcloud redis instances update", // an address says nothing: all are listed
		"redis.internal:637": "notify-keyspace-events to Kgxe",
	} {
		if got := enableEvents(addr); !strings.Contains(got, want) {
			t.Errorf("%s: %s", addr, got)
		}
	}
}
