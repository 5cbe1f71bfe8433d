-- Reads a session, ends it where its user's epoch has outlived it, and notes that it was used.
-- KEYS session, epoch, index (one hash tag)
-- ARGV now, touch: note the use when the last one is older than this (ms); ip; random part
-- Returns the fields that decodeSession names, in its order, or nothing.
local f = redis.call('HMGET', KEYS[1], 'uid', 'role', 'vh', 'gen', 'iat', 'auth', 'abs', 'idle', 'seen', 'dev', 'plat', 'ua', 'ip', 'lsid')
if not f[1] then return false end
if tonumber(f[4]) < tonumber(redis.call('GET', KEYS[2]) or '0') then
  redis.call('DEL', KEYS[1])
  redis.call('ZREM', KEYS[3], ARGV[4])
  return false
end
-- A key that outlived its session, because Redis' clock was set back, is left as it is: whoever reads it sees that it is over.
local now, abs, idle, last = tonumber(ARGV[1]), tonumber(f[7]), tonumber(f[8]), tonumber(f[9])
if math.abs(now - last) >= tonumber(ARGV[2]) and now < math.min(last + idle, abs) then
  local seen = string.format('%.0f', now)
  redis.call('HSET', KEYS[1], 'seen', seen, 'ip', ARGV[3])
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.min(idle, abs - now)))
  f[9], f[13] = seen, ARGV[3]
end
return f
