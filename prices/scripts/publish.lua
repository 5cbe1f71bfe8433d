-- Publishes ticks to all servers, in one order for everybody.
-- KEYS[1] lease of the feed   KEYS[2] last price of every symbol
-- ARGV[1] token of the leader, '' for ticks that need no lease   ARGV[2] PUBLISH or SPUBLISH   ARGV[3] channel
-- ARGV[4…] symbol, price, time in ms, update number that the sender knows, source; repeated, at most 500 times
-- Returns the message and the places (from 0) of the ticks that were not newer.
-- One read and one write for all: a call costs more than what it does.
if ARGV[1] ~= '' and redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return redis.error_reply('FENCED another server leads this feed')
end
local symbols = {}
for i = 4, #ARGV, 5 do
  symbols[#symbols + 1] = ARGV[i]
end
local known = redis.call('HMGET', KEYS[2], unpack(symbols))
local lines, dropped, sets, now = {}, {}, {}, {}
for k = 1, #symbols do
  local i = 5 * k - 1
  local symbol, t, n = symbols[k], tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3])
  local last, lastN, lastT = now[symbol] or known[k], 1, -1
  if last then
    lastN, lastT = string.match(last, '^(%d+) (%d+) ')
    lastN, lastT = tonumber(lastN), tonumber(lastT)
  end
  if t > lastT then
    -- n is the greater of both, so that it goes on growing after Redis lost its data
    local value = string.format('%.0f %s %s %s', math.max(lastN, n) + 1, ARGV[i + 2], ARGV[i + 1], ARGV[i + 4])
    now[symbol] = value
    sets[#sets + 1] = symbol
    sets[#sets + 1] = value
    lines[#lines + 1] = symbol .. ' ' .. value
  else
    dropped[#dropped + 1] = k - 1
  end
end
local message = table.concat(lines, '\n')
if #lines > 0 then
  redis.call('HSET', KEYS[2], unpack(sets))
  redis.call(ARGV[2], ARGV[3], message)
end
return {message, dropped}
