package auth

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

var (
	//go:embed scripts/end.lua
	endLua string
	//go:embed scripts/end_user.lua
	endUserLua string
	//go:embed scripts/role.lua
	roleLua string

	endScript     = redis.NewScript(endLua)
	endUserScript = redis.NewScript(endUserLua)
	roleScript    = redis.NewScript(roleLua)
)

// errNotLoaded: this server does not know yet what was revoked before it started.
var errNotLoaded = errors.New("auth: the ledger of revocations has not been read yet")

const (
	scanLimit   = 5 * time.Second // a revocation of everybody's sessions waits so long for Redis
	endAtOnce   = 50              // sessions in one script, which prices that pass through Redis wait for
	replayBatch = 250
	replayLimit = 10 * time.Second
)

// inRedis deletes the sessions that r is about and says how many there were.
func (rv *revoker) inRedis(ctx context.Context, r *revocation) (deleted int, err error) {
	ctx = context.WithoutCancel(ctx) // a client that goes away does not take its revocation with it
	switch {
	case r.Kind == KindSession && isSessionID(r.Subject):
		err = rv.breaker(utagOf(SessionID(r.Subject))).try(ctx, func(ctx context.Context) error {
			deleted, err = endScript.Run(ctx, rv.rdb, endKeys(r), endArgs(r)...).Int()
			return err
		})
	case r.Kind == KindUser || r.Kind == KindBefore:
		for _, tag := range rv.tags(UserID(r.Subject)) {
			n, tagErr := rv.endUser(ctx, r, tag)
			deleted, err = deleted+n, errors.Join(err, tagErr)
		}
	case r.Kind == KindAll:
		ctx, cancel := context.WithTimeout(ctx, scanLimit)
		defer cancel()
		deleted, err = rv.deleteIssuedUntil(ctx, r.NotBefore)
	}
	return deleted, err // a legacy token has no key in Redis: the ledger is all there is
}

// endUser ends in parts what a user holds. The first raises the epoch, after which none of them is believed.
func (rv *revoker) endUser(ctx context.Context, r *revocation, tag string) (deleted int, err error) {
	raise := r.Kind == KindUser
	for left := true; left && err == nil; raise = false {
		err = rv.breaker(tag).try(ctx, func(ctx context.Context) error {
			keys, args := endUser(r, tag, raise, endAtOnce)
			counts, err := endUserScript.Run(ctx, rv.rdb, keys, args...).Int64Slice()
			if err == nil {
				deleted, left = deleted+int(counts[0]), counts[1] == 1
			}
			return err
		})
	}
	return deleted, err
}

func endKeys(r *revocation) []string {
	id := SessionID(r.Subject)
	return []string{sessionKey(id), endingKey(id), indexKey(utagOf(id))}
}

func endArgs(r *revocation) []any {
	return []any{string(r.end().Reason), actorName(r.Actor), r.At.UnixMilli(), r.Subject[utagLen:], r.end().Said}
}

func endUser(r *revocation, tag string, raise bool, most int) (keys []string, args []any) {
	keep, epoch := "", "0"
	if isSessionID(string(r.Keep)) {
		keep = string(r.Keep[utagLen:])
	}
	if raise {
		epoch = "1"
	}
	return []string{indexKey(tag), epochKey(tag)}, []any{sessionPrefix + "{" + tag + "}", endingPrefix + "{" + tag + "}",
		r.NotBefore.UnixMilli(), keep, string(r.end().Reason), actorName(r.Actor), r.At.UnixMilli(), epoch, r.end().Said, most}
}

// deleteIssuedUntil deletes everybody's sessions that were issued until a moment.
func (rv *revoker) deleteIssuedUntil(ctx context.Context, moment time.Time) (deleted int, err error) {
	cluster, many := rv.rdb.(*redis.ClusterClient)
	if !many {
		return deleteOn(ctx, rv.rdb.(*redis.Client), moment)
	}
	counts := make(chan int, 1000)
	err = cluster.ForEachMaster(ctx, func(ctx context.Context, master *redis.Client) error {
		n, err := deleteOn(ctx, master, moment)
		counts <- n
		return err
	})
	close(counts)
	for n := range counts {
		deleted += n
	}
	return deleted, err
}

func deleteOn(ctx context.Context, client *redis.Client, moment time.Time) (deleted int, err error) {
	var cursor uint64
	for {
		keys, next, err := client.Scan(ctx, cursor, sessionPrefix+"*", 1000).Result()
		if err != nil {
			return deleted, fmt.Errorf("auth: scan sessions: %w", err)
		}
		n, err := deleteOld(ctx, client, keys, moment)
		if deleted += n; err != nil {
			return deleted, err
		}
		if cursor = next; cursor == 0 {
			return deleted, nil
		}
	}
}

func deleteOld(ctx context.Context, client *redis.Client, keys []string, moment time.Time) (int, error) {
	if len(keys) == 0 {
		return 0, nil
	}
	pipe := client.Pipeline()
	issued := make([]*redis.StringCmd, len(keys))
	for i, key := range keys {
		issued[i] = pipe.HGet(ctx, key, "iat")
	}
	_, _ = pipe.Exec(ctx) // each command carries its own error
	pipe = client.Pipeline()
	for i, cmd := range issued {
		if err := cmd.Err(); err != nil && !errors.Is(err, redis.Nil) && !redis.HasErrorPrefix(err, "WRONGTYPE") {
			return 0, fmt.Errorf("auth: read sessions: %w", err)
		}
		if parseInt(cmd.Val()) <= moment.UnixMilli() {
			pipe.Del(ctx, keys[i])
		}
	}
	if pipe.Len() == 0 {
		return 0, nil
	}
	cmds, err := pipe.Exec(ctx)
	return len(cmds), err
}

// changeRole gives a user's live sessions another role; their sockets close with "reconnect once".
func (rv *revoker) changeRole(ctx context.Context, user UserID, role Role) error {
	for _, tag := range rv.tags(user) {
		err := rv.breaker(tag).try(ctx, func(ctx context.Context) error {
			return roleScript.Run(ctx, rv.rdb, []string{indexKey(tag)}, sessionPrefix+"{"+tag+"}", string(role), rv.watch.prefix).Err()
		})
		if err != nil {
			return fmt.Errorf("auth: change the role of live sessions: %w", err)
		}
	}
	return nil
}

// replay deletes in Redis whatever the ledger says is revoked: a replica that was promoted, a restored snapshot or an
// outage may have brought it back.
func (rv *revoker) replay(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, replayLimit)
	defer cancel()
	for batch := range slices.Chunk(rv.denied.unexpired(), replayBatch) {
		pipe := rv.rdb.Pipeline()
		for _, r := range batch {
			switch {
			case r.Kind == KindSession && isSessionID(r.Subject):
				pipe.Eval(ctx, endLua, endKeys(r), endArgs(r)...)
			case r.Kind == KindUser || r.Kind == KindBefore:
				for _, tag := range rv.tags(UserID(r.Subject)) {
					keys, args := endUser(r, tag, false, math.MaxInt32)
					pipe.Eval(ctx, endUserLua, keys, args...)
				}
			case r.Kind == KindAll:
				if _, err := rv.deleteIssuedUntil(ctx, r.NotBefore); err != nil {
					return err
				}
			}
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return fmt.Errorf("auth: replay revocations: %w", err)
		}
	}
	return nil
}

// bringUpToDate replays revocations into a Redis that is not the one that was last heard, or that has missed some.
func (rv *revoker) bringUpToDate(ctx context.Context, client *redis.Client) error {
	if !rv.ledger.isLoaded() {
		return errNotLoaded
	}
	addr, identity := client.Options().Addr, identityOf(ctx, client)
	if before, known := rv.known.Load(addr); known && identity != "" && before == identity && !rv.behind.Load() {
		return nil
	}
	rv.behind.Store(false) // a revocation that fails from here on sets it again
	if err := rv.replay(ctx); err != nil {
		rv.behind.Store(true)
		return err
	}
	rv.known.Store(addr, identity)
	return nil
}

// identityOf tells one run of a Redis server, in one role, from another. "" where INFO is not allowed.
func identityOf(ctx context.Context, client *redis.Client) string {
	info, err := client.Info(ctx, "everything").Result()
	if err != nil {
		return ""
	}
	var id strings.Builder
	for line := range strings.SplitSeq(info, "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		switch name {
		case "run_id", "master_replid", "role":
			id.WriteString(name + "=" + value + " ")
		}
	}
	return id.String()
}
