-- Puts a session back that Redis has lost. One that is there stays as it is.
-- KEYS session, index, epoch   ARGV iat, seen, idle, abs (ms), random part, now, field, value, ...
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local seen, idle, abs, now = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[6])
local function ms(n) return string.format('%.0f', n) end
local ends = math.min(seen + idle, abs)
if ends <= now then return 0 end
local set = { 'HSET', KEYS[1], 'gen', redis.call('GET', KEYS[3]) or '0', 'iat', ARGV[1], 'seen', ARGV[2], 'idle', ARGV[3], 'abs', ARGV[4] }
for i = 7, #ARGV do set[#set + 1] = ARGV[i] end
redis.call(unpack(set))
redis.call('PEXPIRE', KEYS[1], ms(ends - now))
redis.call('ZADD', KEYS[2], ms(abs), ARGV[5])
if redis.call('PTTL', KEYS[2]) < 0 then
  redis.call('PEXPIRE', KEYS[2], ms(abs - now))
else
  redis.call('PEXPIRE', KEYS[2], ms(abs - now), 'GT')
end
return 1
