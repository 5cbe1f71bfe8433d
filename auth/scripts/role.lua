-- Gives a user's live sessions another role, and makes every server that watches one look at it.
-- KEYS index
-- ARGV session prefix with the tag, role, prefix of a keyspace channel
-- Returns how many sessions it changed.
local changed = 0
for _, rnd in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local key = ARGV[1] .. rnd
  if redis.call('EXISTS', key) == 1 then
    redis.call('HSET', key, 'role', ARGV[2])
    redis.call('PUBLISH', ARGV[3] .. key, 'role')
    changed = changed + 1
  end
end
return changed
