"""The steps inside Redis that concern nodes and their leases."""

from typing import Final

from .lua_common import COMMON

__all__ = ["APPLY", "DOUBT", "NODES", "REGISTER", "RELEASE", "RENEW"]

# now, node, epoch, replaces, address, about, status, lease_ms, slots → slot, or -1: taken, -2: full
REGISTER: Final = (
    COMMON
    + """
local now, node, epoch, replaces = clock(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
local at, slots = settled(), tonumber(ARGV[9])
local slot, present, previous = holder(node)
if slot then
  if is_live(node, at) and (replaces == '' or (replaces ~= present and replaces ~= previous)) then
    return -1
  end
  slot = tonumber(slot)
  if slot >= slots then slot = nil end
end
if not slot then
  local taken, oldest = {}, nil
  local flat = redis.call('HGETALL', key('slots'))
  for i = 1, #flat, 2 do taken[tonumber(flat[i])] = flat[i + 1] end
  for i = 0, slots - 1 do
    if not taken[i] then slot = i break end
    local last = tonumber(redis.call('ZSCORE', key('leases'), taken[i]) or '0')
    if last <= at and (not oldest or last < oldest) then oldest, slot = last, i end
  end
  if not slot then return -2 end
  if taken[slot] then forget(taken[slot]) end
end
forget(node)
local before = replaces
if before == '' then before = '-' end
redis.call('HSET', key('holders'), node, text(slot) .. ' ' .. epoch .. ' ' .. before .. ' ' .. ARGV[5])
redis.call('HSET', key('about'), node, ARGV[6])
redis.call('HSET', key('status'), node, ARGV[7])
redis.call('HSET', key('epochs'), epoch, node)
redis.call('HSET', key('slots'), text(slot), node)
redis.call('ZADD', key('leases'), text(now + tonumber(ARGV[8])), node)
redis.call('SADD', key('indexes'), epoch)
return slot
"""
)

# now, node, epoch, status, lease_ms → 1, or 0: lost
RENEW: Final = (
    COMMON
    + """
local now, node = clock(ARGV[1]), ARGV[2]
if not holds(node, ARGV[3]) then return 0 end
redis.call('ZADD', key('leases'), text(now + tonumber(ARGV[5])), node)
redis.call('HDEL', key('frozen'), node)
redis.call('HSET', key('status'), node, ARGV[4])
return 1
"""
)

# node, epoch
RELEASE: Final = (
    COMMON
    + """
local _, present = holder(ARGV[1])
if present == ARGV[2] then forget(ARGV[1]) end
return 1
"""
)

# now → {now, settled, holders, leases, frozen, about, status}, all flat
NODES: Final = (
    COMMON
    + """
return {
  text(clock(ARGV[1])),
  redis.call('GET', key('settled')) or '',
  redis.call('HGETALL', key('holders')),
  redis.call('ZRANGE', key('leases'), 0, -1, 'WITHSCORES'),
  redis.call('HKEYS', key('frozen')),
  redis.call('HGETALL', key('about')),
  redis.call('HGETALL', key('status')),
}
"""
)

# now, settled before, new end, count of frozen, (node, end)… of frozen, (node, end)… of forgotten
# → 1, or 0: another was faster
APPLY: Final = (
    COMMON
    + """
if (redis.call('GET', key('settled')) or '') ~= ARGV[2] then return 0 end
redis.call('SET', key('settled'), ARGV[1])
local first = 5 + 2 * tonumber(ARGV[4])
for i = 5, #ARGV, 2 do
  local node = ARGV[i]
  local last = redis.call('ZSCORE', key('leases'), node)
  if last and tonumber(last) == tonumber(ARGV[i + 1]) then
    if i < first then
      redis.call('ZADD', key('leases'), ARGV[3], node)
      redis.call('HSET', key('frozen'), node, '1')
    else
      forget(node)
    end
  end
end
return 1
"""
)

# → how many nodes have to announce anew: another server answers, and it may lack the last of what was written
DOUBT: Final = (
    COMMON
    + """
local info = redis.pcall('INFO', 'server')
local run = type(info) == 'string' and string.match(info, 'run_id:(%w+)')
local before = redis.call('GET', key('server'))
if not run or run == before then return 0 end
redis.call('SET', key('server'), run)
if not before then return 0 end
local nodes = redis.call('HKEYS', key('holders'))
for _, node in ipairs(nodes) do
  local _, epoch = holder(node)
  redis.call('HSET', key('suspect'), node, epoch)
end
return #nodes
"""
)
