--- HO-3D (Hampali et al., CVPR 2020), versions 2 (PNG frames) and 3 (JPEG): SPLIT/CLIP/rgb/%04d.{png,jpg} and
-- SPLIT/CLIP/seg/%04d.{png,jpg}, pictures in which the (right) hand is blue and the object green. A clip is a sequence,
-- SPLIT/CLIP; its frame 0 is the lowest number. Colours of JPEG are taken from half of their range on.
local core = require "cohesiv.core"
local image = require "cohesiv.tensor.image"
local shipped = require "cohesiv.data.shipped"

local FROM = "https://github.com/shreyashampali/ho3d"
local SPLITS = { "train", "evaluation" }

local M = { title = "HO-3D", from = FROM, parts = {
  { "train", what = "the sequences to train on", from = FROM },
  { "evaluation", what = "the sequences of the evaluation, without masks", from = FROM },
  { "train.txt", what = "the list of frames", from = FROM },
} }
M.parts.pictures = M.parts[1]

function M.fits(path)
  for _, split in ipairs(SPLITS) do
    local place = path .. "/" .. split
    local first = shipped.list(place)[1]
    if first and core.io.status(("%s/%s/rgb"):format(place, first)) == "folder" then return true end
  end
  return false
end

function M.list(data)
  local set = {}
  for _, split in ipairs(SPLITS) do
    for _, name in ipairs(shipped.list(data.path .. "/" .. split)) do
      local place = ("%s/%s"):format(split, name)
      local files = shipped.pictures(("%s/%s/rgb"):format(data.path, place))
      if files[1] then
        local seg, entry = {}, { pictures = {}, seg = {}, numbers = {} }
        for _, file in ipairs(shipped.pictures(("%s/%s/seg"):format(data.path, place))) do
          seg[shipped.stem(file)] = file
        end
        for i, file in ipairs(files) do
          entry.pictures[i] = ("%s/rgb/%s"):format(place, file)
          local labels = seg[shipped.stem(file)]
          if labels then
            entry.seg[i - 1] = ("%s/%s/seg/%s"):format(data.path, place, labels)
            table.insert(entry.numbers, i - 1)
          end
        end
        set[place] = entry
      end
    end
  end
  return set
end

function M.annotated(_, entry) return #entry.numbers > 0 end

-- Where a channel is bright, at the size of the frames.
local function bright(picture, channel, w, h)
  local one = picture:narrow(3, channel, 1):contiguous():reshape { picture.shape[1], picture.shape[2] }
  if picture.shape[1] ~= h or picture.shape[2] ~= w then
    one = core.io.resample(one, w / picture.shape[2], h / picture.shape[1], w, h, w, h)
  end
  return core.ops.ge.call(one:to "float32", 128):to "uint8"
end

function M.scene(data, entry, n)
  if not entry.seg[n] then return {} end
  local frame = image.read(data.path .. "/" .. entry.pictures[n + 1])
  local h, w = table.unpack(frame.shape)
  local picture = image.read(entry.seg[n])
  local hand, object = bright(picture, 3, w, h), bright(picture, 2, w, h)
  local there = core.outline.place(object) ~= nil
  return { width = w, height = h,
    hands = { { side = "right", mask = hand, held = there and object or nil, object = there and "object" or nil } },
    objects = there and { { name = "object", mask = object } } or {} }
end

function M.open(path) return shipped.open(path, M) end


return M
