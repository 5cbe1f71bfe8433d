package auth

// The keys of this package in Redis. {…} is the hash tag: all keys of one user live in one cluster slot.
//
//	key                      type  who writes            how it ends
//	rt:s:{utag}rnd           HASH  session create, touch PEXPIRE min(idle, what is left until abs); DEL on revocation
//	rt:u:{utag}              ZSET  session create, end   PEXPIRE as long as the longest session
//	rt:g:{utag}              INT   revocation of a user  never (a small number per user that had one)
//	rt:e:{utag}rnd           HASH  revocation            a minute: why the session ended, for servers that hear the DEL first
//	rt:canary:{tag}server:n  STR   watcher               deleted at once; 10 s where its writer died between
//	rt:r                     ZSET  revocation            entry by entry, once PostgreSQL has it: what was revoked without PostgreSQL (journal.go)
//	rt:t:{hash}              STR   ticket                30 s; GETDEL when it is used
//	rt:x:{utag}legacy        STR   exchange              with the session: which session a legacy one was exchanged for
//	rt:i:{hmac}              STR   issuer's key set      7 days: for servers that start while the issuer is out
//	rt:rl:kind:{hmac}        STR   throttles             when the bucket is full again
//	rt:news                  channel  log-in, rename     a message ends when it was heard: which session of whom began or has another name (news.go)
//	rt:sockets               channel  open, close, lists  sharded; a message ends when it was heard: how many sockets sessions have on each server (sockets.go)
const (
	sessionPrefix = "rt:s:"
	indexPrefix   = "rt:u:"
	epochPrefix   = "rt:g:"
	endingPrefix  = "rt:e:"
	canaryPrefix  = "rt:canary:"
	journalKey    = "rt:r"

	ticketPrefix   = "rt:t:"
	exchangePrefix = "rt:x:"
	issuerPrefix   = "rt:i:"
	throttlePrefix = "rt:rl:"

	sessionsChannel = "rt:news"
	socketsChannel  = "rt:sockets"
)

// A session id is utag (12 characters, from the user id) and 16 random ones.
const (
	utagLen      = 12
	sessionIDLen = 28
)

func sessionKey(id SessionID) string { return sessionPrefix + tagged(id) }
func endingKey(id SessionID) string  { return endingPrefix + tagged(id) }
func indexKey(utag string) string    { return indexPrefix + "{" + utag + "}" }
func epochKey(utag string) string    { return epochPrefix + "{" + utag + "}" }

func exchangeKey(utag string, legacy SessionID) string {
	return exchangePrefix + "{" + utag + "}" + string(legacy)
}

func issuerKey(tag string) string { return issuerPrefix + "{" + tag + "}" }

func tagged(id SessionID) string { return "{" + utagOf(id) + "}" + string(id[utagLen:]) }

// utagOf is the part of id that all sessions of its user share. The id's form has been checked before.
func utagOf(id SessionID) string { return string(id[:utagLen]) }
