package auth

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
)

// Finding is one line of `rosetree check`: what was looked at, how it is, and what to do about it.
type Finding struct {
	What   string `json:"what"`
	Status Status `json:"status"`
	Detail string `json:"detail"`       // what was found
	Do     string `json:"do,omitempty"` // what to do, where something is to be done
}

// Status is how a thing is.
type Status string

const (
	StatusOK      Status = "ok"
	StatusWarning Status = "warning" // it works, with less than is promised
	StatusFailed  Status = "failed"
)

func fine(what, detail string, args ...any) Finding {
	return Finding{What: what, Status: StatusOK, Detail: fmt.Sprintf(detail, args...)}
}

func failed(what string, err error, do string) Finding {
	return Finding{What: what, Status: StatusFailed, Detail: err.Error(), Do: do}
}

func warning(what, detail, do string) Finding {
	return Finding{What: what, Status: StatusWarning, Detail: detail, Do: do}
}

const (
	checkTimeout = 2 * time.Second
	minRedis     = 7 // PEXPIRE … GT
	minPostgres  = 150000
	clockLimit   = time.Second
	fullMemory   = 0.7
)

// CheckDatabase looks at what this package needs of PostgreSQL. OpenDB has refused a wrong login before.
func CheckDatabase(ctx context.Context, db *DB) []Finding {
	found := []Finding{checkPostgres(ctx, db), checkLedger(ctx, db), checkListen(ctx, db)}
	if !db.config.Secret.IsSet() {
		found = append(found, warning("SECRET_KEY", "not set: keys are derived from the password in DATABASE_URL, and change with it",
			"set SECRET_KEY to 32 random bytes, the same on every server: openssl rand -hex 32"))
	}
	return found
}

func checkPostgres(ctx context.Context, db *DB) Finding {
	var version int
	var clock time.Time
	var b pgx.Batch
	b.Queue(`SELECT current_setting('server_version_num')::int, clock_timestamp()`).QueryRow(func(row pgx.Row) error { return row.Scan(&version, &clock) })
	began := time.Now()
	if err := db.Service(ServiceAuth).Do(ctx, &b); err != nil {
		return failed("PostgreSQL", err, "check DATABASE_URL")
	}
	skew := clock.Sub(began.Add(time.Since(began) / 2))
	switch {
	case version < minPostgres:
		return failed("PostgreSQL", fmt.Errorf("version %d", version/10000), "use PostgreSQL 15 or newer")
	case skew.Abs() > clockLimit:
		return warning("PostgreSQL", fmt.Sprintf("its clock is %v off ours", skew.Round(time.Millisecond)), "run a time service (chrony, systemd-timesyncd) on both machines")
	}
	return fine("PostgreSQL", "version %d, answers in %v, clock %v off", version/10000, time.Since(began).Round(100*time.Microsecond), skew.Round(time.Millisecond))
}

func checkLedger(ctx context.Context, db *DB) Finding {
	var rows int
	var b pgx.Batch
	b.Queue(`SELECT count(*) FROM app.revocations WHERE until > clock_timestamp()`).QueryRow(func(row pgx.Row) error { return row.Scan(&rows) })
	if err := db.Service(ServiceAuth).Do(ctx, &b); err != nil {
		return failed("revocation ledger", err, "run 'rosetree migrate up'")
	}
	return fine("revocation ledger", "%d revocations count", rows)
}

// checkListen waits until LISTEN holds: a pooler in transaction mode, or a firewall, may not carry it.
func checkListen(ctx context.Context, db *DB) Finding {
	const what, do = "LISTEN/NOTIFY", "give the server a DATABASE_URL past the pooler (session mode); until then it reads the ledger four times a second"
	if db.pooler {
		return warning(what, "DATABASE_URL leads to a pooler that gives connections away after each transaction", do)
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	holds := false
	err := db.Listen(ctx, newsChannel, func(string) { holds = true; cancel() })
	if !holds {
		return warning(what, err.Error(), do)
	}
	return fine(what, "holds")
}

// CheckRedis looks at every master that rdb leads to: whether it may be used, whether events arrive, whether it can lose sessions.
func CheckRedis(ctx context.Context, rdb redis.UniversalClient) []Finding {
	cluster, ok := rdb.(*redis.ClusterClient)
	if !ok {
		return checkMaster(ctx, rdb.(*redis.Client), canaryPrefix+"check:"+randomText(6), rdb.(*redis.Client).Options().DB)
	}
	//lint:ignore SA1019 CLUSTER SHARDS is one of Redis 7 and has no answer on compatible servers; SLOTS is what clients route by
	ranges, err := cluster.ClusterSlots(ctx).Result()
	if err != nil {
		return []Finding{failed("Redis cluster", err, "check REDIS_URL; the login needs CLUSTER SLOTS")}
	}
	var found []Finding
	for _, r := range ranges {
		key := canaryPrefix + "{" + tagIn(r.Start, r.End) + "}check:" + randomText(6)
		client, err := cluster.MasterForKey(ctx, key)
		if err != nil {
			found = append(found, failed(fmt.Sprintf("Redis slots %d-%d", r.Start, r.End), err, "bring the master of these slots back"))
			continue
		}
		found = append(found, checkMaster(ctx, client, key, 0)...)
	}
	return found
}

// tagIn is a hash tag whose slot lies between two.
func tagIn(from, to int) string {
	for i := 0; ; i++ {
		if tag := strconv.Itoa(i); slotOf(tag) >= from && slotOf(tag) <= to {
			return tag
		}
	}
}

func checkMaster(ctx context.Context, client *redis.Client, key string, db int) []Finding {
	ctx, cancel := context.WithTimeout(ctx, 5*checkTimeout)
	defer cancel()
	name := "Redis " + client.Options().Addr
	began := time.Now()
	if err := client.Ping(ctx).Err(); err != nil {
		return []Finding{failed(name, err, "check REDIS_URL: address, TLS, user and password")}
	}
	rtt := time.Since(began)
	info := readInfo(ctx, client)
	found := []Finding{checkVersion(name, info, rtt)}
	found = append(found, checkPermissions(ctx, client, name, key, db))
	found = append(found, checkEvents(ctx, client, name, key, keyspacePrefix(db)))
	found = append(found, checkMemory(name, info)...)
	return append(found, checkClock(ctx, client, name))
}

// readInfo is INFO as name and value; empty where INFO is not allowed.
func readInfo(ctx context.Context, client *redis.Client) map[string]string {
	text, _ := client.Info(ctx, "everything").Result()
	info := map[string]string{}
	for line := range strings.SplitSeq(text, "\r\n") {
		if name, value, ok := strings.Cut(line, ":"); ok {
			info[name] = value
		}
	}
	return info
}

func checkVersion(name string, info map[string]string, rtt time.Duration) Finding {
	version := info["redis_version"]
	if version == "" {
		return warning(name, "INFO is not allowed, so version and memory cannot be checked", "allow +info for the login")
	}
	major, _, _ := strings.Cut(version, ".")
	if n, err := strconv.Atoi(major); err != nil || n < minRedis {
		return failed(name, fmt.Errorf("version %s", version), "use Redis 7.0 or newer, or Valkey")
	}
	if role := info["role"]; role != "" && role != "master" {
		return failed(name, fmt.Errorf("it is a %s", role), "point REDIS_URL at the master, or at the sentinels")
	}
	return fine(name, "version %s, answers in %v", version, rtt.Round(100*time.Microsecond))
}

// checkPermissions does what the server does, on keys of its own.
func checkPermissions(ctx context.Context, client *redis.Client, name, key string, db int) Finding {
	what := name + " permissions"
	pipe := client.Pipeline()
	pipe.HSet(ctx, key+":h", "a", 1)
	pipe.HMGet(ctx, key+":h", "a")
	pipe.PExpire(ctx, key+":h", time.Second)
	pipe.PTTL(ctx, key+":h")
	pipe.ZAdd(ctx, key+":z", redis.Z{Score: 1, Member: "a"})
	pipe.Eval(ctx, `return redis.call('DEL', KEYS[1])`, []string{key + ":z"})
	pipe.Publish(ctx, keyspacePrefix(db)+sessionPrefix+"check", "check")
	pipe.Scan(ctx, 0, sessionPrefix+"*", 1)
	pipe.Del(ctx, key+":h")
	cmds, err := pipe.Exec(ctx)
	for _, cmd := range cmds {
		if redis.HasErrorPrefix(cmd.Err(), "NOPERM") {
			return failed(what, fmt.Errorf("%s: %w", cmd.Name(), cmd.Err()),
				"give the login what it needs and no more: ACL SETUSER rosetree on >PASSWORD "+strings.Join(narrowACL(db), " "))
		}
	}
	if err != nil {
		return failed(what, err, "Redis answers PING and refuses work: see its log")
	}
	return fine(what, "all that the server does is allowed")
}

// checkEvents tests the effect and not the setting, which managed services hide.
func checkEvents(ctx context.Context, client *redis.Client, name, key, prefix string) Finding {
	what := name + " keyspace events"
	deleted, err := hears(ctx, client, prefix, key, "del", func(pipe redis.Pipeliner) {
		pipe.Set(ctx, key, 1, time.Second)
		pipe.Del(ctx, key)
	})
	if err != nil {
		return warning(what, err.Error(), "allow SUBSCRIBE and the channels &"+prefix+"rt:* for the login. "+withoutEvents)
	}
	if !deleted {
		return warning(what, "the deletion of a key makes no event", enableEvents(client.Options().Addr)+"\n"+withoutEvents)
	}
	expired, err := hears(ctx, client, prefix, key, "expired", func(pipe redis.Pipeliner) {
		pipe.Set(ctx, key, 1, time.Millisecond)
		time.AfterFunc(20*time.Millisecond, func() { client.Exists(ctx, key) }) // whoever looks at a dead key makes it expire
	})
	if err == nil && !expired {
		return warning(what, "expiry makes no event (x is missing)", enableEvents(client.Options().Addr))
	}
	return fine(what, "heard")
}

const withoutEvents = "Without events the server polls: a session deleted by hand closes within half a second, and revocations through Rosetree at once."

// hears does something to key and says whether the event came within a second.
func hears(ctx context.Context, client *redis.Client, prefix, key, event string, do func(redis.Pipeliner)) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	ps := client.Subscribe(ctx, prefix+key)
	defer ps.Close()
	if _, err := ps.ReceiveTimeout(ctx, time.Second); err != nil {
		return false, err
	}
	pipe := client.Pipeline()
	do(pipe)
	if _, err := pipe.Exec(ctx); err != nil {
		return false, err
	}
	for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); {
		msg, err := ps.ReceiveTimeout(ctx, time.Until(deadline))
		if err != nil {
			return false, nil // silence is the answer
		}
		if m, ok := msg.(*redis.Message); ok && m.Payload == event {
			return true, nil
		}
	}
	return false, nil
}

// checkMemory: a Redis that evicts throws sessions out, because sessions are the keys that have a time to live.
func checkMemory(name string, info map[string]string) (found []Finding) {
	if policy := info["maxmemory_policy"]; policy != "" && policy != "noeviction" {
		found = append(found, warning(name+" eviction", "maxmemory-policy is "+policy+": when memory is full, people are signed out",
			"set maxmemory-policy noeviction, and keep caches in another Redis"))
	}
	used, _ := strconv.ParseFloat(info["used_memory"], 64)
	limit, _ := strconv.ParseFloat(info["maxmemory"], 64)
	if limit > 0 && used > fullMemory*limit {
		found = append(found, warning(name+" memory", fmt.Sprintf("%.0f%% of maxmemory is used", 100*used/limit), "raise maxmemory: full, it takes no new sessions"))
	}
	if evicted := info["evicted_keys"]; evicted != "" && evicted != "0" {
		found = append(found, warning(name+" eviction", evicted+" keys were evicted since it started", "raise maxmemory, and keep caches in another Redis"))
	}
	return found
}

func checkClock(ctx context.Context, client *redis.Client, name string) Finding {
	began := time.Now()
	clock, err := client.Time(ctx).Result()
	if err != nil {
		return warning(name+" clock", err.Error(), "allow +time for the login")
	}
	skew := clock.Sub(began.Add(time.Since(began) / 2))
	if skew.Abs() > clockLimit {
		return warning(name+" clock", fmt.Sprintf("%v off ours: sessions end so much early or late", skew.Round(time.Millisecond)),
			"run a time service (chrony, systemd-timesyncd) on both machines")
	}
	return fine(name+" clock", "%v off ours", skew.Round(time.Millisecond))
}
