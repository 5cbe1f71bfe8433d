-- Ends a user's sessions that were issued until a moment, but one.
-- KEYS index, epoch (one hash tag)
-- ARGV session prefix with the tag, ending prefix with the tag, moment (ms), random part to keep, reason, by, at (ms),
--      1: also raise the epoch, so that a session which the index does not name ends too; what the user is told (perhaps empty);
--      how many to end at most: everybody waits while a script runs
-- Returns how many sessions it deleted, and 1 where more are left.
local deleted, ended, stay, left = 0, 0, {}, 0
-- Keys built here carry the same hash tag as KEYS, so they are in the same slot.
for _, rnd in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local key = ARGV[1] .. rnd
  local iat = redis.pcall('HGET', key, 'iat')   -- an error where something overwrote the key: then it goes too
  iat = type(iat) == 'string' and tonumber(iat) or 0
  if rnd == ARGV[4] or iat > tonumber(ARGV[3]) then
    if iat > 0 then stay[#stay + 1] = key end
  elseif ended == tonumber(ARGV[10]) then
    left = 1
    if ARGV[8] ~= '1' then break end
  else
    redis.call('HSET', ARGV[2] .. rnd, 'reason', ARGV[5], 'by', ARGV[6], 'at', ARGV[7], 'said', ARGV[9])
    redis.call('PEXPIRE', ARGV[2] .. rnd, 60000)
    ended, deleted = ended + 1, deleted + redis.call('DEL', key)
    redis.call('ZREM', KEYS[1], rnd)
  end
end
if ARGV[8] == '1' then
  local epoch = redis.call('INCR', KEYS[2])
  for _, key in ipairs(stay) do redis.call('HSET', key, 'gen', epoch) end
end
return {deleted, left}
