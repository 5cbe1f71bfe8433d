-- Says how long sessions have left (ms), or 0 of one that is not as the caller knows it and deserves a whole read.
-- KEYS session, epoch (one hash tag); and so on for each session
-- ARGV uid, role; and so on for each session
local left = {}
for i = 1, #KEYS, 2 do
  local f = redis.pcall('HMGET', KEYS[i], 'uid', 'role', 'gen') -- an error: something overwrote the key
  local epoch = tonumber(redis.pcall('GET', KEYS[i + 1]) or '0') or math.huge
  local ms = 0
  if not f.err and f[1] == ARGV[i] and f[2] == ARGV[i + 1] and (tonumber(f[3]) or -1) >= epoch then
    ms = math.max(redis.call('PTTL', KEYS[i]), 0)
  end
  left[#left + 1] = ms
end
return left
