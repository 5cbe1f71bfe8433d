-- Publishes ticks to all servers, in one order for everybody.
-- KEYS[1] lease of the feed   KEYS[2] last price of every symbol
-- ARGV[1] token of the leader, '' for ticks that need no lease   ARGV[2] PUBLISH or SPUBLISH   ARGV[3] channel
-- ARGV[4…] symbol, price, time in ms, update number that the sender knows, source; repeated
-- Returns the message and the places (from 0) of the ticks that were not newer.
if ARGV[1] ~= '' and redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return redis.error_reply('FENCED another server leads this feed')
end
local lines, dropped = {}, {}
for i = 4, #ARGV, 5 do
  local symbol, price, t, n, source = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3]), ARGV[i + 4]
  local last = redis.call('HGET', KEYS[2], symbol)
  local lastN, lastT = 1, -1
  if last then
    lastN, lastT = string.match(last, '^(%d+) (%d+) ')
    lastN, lastT = tonumber(lastN), tonumber(lastT)
  end
  if t > lastT then
    -- n is the greater of both, so that it goes on growing after Redis lost its data
    local value = string.format('%.0f %.0f %s %s', math.max(lastN, n) + 1, t, price, source)
    redis.call('HSET', KEYS[2], symbol, value)
    lines[#lines + 1] = symbol .. ' ' .. value
  else
    dropped[#dropped + 1] = (i - 4) / 5
  end
end
local message = table.concat(lines, '\n')
if #lines > 0 then
  redis.call(ARGV[2], ARGV[3], message)
end
return {message, dropped}
