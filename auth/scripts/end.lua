-- Ends one session and leaves a note why, which servers read that hear of the deletion before the ledger's news.
-- KEYS session, ending, index (one hash tag)
-- ARGV reason, by, at (ms), random part, what the user is told (perhaps empty)
-- Returns how many sessions it deleted.
redis.call('HSET', KEYS[2], 'reason', ARGV[1], 'by', ARGV[2], 'at', ARGV[3], 'said', ARGV[5])
redis.call('PEXPIRE', KEYS[2], 60000)
redis.call('ZREM', KEYS[3], ARGV[4])
return redis.call('DEL', KEYS[1])
