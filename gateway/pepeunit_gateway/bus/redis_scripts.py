"""What Redis does in one step, in its own language. Redis runs a script alone.

Numbers are doubles there: microseconds since 1970 stay exact until the year 2255, written with `%.0f`.
"""

__all__ = ["ACQUIRE", "COUNT", "PEEK", "RELEASE", "RENEW"]

_NOW = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
"""

# KEYS[1] lease; ARGV holder, microseconds, above -> fence, or nil while another has it.
# Redis's clock is the floor of a fence, so that fences grow even if Redis lost its data.
ACQUIRE = f"""{_NOW}
local held = redis.call('HMGET', KEYS[1], 'holder', 'until', 'fence')
if held[1] and held[1] ~= ARGV[1] and tonumber(held[2]) > now then return nil end
local fence = math.max(tonumber(held[3] or '0') + 1, tonumber(ARGV[3]) + 1, now)
local text = string.format('%.0f', fence)
redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'until', string.format('%.0f', now + ARGV[2]), 'fence', text)
return text
"""

# KEYS[1] lease; ARGV holder, fence, microseconds -> 1, or 0 if the lease is another's or over
RENEW = f"""{_NOW}
local held = redis.call('HMGET', KEYS[1], 'holder', 'fence', 'until')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] or tonumber(held[3]) <= now then return 0 end
redis.call('HSET', KEYS[1], 'until', string.format('%.0f', now + ARGV[3]))
return 1
"""

# KEYS[1] lease; ARGV holder, fence. The fence stays.
RELEASE = """
local held = redis.call('HMGET', KEYS[1], 'holder', 'fence')
if held[1] == ARGV[1] and held[2] == ARGV[2] then redis.call('HDEL', KEYS[1], 'holder', 'until') end
return 1
"""

# KEYS[1] counter; ARGV how many, milliseconds -> count, milliseconds left
COUNT = """
local count = redis.call('INCRBY', KEYS[1], ARGV[1])
local left = redis.call('PTTL', KEYS[1])
if left < 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  left = tonumber(ARGV[2])
end
return {count, left}
"""

# KEYS[1] counter -> count, milliseconds left; or nil
PEEK = """
local count = redis.call('GET', KEYS[1])
if not count then return nil end
return {tonumber(count), redis.call('PTTL', KEYS[1])}
"""
