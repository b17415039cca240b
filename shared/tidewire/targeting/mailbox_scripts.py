"""What happens to a mailbox in one step, while nobody else looks: scripts that Redis runs."""

from typing import Final

__all__ = ["APPEND", "READ"]

# An entry's fields are id, data, timestamp, expiry, partition, prev, collapse key, traceparent; all of them in every entry
# and in this order, so that Redis stores their names once a node of the stream. What is absent is empty.

# Keys: stream, meta, collapse keys. Arguments: now, length, the stream's and meta's ttl (ms), then eight a message: offset,
# expiry (empty: not to be kept), id, data, timestamp, partition, collapse key, traceparent. Answers the prevs; -1: none.
# Lua's numbers are doubles: offsets and times are exact below 2^53.
APPEND: Final = """
local stream, meta, keys = KEYS[1], KEYS[2], KEYS[3]
local now, length = tonumber(ARGV[1]), tonumber(ARGV[2])
local EXPIRES, COLLAPSE_KEY = 8, 14
local known = redis.call('HMGET', meta, 'last', 'floor')
local last, floor = tonumber(known[1] or -1), tonumber(known[2] or -1)
local first
local has_grown = false

local function text(number)
  return string.format('%.0f', number)
end

local function offset_of(entry)
  return tonumber(string.match(entry[1], '^%d+'))
end

local function prev_of_old(offset)
  local found = redis.call('XRANGE', stream, text(offset) .. '-1', text(offset) .. '-1')[1]
  if found then
    return tonumber(found[2][12]) or -1
  end
  local below = redis.call('XREVRANGE', stream, text(offset) .. '-0', '-', 'COUNT', 1)[1]
  return math.max(below and offset_of(below) or -1, math.min(floor, offset - 1))
end

local function supersede(key)
  local older = redis.call('HGET', keys, key)
  if older then
    redis.call('XDEL', stream, older .. '-1')
    redis.call('HDEL', keys, key)
  end
end

local function keep(at, offset, prev)
  local expires, key = tonumber(ARGV[at + 1]), ARGV[at + 6]
  if last < 0 then
    first = offset
  end
  has_grown, last = true, offset
  if key ~= '' then
    supersede(key)
  end
  if expires <= now then
    floor = offset
    return
  end
  redis.call('XADD', stream, text(offset) .. '-1', 'i', ARGV[at + 2], 'd', ARGV[at + 3], 't', ARGV[at + 4],
    'e', ARGV[at + 1], 'n', ARGV[at + 5], 'p', prev < 0 and '' or text(prev), 'k', key, 'r', ARGV[at + 7])
  if key ~= '' then
    redis.call('HSET', keys, key, text(offset))
  end
end

local function trim()
  local size = redis.call('XLEN', stream)
  while size > 0 do
    local oldest = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
    local fields = oldest[2]
    if size <= length and tonumber(fields[EXPIRES]) > now then
      return
    end
    redis.call('XDEL', stream, oldest[1])
    if fields[COLLAPSE_KEY] ~= '' then
      redis.call('HDEL', keys, fields[COLLAPSE_KEY])
    end
    floor = math.max(floor, offset_of(oldest))
    size = size - 1
  end
  redis.call('DEL', stream)
end

local prevs = {}
for at = 5, #ARGV, 8 do
  local offset = tonumber(ARGV[at])
  local prev
  if offset <= last then
    prev = prev_of_old(offset)
  else
    prev = last
    if ARGV[at + 1] ~= '' then
      keep(at, offset, prev)
    end
  end
  prevs[#prevs + 1] = prev
end
if has_grown then
  trim()
  redis.call('HSET', meta, 'last', text(last), 'floor', text(floor))
  if first then
    redis.call('HSET', meta, 'first', text(first))
  end
  redis.call('PEXPIRE', stream, ARGV[3])
  redis.call('PEXPIRE', keys, ARGV[3])
end
if last >= 0 then -- also for what was kept before: whoever waits for replicas waits for the last write
  redis.call('PEXPIRE', meta, ARGV[4])
end
return prevs
"""

# Keys: stream, meta. Arguments: the first offset, most entries. Answers last, floor and first (nil: none), and behind them each entry as
# one text, since a client's time goes by the number of answers: the numbers and the traceparent, parted by spaces, the sizes
# of id and collapse key, then those two and the data. A script and no transaction, which a server whose memory is full
# would refuse even where it only reads.
READ: Final = """
local answer = redis.call('HMGET', KEYS[2], 'last', 'floor', 'first')
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], ARGV[1] .. '-0', '+', 'COUNT', ARGV[2])) do
  local f = entry[2]
  local id, data, key = f[2], f[4], f[14]
  local numbers = {string.match(entry[1], '^%d+'), f[6], f[8], f[10], f[12], f[16], #id, #key, ''}
  answer[#answer + 1] = table.concat(numbers, ' ') .. id .. key .. data
end
return answer
"""
