package auth

import "fmt"

// narrowACL is what the server's login needs in Redis (ACL SETUSER rosetree on >password …), and no more. It speaks for all
// rooms; a test of the whole program, cmd/rosetree/acl_test.go, lives on it and looks for refusals.
func narrowACL(db int) []string {
	return []string{
		"resetkeys", "~rt:*", // sessions, indexes, epochs, tickets, throttles, canaries, the journal
		"~{prices}:*", "~prices:*", // newest prices, who leads a feed, the stream of other programs' ticks
		"resetchannels", fmt.Sprintf("&__keyspace@%d__:rt:*", db), "&rt:*", "&{prices}:*", // events, news, and ticks between servers
		"-@all",
		"+ping", "+hello", "+auth", "+select", "+client|setname", "+info", "+readonly",
		"+subscribe", "+unsubscribe", "+publish", "+ssubscribe", "+sunsubscribe", "+spublish",
		"+exists", "+type", "+get", "+set", "+getdel", "+del", "+unlink", "+hget", "+hmget", "+hset", "+hgetall", "+hincrby", "+incr",
		"+pexpire", "+pexpireat", "+pttl", "+scan", "+zadd", "+zcard", "+zrange", "+zrangebyscore", "+zrem", "+zremrangebyscore",
		"+eval", "+evalsha", "+script|load", "+time", "+xread",
		"+cluster|slots", "+cluster|shards", "+cluster|nodes", "+command",
	}
}
