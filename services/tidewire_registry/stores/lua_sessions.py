"""The steps inside Redis that concern sessions."""

from typing import Final

from .lua_common import COMMON

__all__ = ["ANNOUNCE", "LOOKUP", "SWEEP"]

# node, epoch, number, sessions, most, keep_ms, count of gone, (user, connection)…, (user, connection, row)…
# → {user, connection, node, …} of those who have to go, or 0: lost, -1: overtaken
ANNOUNCE: Final = (
    COMMON
    + """
local node, epoch, number = ARGV[1], ARGV[2], tonumber(ARGV[3])
local sessions, most, keep = ARGV[4], tonumber(ARGV[5]), ARGV[6]
if not holds(node, epoch) then return 0 end
local last = tonumber(redis.call('HGET', key('numbers'), epoch) or '0')
if number < last then return -1 end
if number > last then redis.call('HSET', key('numbers'), epoch, text(number)) end
local index, evicted, live = key('index:' .. epoch), {}, nil
local function live_node(other)
  if not live then
    local at = settled()
    local flat = redis.call('HGETALL', key('epochs'))
    live = {}
    for i = 1, #flat, 2 do
      if is_live(flat[i + 1], at) then live[flat[i]] = flat[i + 1] end
    end
  end
  return live[other]
end
local function judge(user, home)
  local rows, kept = redis.call('HGETALL', home), {}
  for i = 1, #rows, 2 do
    local of, since = string.match(rows[i + 1], '^(%S+) (%S+)')
    if live_node(of) then
      kept[#kept + 1] = {rows[i], tonumber(since), of}
    else
      redis.call('HDEL', home, rows[i])
    end
  end
  table.sort(kept, function(a, b) return a[2] < b[2] or (a[2] == b[2] and a[1] < b[1]) end)
  for i = 1, #kept - most do
    local connection, of = kept[i][1], kept[i][3]
    if i <= #kept - 2 * most then
      redis.call('HDEL', home, connection)
      redis.call('SREM', key('index:' .. of), connection .. ' ' .. user)
    end
    evicted[#evicted + 1] = user
    evicted[#evicted + 1] = connection
    evicted[#evicted + 1] = live_node(of)
  end
end
local crowded, first = {}, 8 + 2 * tonumber(ARGV[7])
for i = 8, first - 1, 2 do
  redis.call('HDEL', sessions .. '{' .. ARGV[i] .. '}', ARGV[i + 1])
  redis.call('SREM', index, ARGV[i + 1] .. ' ' .. ARGV[i])
end
for i = first, #ARGV, 3 do
  local user, home = ARGV[i], sessions .. '{' .. ARGV[i] .. '}'
  redis.call('HSET', home, ARGV[i + 1], ARGV[i + 2])
  redis.call('PEXPIRE', home, keep)
  redis.call('SADD', index, ARGV[i + 1] .. ' ' .. user)
  if redis.call('HLEN', home) > most and not crowded[user] then
    crowded[user] = true
    crowded[#crowded + 1] = user
  end
end
for _, user in ipairs(crowded) do judge(user, sessions .. '{' .. user .. '}') end
if first <= #ARGV then redis.call('PEXPIRE', index, keep) end
return evicted
"""
)

# sessions, user… → {places, rows}: lines "node, slot, epoch, address" and "user number, connection, place number",
# with tabs between
LOOKUP: Final = (
    COMMON
    + """
local sessions, at = ARGV[1], settled()
local places, lines, known = {}, {}, {}
local function place_of(epoch)
  local node = redis.call('HGET', key('epochs'), epoch)
  if not node or not is_live(node, at) then return false end
  local slot, _, _, address = holder(node)
  places[#places + 1] = table.concat({node, slot, epoch, address}, '\\t')
  return #places - 1
end
for i = 2, #ARGV do
  local rows = redis.call('HGETALL', sessions .. '{' .. ARGV[i] .. '}')
  for j = 1, #rows, 2 do
    local epoch = string.match(rows[j + 1], '^%S+')
    local place = known[epoch]
    if place == nil then
      place = place_of(epoch)
      known[epoch] = place
    end
    if place then lines[#lines + 1] = (i - 2) .. '\\t' .. rows[j] .. '\\t' .. place end
  end
end
return {table.concat(places, '\\n'), table.concat(lines, '\\n')}
"""
)

# epoch, sessions, most → how many entries were taken from the index, how many sessions removed
SWEEP: Final = (
    COMMON
    + """
local epoch, sessions = ARGV[1], ARGV[2]
local index, removed = key('index:' .. epoch), 0
if redis.call('HEXISTS', key('epochs'), epoch) == 1 then return {0, 0} end
local members = redis.call('SPOP', index, ARGV[3])
for _, member in ipairs(members) do
  local connection, user = string.match(member, '^(%S+) (.*)$')
  local home = sessions .. '{' .. user .. '}'
  local row = redis.call('HGET', home, connection)
  if row and string.match(row, '^%S+') == epoch then
    removed = removed + redis.call('HDEL', home, connection)
  end
end
if redis.call('EXISTS', index) == 0 then redis.call('SREM', key('indexes'), epoch) end
return {#members, removed}
"""
)
