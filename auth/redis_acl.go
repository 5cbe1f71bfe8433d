package auth

import "fmt"

// narrowACL is what the server's login needs in Redis (ACL SETUSER rosetree on >password …), and no more. What each
// part of the program uses stands in its own line.
func narrowACL(db int) []string {
	return []string{
		"resetkeys", "~rt:*", // sessions, indexes, epochs, tickets, throttles, canaries
		"resetchannels", fmt.Sprintf("&__keyspace@%d__:rt:*", db), "&rt:*", // events, and news between servers
		"-@all",
		"+ping", "+hello", "+auth", "+select", "+client|setname", "+info", "+readonly",
		"+subscribe", "+unsubscribe", "+publish",
		"+exists", "+get", "+set", "+getdel", "+del", "+unlink", "+hget", "+hmget", "+hset", "+hgetall", "+hincrby", "+incr",
		"+pexpire", "+pexpireat", "+pttl", "+scan", "+zadd", "+zcard", "+zrange", "+zrangebyscore", "+zrem", "+zremrangebyscore",
		"+eval", "+evalsha", "+script|load", "+time",
		"+cluster|slots", "+cluster|shards", "+cluster|nodes", "+command",
	}
}
