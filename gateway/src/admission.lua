-- One request at the edge, in one step that nobody else can be in the middle of.
-- KEYS: the session's revocation, the generation of shared answers, the caller's budget.
-- ARGV: time from one request to the next (0: no limit) and the whole window, in microseconds.
-- Gives: revoked, admitted (1), refused (0) or not counted (-1), requests left, microseconds to wait,
-- the generation.
local revoked = redis.call('EXISTS', KEYS[1])
local generation = redis.call('GET', KEYS[2])
local interval = tonumber(ARGV[1])
if revoked == 1 or interval == 0 then
  return {revoked, 1, 0, 0, generation}
end
-- The generic cell rate algorithm: what is kept is when the budget would be whole again.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local window = tonumber(ARGV[2])
local whole = tonumber(redis.call('GET', KEYS[3])) or now
-- Another server's clock may have been ahead before a failover: nobody waits longer than a window.
whole = math.min(math.max(whole, now), now + window)
local next = whole + interval
if next > now + window then
  return {0, 0, 0, next - now - window, generation}
end
local kept = redis.pcall('SET', KEYS[3], string.format('%.0f', next), 'PX', math.ceil((next - now) / 1000))
if kept.err then
  -- Full: the gateway counts for itself, and still learns the rest.
  return {0, -1, 0, 0, generation}
end
return {0, 1, math.floor((now + window - next) / interval), 0, generation}
