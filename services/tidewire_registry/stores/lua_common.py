"""What the registry's scripts in Redis share, and the keys they use. Redis runs one script at a time, so each is atomic.

``KEYS[1]`` is the prefix of what is known of nodes. The scripts make the names of users' keys themselves, which Redis
Cluster does not allow.

    <prefix>:holders   hash  node → slot, epoch, epoch before it (or -), address
    <prefix>:leases    zset  node → end of the lease, Unix milliseconds
    <prefix>:frozen    hash  node → 1 where that end was put off
    <prefix>:epochs    hash  epoch → node
    <prefix>:numbers   hash  epoch → number of the batch taken last under it, where batches are numbered
    <prefix>:slots     hash  slot → node
    <prefix>:about     hash  node → JSON of what does not change
    <prefix>:status    hash  node → JSON of state and load
    <prefix>:suspect   hash  node → epoch that is not renewed: what was announced under it may be lost
    <prefix>:server    text  run id of the Redis that all this was written to
    <prefix>:settled   text  when leases were settled last
    <prefix>:indexes   set   epochs that may have an index
    <prefix>:index:<epoch>   set  "connection user" of every session announced under it
    <sessions>{<user>}       hash connection → "epoch since device"
"""

from typing import Final

__all__ = ["COMMON"]

COMMON: Final = """
local function key(name) return KEYS[1] .. ':' .. name end
local function text(number) return string.format('%.0f', number) end
local function clock(given)
  if given ~= '' then return tonumber(given) end
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end
local function settled() return tonumber(redis.call('GET', key('settled')) or '0') end
local function holder(node)
  local held = redis.call('HGET', key('holders'), node)
  if not held then return nil end
  return string.match(held, '^(%S+) (%S+) (%S+) (%S+)$')
end
local function is_live(node, at)
  local last = redis.call('ZSCORE', key('leases'), node)
  return last and tonumber(last) > at
end
local function holds(node, epoch)
  local _, present = holder(node)
  if present ~= epoch or redis.call('HGET', key('suspect'), node) == epoch then return false end
  return is_live(node, settled())
end
local function forget(node)
  local slot, epoch = holder(node)
  if not slot then return end
  if redis.call('HGET', key('slots'), slot) == node then redis.call('HDEL', key('slots'), slot) end
  redis.call('HDEL', key('epochs'), epoch)
  redis.call('HDEL', key('numbers'), epoch)
  for _, name in ipairs({'holders', 'about', 'status', 'frozen', 'suspect'}) do
    redis.call('HDEL', key(name), node)
  end
  redis.call('ZREM', key('leases'), node)
end
"""
