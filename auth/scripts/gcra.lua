-- The generic cell rate algorithm: one number per key, the time at which the bucket is empty of charges.
-- KEYS bucket   ARGV now, interval (ms per event), burst, charge (0 only asks)
-- Returns 0, or the milliseconds until one more event fits.
local now, interval, burst, charge = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)
local wait = full + interval - now - burst * interval
if charge == 1 then
  -- Charges stop at the brim: a storm of failures must not close the account for longer than one bucket.
  local next = math.min(full + interval, now + burst * interval)
  redis.call('SET', KEYS[1], string.format('%.0f', next), 'PX', string.format('%.0f', math.max(next - now, 1)))
end
if wait <= 0 then return 0 end
return math.ceil(wait)
