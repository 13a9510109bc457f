-- One round trip of one process with the store: its changes are made, and it is told what the others changed.
--
-- KEYS   meta, log, records, counters, ends
-- ARGV   origin, cursor (-1: asks for no changes), changes told at most, changes remembered, a name for a life that
--        begins now, what keys of counters begin with, then eight for each write: verb, key, value, amount, origin,
--        version, time to live in ms (-1: for ever), 1 if only where there is none
-- Amounts are texts that nobody computes with here, so that none is rounded.
if redis.replicate_commands then redis.replicate_commands() end

local META, LOG, RECORDS, COUNTERS, ENDS = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local origin, since = ARGV[1], tonumber(ARGV[2])
local most, remembered, fresh, counter, writes = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5], ARGV[6], 7
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function text(number) return string.format('%.0f', number) end

local function drop_record(key)
    redis.call('HDEL', RECORDS, key)
    redis.call('ZREM', ENDS, 'r' .. key)
end

local function drop_counter(key)
    redis.call('DEL', counter .. key)
    redis.call('SREM', COUNTERS, key)
    redis.call('ZREM', ENDS, 'c' .. key)
end

local function lives(stored)
    local ends = tonumber(string.match(stored, '^(-?%d+) '))
    return ends < 0 or ends > now
end

local function put(key, value, ends, absent)
    if absent then
        local before = redis.call('HGET', RECORDS, key)
        if before and lives(before) then return false end
    end
    redis.call('HSET', RECORDS, key, text(ends) .. ' ' .. value)
    if ends < 0 then
        redis.call('ZREM', ENDS, 'r' .. key)
    else
        redis.call('ZADD', ENDS, text(ends), 'r' .. key)
    end
    return true
end

local function count(key, of, amount, version, ends)
    local before = redis.call('HGET', counter .. key, of)
    if before and tonumber(string.match(before, '^%-?%d+ (%d+) ')) >= version then return false end
    redis.call('HSET', counter .. key, of, text(ends) .. ' ' .. text(version) .. ' ' .. amount)
    redis.call('SADD', COUNTERS, key)
    if ends < 0 then
        redis.call('ZREM', ENDS, 'c' .. key)
    else
        local known = redis.call('ZSCORE', ENDS, 'c' .. key)
        if not known or tonumber(known) < ends then redis.call('ZADD', ENDS, text(ends), 'c' .. key) end
    end
    return true
end

local function apply(verb, key, value, amount, of, version, ends, absent)
    if verb == 'put' then return put(key, value, ends, absent) end
    if verb == 'count' then return count(key, of, amount, version, ends) end
    if verb == 'drop' then
        drop_record(key)
        drop_counter(key)
    end
    return true
end

-- What is over goes, a little at a time.
for _, member in ipairs(redis.call('ZRANGEBYSCORE', ENDS, '-inf', text(now), 'LIMIT', 0, 100)) do
    local key = string.sub(member, 2)
    if string.sub(member, 1, 1) == 'r' then drop_record(key) else drop_counter(key) end
end

redis.call('HSETNX', META, 'life', fresh)
local told = tonumber(redis.call('HGET', META, 'told') or '0')
local before = told
for at = writes, #ARGV, 8 do
    local verb, key, value, amount, of, version, ttl, absent = unpack(ARGV, at, at + 7)
    version, ttl = tonumber(version), tonumber(ttl)
    local ends = -1
    if ttl >= 0 then ends = now + ttl end
    if apply(verb, key, value, amount, of, version, ends, absent == '1') then
        told = told + 1
        redis.call('XADD', LOG, 'MAXLEN', '~', text(remembered), text(told) .. '-0',
            'a', origin, 'v', verb, 'k', key, 'd', value, 'n', amount, 'o', of, 'i', text(version), 'e', text(ends))
    end
end
if told > before then redis.call('HSET', META, 'told', text(told)) end

-- A server that was started anew may have lost what it did not write to its disk in time.
local server = redis.pcall('INFO', 'server')
local run = type(server) == 'string' and string.match(server, 'run_id:(%x+)') or ''

local gap, entries = 0, {}
if since > told then
    gap = 1
elseif since >= 0 and since < told then
    entries = redis.call('XRANGE', LOG, text(since + 1) .. '-0', '+', 'COUNT', text(most))
    if #entries == 0 or entries[1][1] ~= text(since + 1) .. '-0' then gap = 1 end
end
local last, more = told, gap == 0 and #entries == most
if more then last = tonumber(string.match(entries[most][1], '^(%d+)')) end
local changes = {}
if gap == 0 then
    for _, entry in ipairs(entries) do
        local f = entry[2]
        if f[2] ~= origin then changes[#changes + 1] = {f[4], f[6], f[8], f[10], f[12], f[14], f[16]} end
    end
end
return {redis.call('HGET', META, 'life'), run, text(last), gap, more and 1 or 0, text(now), changes}
