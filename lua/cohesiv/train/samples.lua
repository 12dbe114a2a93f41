--- The samples of a training run: a loader of batches that makes damaged samples again, and the list that tells
-- whether the data is still what the run began with. How a sample is made is in labels.lua.
local core = require "cohesiv.core"
local json, lists = require "cohesiv.base.json", require "cohesiv.base.lists"
local M = {}

local Loader = {}
Loader.__index = Loader

--- loader(source, options): batches of a source's samples: { entries = list of { path, … }, mend }, where mend(entry)
-- makes a sample again that could not be read; the batch then is what it would have been. options: batch (samples),
-- seed, shuffle, workers; weights (an epoch has each sample as often as its share of their sum tells); rank and count
-- (1 of 1): of several processes that each train on their part of every batch, which one this is; and what a sample
-- is, one of:
--   collate = { NAME = "stack" | "concat", … }: arrays of a .npz file; a batch has them stacked, N×…, or one behind
--     the other, with NAME_index: which sample, from 1, each row is of
--   size, stride, augment, tau, band: pseudo-labels of hands (labels.lua), scaled to that size and collated as image,
--     label, maps, points, image_index; labels, maps and points of every stride-th pixel, as the network answers
function M.loader(source, options)
  options.paths = lists.map(source.entries, function(entry) return entry.path end)
  return setmetatable({ source = source, core = core.loader(options) }, Loader)
end

--- next(): the next batch.
function Loader:next()
  local mended = {}
  while true do
    local ok, batch = pcall(self.core.next, self.core)
    if ok then return batch end
    local at = self.core:damaged()
    if not at or mended[at] then core.error(batch, 0) end
    mended[at] = true
    self.source.mend(self.source.entries[at])
  end
end

--- entries(batch): the source's entries that a batch of next() is of, in its order.
function Loader:entries(batch)
  return lists.map(self.core:samples(batch.epoch, batch.index), function(i) return self.source.entries[i] end)
end

function Loader:seek(epoch, index) self.core:seek(epoch, index) end
function Loader:batches() return self.core:batches() end
function Loader:close() self.core:close() end

-- The lines of the list and the entries that they are of.
local function lines_of(samples)
  local lines, entries = {}, {}
  for _, use in ipairs { "train", "validation" } do
    for _, entry in ipairs(samples[use]) do
      entries[#entries + 1] = entry
      lines[#entries] = json.encode { use, entry.clip, entry.frame, entry.digest }
    end
  end
  return lines, entries
end

--- text(samples): a line of JSON for each, ["train" | "validation", clip, frame, digest], in their order.
function M.text(samples)
  local lines = lines_of(samples)
  lines[#lines + 1] = ""
  return table.concat(lines, "\n")
end

-- "clip cups frame 30"
local function name_of(sample)
  local ok, of = pcall(json.decode, sample .. "]")
  if not ok or type(of) ~= "table" or type(of[2]) ~= "string" then return "a line of another kind" end
  return ("clip %s frame %s"):format(of[2], math.tointeger(of[3]) or "unknown")
end

-- A line without the digest.
local function sample_of(line) return line:match '^(.*),"%x*"%]$' or line end

--- difference(samples, before, mend): nil when the samples are those of the list `before` (text), else what differs, in
-- words. Samples that differ because their files are damaged are made again, up to the first that really differs.
function M.difference(samples, before, mend)
  local old, was, is = {}, {}, {} -- lines; sample → its line
  for line in before:gmatch "[^\n]+" do
    old[#old + 1], was[sample_of(line)] = line, line
  end
  local lines, entries = lines_of(samples)
  for i, entry in ipairs(entries) do
    if was[sample_of(lines[i])] ~= lines[i] then
      if pcall(core.sample_check, entry.path) then break end
      mend(entry)
    end
  end
  if M.text(samples) == before then return nil end
  local new = lines_of(samples)
  for _, line in ipairs(new) do is[sample_of(line)] = line end
  local changed = lists.map(new, function(line) return was[sample_of(line)] ~= line and sample_of(line) end)
  local gone = lists.map(old, function(line) return not is[sample_of(line)] and sample_of(line) end)
  if #changed + #gone == 0 then return "their order differs" end
  return ("%d of %d samples differ, first: %s"):format(#changed + #gone, math.max(#old, #new),
    name_of(changed[1] or gone[1]))
end

return M
