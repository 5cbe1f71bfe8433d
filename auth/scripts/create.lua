-- Makes a session, its place in its user's index, and room for it: all or nothing.
-- KEYS session, index, epoch, and where a legacy session is exchanged: its marker (one hash tag)
-- ARGV now, idle, abs, limit (all ms but the last), random part, session prefix with the tag, ending prefix with the tag, field, value, ...
-- Returns the user's epoch and the random parts of the sessions that gave way; "again" where the exchange has been made
-- before and its session lives, "over" where that session has ended.
local now, idle, abs, limit = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local function ms(n) return string.format('%.0f', n) end

if KEYS[4] and not redis.call('SET', KEYS[4], ARGV[5], 'NX', 'PX', ms(math.max(abs - now, 1))) then
  if redis.call('TYPE', KEYS[1]).ok == 'hash' then return { 'again', {} } end
  return { 'over', {} }
end
if redis.call('EXISTS', KEYS[1]) == 1 then return redis.error_reply('EXISTS a session has this id') end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ms(now))

-- The index may name sessions that idled out, were deleted by hand or overwritten: they must not push out a living one.
for _, rnd in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  if redis.call('TYPE', ARGV[6] .. rnd).ok ~= 'hash' then
    redis.call('DEL', ARGV[6] .. rnd)
    redis.call('ZREM', KEYS[2], rnd)
  end
end

-- Keys built here carry the same hash tag as KEYS, so they are in the same slot.
local gone = {}
local excess = redis.call('ZCARD', KEYS[2]) - limit + 1
if excess > 0 then
  local all = {}
  for _, rnd in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
    all[#all + 1] = { rnd, tonumber(redis.call('HGET', ARGV[6] .. rnd, 'iat')) or 0 }
  end
  table.sort(all, function(a, b) return a[2] < b[2] end)
  for i = 1, math.min(excess, #all) do
    local rnd = all[i][1]
    redis.call('HSET', ARGV[7] .. rnd, 'reason', 'replaced', 'by', 'system', 'at', ms(now))
    redis.call('PEXPIRE', ARGV[7] .. rnd, 60000)
    redis.call('DEL', ARGV[6] .. rnd)
    redis.call('ZREM', KEYS[2], rnd)
    gone[#gone + 1] = rnd
  end
end

local epoch = redis.call('GET', KEYS[3]) or '0'
local set = { 'HSET', KEYS[1], 'gen', epoch, 'iat', ms(now), 'seen', ms(now), 'abs', ms(abs), 'idle', ms(idle) }
for i = 8, #ARGV do set[#set + 1] = ARGV[i] end
redis.call(unpack(set))
-- How long and not until when: Redis' clock may be another.
redis.call('PEXPIRE', KEYS[1], ms(math.min(idle, abs - now)))

-- The index lives as long as the longest session in it. GT leaves a key without expiry alone, hence the test.
redis.call('ZADD', KEYS[2], ms(abs), ARGV[5])
if redis.call('PTTL', KEYS[2]) < 0 then
  redis.call('PEXPIRE', KEYS[2], ms(abs - now))
else
  redis.call('PEXPIRE', KEYS[2], ms(abs - now), 'GT')
end
return { epoch, gone }
