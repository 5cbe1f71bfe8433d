-- Keeps (ARGV[2] > 0 milliseconds) or gives back (0) the lease KEYS[1], where the token ARGV[1] holds it.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
if ARGV[2] == '0' then
  return redis.call('DEL', KEYS[1])
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
