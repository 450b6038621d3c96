"""What the store of limits runs: each script is one step that nothing else comes between, on the store's own clock.

A window is a hash: what `access/window.py` has in a worker's memory. Field `g` is when it was made, `f` and `n` are the
first entry's number and the next one's, `u` is the sum; an entry's number holds its time and weight. Up to 64 entries
are kept apart; beyond them, those within a sixty-fourth of the window are one, and count until the latest has left.

Calls under way are a hash of lives: how many calls of each. A life is a worker's, as long as it says that it is there
(`BEAT`); in `lives` stands until when it is believed. What a life that is over had under way does not count.

Every key expires by itself, once nothing in it can count any more.
"""

from hashlib import sha1
from typing import Final

from chatvault.net.commands import bulk, command

LEASE_MS: Final = 10_000
"""Milliseconds that a life is believed after its last beat."""
_RUNNING_MS: Final = 86_400_000

CLOCK: Final = """
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000000 + tonumber(t[2])
"""

_WINDOW: Final = """
local function entry(key, number)
  local e = redis.call('HGET', key, number)
  if e then return struct.unpack('<dd', e) end
end

local function open(key, span)
  local v = redis.call('HMGET', key, 'g', 'f', 'n', 'u')
  local w = {key = key, span = span, made = tonumber(v[1]), f = tonumber(v[2] or 0), n = tonumber(v[3] or 0),
             used = tonumber(v[4] or 0)}
  local gone = {}
  while w.f < w.n do
    local at, weight = entry(key, w.f)
    if at > now - span then w.first = at break end
    gone[#gone + 1] = w.f
    w.f = w.f + 1
    w.used = w.used - weight
  end
  if #gone > 0 then
    redis.call('HDEL', key, unpack(gone))
    redis.call('HSET', key, 'f', w.f, 'u', string.format('%.0f', w.used))
  end
  if w.f < w.n then w.last, w.weight = entry(key, w.n - 1) end
  return w
end

local function free_in(w, room)
  local left = w.used
  if left <= room then return 0 end
  if room < 0 then return -1 end
  for number = w.f, w.n - 1 do
    local at, weight = entry(w.key, number)
    left = left - weight
    if left <= room then return at + w.span - now end
  end
  return -1
end

local function add(w, weight)
  local at, number = now, w.n
  local grain = math.max(math.floor(w.span / 64), 1)
  if w.last and (now <= w.last or (w.n - w.f >= 64 and math.floor(now / grain) == math.floor(w.last / grain))) then
    at, number = math.max(now, w.last), w.n - 1
    redis.call('HSET', w.key, number, struct.pack('<dd', at, w.weight + weight))
  else
    redis.call('HSET', w.key, number, struct.pack('<dd', at, weight))
    w.n = w.n + 1
  end
  if not w.made then w.made = now end
  redis.call('HSET', w.key, 'g', string.format('%.0f', w.made), 'f', w.f, 'n', w.n,
             'u', string.format('%.0f', w.used + weight))
  redis.call('PEXPIRE', w.key, math.ceil((at - now + w.span) / 1000) + 1000)
  return number
end

local function alive(lives, key)
  local total, held = 0, redis.call('HGETALL', key)
  for i = 1, #held, 2 do
    if tonumber(redis.call('ZSCORE', lives, held[i]) or 0) > now / 1000 then
      total = total + tonumber(held[i + 1])
    else
      redis.call('HDEL', key, held[i])
    end
  end
  return total
end
"""

_ADMIT: Final = (
    CLOCK
    + _WINDOW
    + f"""
-- KEYS: lives, then one for each limit. ARGV: the life, the call's tokens, then four for each limit: 'r' (counts
-- calls), 't' (tokens) or 'c' (calls under way), the most, the window in microseconds, 1 if it is a shadow.
-- For each limit: whether it would be passed, what it has counted, microseconds until there is room (-1: never) and
-- until nothing counts, the entry's number, and when the window was made. Before all: whether the call is let through.
local found, out, through = {{}}, {{1}}, true
for i = 2, #KEYS do
  local a = 3 + (i - 2) * 4
  local kind, most, key, shadow = ARGV[a], tonumber(ARGV[a + 1]), KEYS[i], ARGV[a + 3] == '1'
  local passed, used, wait
  if kind == 'c' then
    used, wait = alive(KEYS[1], key), -1
    passed = used >= most
    found[i] = {{}}
  else
    local w = open(key, tonumber(ARGV[a + 2]))
    local weight = kind == 'r' and 1 or tonumber(ARGV[2])
    used, passed, wait = w.used, w.used + weight > most, 0
    if passed then wait = free_in(w, most - weight) end
    found[i] = {{w = w, weight = weight}}
  end
  if passed and not shadow then through = false end
  local o = 2 + (i - 2) * 6
  out[o], out[o + 1], out[o + 2] = passed and 1 or 0, used, wait
  local w = found[i].w
  out[o + 3], out[o + 4], out[o + 5] = w and w.last and (w.last + w.span - now) or 0, 0, 0
end
if not through then
  out[1] = 0
  return out
end
for i = 2, #KEYS do
  local w, o = found[i].w, 2 + (i - 2) * 6
  if w then
    out[o + 4] = add(w, found[i].weight)
    out[o + 3], out[o + 5] = w.span, w.made
  else
    redis.call('HINCRBY', KEYS[i], ARGV[1], 1)
    redis.call('PEXPIRE', KEYS[i], {_RUNNING_MS})
  end
end
return out
"""
).encode()

_SETTLE: Final = b"""
-- KEYS: one for each limit. ARGV: the life, then three for each limit: the entry's number (or 'c'), when the window was
-- made, and by how much the entry is to be changed.
for i = 1, #KEYS do
  local a, key = 2 + (i - 1) * 3, KEYS[i]
  if ARGV[a] == 'c' then
    if redis.call('HINCRBY', key, ARGV[1], -1) <= 0 then redis.call('HDEL', key, ARGV[1]) end
  else
    local v = redis.call('HMGET', key, 'g', 'u', ARGV[a])
    if v[3] and v[1] == ARGV[a + 1] then
      local at, weight = struct.unpack('<dd', v[3])
      local by = tonumber(ARGV[a + 2])
      redis.call('HSET', key, ARGV[a], struct.pack('<dd', at, weight + by),
                 'u', string.format('%.0f', tonumber(v[2]) + by))
    end
  end
end
return 1
"""

_BEAT: Final = (
    CLOCK
    + f"""
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now / 1000)
redis.call('ZADD', KEYS[1], now / 1000 + {LEASE_MS}, ARGV[1])
redis.call('PEXPIRE', KEYS[1], {2 * LEASE_MS})
return 1
"""
).encode()

_LOOK: Final = (
    CLOCK
    + _WINDOW
    + """
-- KEYS: lives, then one for each limit. ARGV: for each limit its window in microseconds, 0 for calls under way.
-- For each: what it counts, microseconds until the first of it frees, and until nothing counts.
local out = {}
for i = 2, #KEYS do
  local span, o = tonumber(ARGV[i - 1]), (i - 2) * 3 + 1
  if span == 0 then
    out[o], out[o + 1], out[o + 2] = alive(KEYS[1], KEYS[i]), 0, 0
  else
    local w = open(KEYS[i], span)
    out[o], out[o + 1], out[o + 2] = w.used, 0, 0
    if w.last then out[o + 1], out[o + 2] = w.first + span - now, w.last + span - now end
  end
end
return out
"""
).encode()


class Script:
    """One that the store knows by its digest."""

    __slots__ = ("_head", "source")

    def __init__(self, source: bytes) -> None:
        self.source = source
        self._head = bulk(b"EVALSHA") + bulk(sha1(source, usedforsecurity=False).hexdigest().encode())

    def command(self, keys: int, args: int, words: bytes) -> bytes:
        """The command that runs it: so many keys and arguments, which are `words` in this order."""
        return b"*%d\r\n%b%b%b" % (3 + keys + args, self._head, bulk(b"%d" % keys), words)


ADMIT: Final = Script(_ADMIT)
SETTLE: Final = Script(_SETTLE)
BEAT: Final = Script(_BEAT)
LOOK: Final = Script(_LOOK)
LOADS: Final = tuple(command(b"SCRIPT", b"LOAD", each.source) for each in (ADMIT, SETTLE, BEAT, LOOK))
"""What makes the store know them."""
