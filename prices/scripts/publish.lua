-- Publishes ticks to all servers, in one order for everybody.
-- KEYS[1] lease of the feed   KEYS[2] last price of every symbol
-- ARGV[1] token of the leader, '' for ticks that need no lease   ARGV[2] PUBLISH or SPUBLISH   ARGV[3] channel
-- ARGV[4] at most 500 lines "SYMBOL n ms price source", where n is the update number that the sender knows
-- Returns the message, which has the same lines with the n that everybody sees, and the places (from 0) of the ticks that
-- were not newer. A tick that is the last one again is neither: whoever did not hear the answer may send it twice.
-- One argument, one read and one write for all: each costs more than what is done with it.
if ARGV[1] ~= '' and redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return redis.error_reply('FENCED another server leads this feed')
end
local match, symbols, ns, rests = string.match, {}, {}, {}
for symbol, n, rest in string.gmatch(ARGV[4], '(%S+) (%d+) ([^\n]+)') do
  local k = #symbols + 1
  symbols[k], ns[k], rests[k] = symbol, n, rest
end
local known = redis.call('HMGET', KEYS[2], unpack(symbols))
local lines, dropped, sets, now = {}, {}, {}, {}
for k = 1, #symbols do
  local symbol, rest, n = symbols[k], rests[k], tonumber(ns[k])
  local last, newer, again = now[symbol] or known[k], true, false
  if last then
    local lastN, lastRest = match(last, '^(%d+) (.*)$')
    newer, again = tonumber(match(rest, '^%d+')) > tonumber(match(lastRest, '^%d+')), rest == lastRest
    n = math.max(n, tonumber(lastN)) -- so that it goes on growing after Redis lost its data
  else
    n = math.max(n, 1)
  end
  if newer then
    local value = string.format('%d ', n + 1) .. rest
    now[symbol] = value
    sets[#sets + 1] = symbol
    sets[#sets + 1] = value
    lines[#lines + 1] = symbol .. ' ' .. value
  elseif not again then
    dropped[#dropped + 1] = k - 1
  end
end
local message = table.concat(lines, '\n')
if #lines > 0 then
  redis.call('HSET', KEYS[2], unpack(sets))
  redis.call(ARGV[2], ARGV[3], message)
end
return {message, dropped}
