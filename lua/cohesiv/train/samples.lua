--- The samples of a training run: a loader of batches that makes damaged samples again, and the list that tells
-- whether the data is still what the run began with. How a sample is made is in labels.lua.
local core = require "cohesiv.core"
local json = require "cohesiv.base.json"
local error = core.error -- a line, whatever it quotes

local M = {}

-- ---- batches ----

local Loader = {}
Loader.__index = Loader

--- loader(source, options): batches of a source's samples: { entries = list of { path, … }, mend }, where mend(entry)
-- makes a sample again that could not be read; the batch then is what it would have been. options: batch (samples),
-- seed, shuffle, workers; rank and count (1 of 1): of several processes that each train on their part of every batch,
-- which one this is; and what a sample is, one of:
--   collate = { NAME = "stack" | "concat", … }: arrays of a .npz file; a batch has them stacked, N×…, or one behind
--     the other, with NAME_index: which sample, from 1, each row is of
--   size, augment, tau, band: pseudo-labels of hands (labels.lua), collated as image, label, maps, points, image_index
function M.loader(source, options)
  options.paths = {}
  for i, entry in ipairs(source.entries) do options.paths[i] = entry.path end
  return setmetatable({ source = source, core = core.loader(options) }, Loader)
end

--- next(): the next batch.
function Loader:next()
  local mended = {}
  while true do
    local ok, batch = pcall(self.core.next, self.core)
    if ok then return batch end
    local at = self.core:damaged()
    if not at or mended[at] then error(batch, 0) end
    mended[at] = true
    self.source.mend(self.source.entries[at])
  end
end

function Loader:seek(epoch, index) self.core:seek(epoch, index) end
function Loader:batches() return self.core:batches() end
function Loader:close() self.core:close() end

-- ---- the list ----

-- Names of clips as JSON has them.
local names = setmetatable({}, { __index = function(t, name)
  t[name] = json.encode(name)
  return t[name]
end })

local function line_of(use, entry)
  return ('["%s",%s,%d,"%s"]'):format(use, names[entry.clip], entry.frame, entry.digest)
end

--- text(samples): a line of JSON for each, ["train" | "validation", clip, frame, digest], in their order.
function M.text(samples)
  local lines = {}
  for _, use in ipairs { "train", "validation" } do
    for _, entry in ipairs(samples[use]) do
      lines[#lines + 1] = line_of(use, entry)
    end
  end
  lines[#lines + 1] = ""
  return table.concat(lines, "\n")
end

local function lines_of(text)
  local list, known = {}, {}
  for line in text:gmatch "[^\n]+" do
    list[#list + 1], known[line] = line, true
  end
  return list, known
end

-- What a line is of: its sample without the digest.
local function sample_of(line) return line:match '^(.*),"%x*"%]$' or line end

-- The samples that only one of two lists has like this, in order.
local function differing(before, now)
  local old, in_old = lines_of(before)
  local new, in_new = lines_of(now)
  local list, told = {}, {}
  local function add(lines, known)
    for _, line in ipairs(lines) do
      local sample = sample_of(line)
      if not known[line] and not told[sample] then
        told[sample] = true
        list[#list + 1] = sample
      end
    end
  end
  add(new, in_old)
  add(old, in_new)
  return list, math.max(#old, #new)
end

-- Makes again what is damaged among the samples that differ, up to the first that really does.
local function mend_differing(samples, before, mend)
  local _, known = lines_of(before)
  for _, use in ipairs { "train", "validation" } do
    for _, entry in ipairs(samples[use]) do
      if not known[line_of(use, entry)] then
        if pcall(core.sample_check, entry.path) then return end
        mend(entry)
      end
    end
  end
end

-- "clip cups frame 30", of a line without its digest
local function name_of(sample)
  local ok, of = pcall(json.decode, sample .. "]")
  if not ok or type(of) ~= "table" or type(of[2]) ~= "string" then return "a line of another kind" end
  return ("clip %s frame %s"):format(of[2], math.tointeger(of[3]) or "unknown")
end

--- difference(samples, before, mend): nil when the samples are those of the list `before` (text), else what differs, in
-- words. A sample that differs because its file is damaged is made again.
function M.difference(samples, before, mend)
  if M.text(samples) == before then return nil end
  mend_differing(samples, before, mend)
  local now = M.text(samples)
  if now == before then return nil end
  local list, count = differing(before, now)
  if #list == 0 then return "their order differs" end
  return ("%d of %d samples differ, first: %s"):format(#list, count, name_of(list[1]))
end

return M
