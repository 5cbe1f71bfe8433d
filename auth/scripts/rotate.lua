-- Replaces a session's secret and notes when the password was proven.
-- KEYS session   ARGV verifier, now
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'vh', ARGV[1], 'auth', ARGV[2])
return 1
