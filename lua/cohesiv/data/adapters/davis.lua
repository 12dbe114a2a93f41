--- The layout of DAVIS (Pont-Tuset et al., arXiv:1704.00675), YouTube-VOS's too: JPEGImages/[480p/]CLIP/%05d.jpg and
-- Annotations/[480p/]CLIP/%05d.png, pictures with a palette whose indices are objects. The objects are no hands: there
-- are masks by object (data:objects), none to evaluate hands with.
local core = require "cohesiv.core"
local lists = require "cohesiv.base.lists"
local shipped = require "cohesiv.data.shipped"

local FROM = "https://davischallenge.org"
local RESOLUTIONS = { "480p", "1080p", "Full-Resolution" }

local M = { title = "the DAVIS layout", from = FROM, parts = {
  { "JPEGImages", what = "the frames", from = FROM, needed = true },
  { "Annotations", "Annotations_unsupervised", what = "the masks", from = FROM },
} }
M.parts.pictures = M.parts[1]

-- Where the clips lie: JPEGImages/480p/ or JPEGImages/ itself.
local function within(path, place)
  for _, resolution in ipairs(RESOLUTIONS) do
    local inner = ("%s/%s"):format(place, resolution)
    if core.io.status(path .. "/" .. inner) == "folder" then return inner end
  end
  return place
end

function M.fits(path)
  if core.io.status(path .. "/ImageSets/Main") then return false end -- PASCAL VOC
  local first = shipped.list(path .. "/JPEGImages")[1]
  return first ~= nil and core.io.status(path .. "/JPEGImages/" .. first) == "folder"
end

function M.list(data)
  local set, images = {}, within(data.path, "JPEGImages")
  local masks = within(data.path, shipped.find(data.path, M.parts[2]) or "Annotations")
  for _, name in ipairs(shipped.list(data.path .. "/" .. images)) do
    local files = shipped.pictures(("%s/%s/%s"):format(data.path, images, name))
    if files[1] then
      local labels = lists.set(shipped.pictures(("%s/%s/%s"):format(data.path, masks, name)))
      local entry = { pictures = {}, labels = {}, numbers = {} }
      for i, file in ipairs(files) do
        entry.pictures[i] = ("%s/%s/%s"):format(images, name, file)
        local label = shipped.stem(file) .. ".png"
        if labels[label] then
          entry.labels[i - 1] = ("%s/%s/%s/%s"):format(data.path, masks, name, label)
          table.insert(entry.numbers, i - 1)
        end
      end
      set[name] = entry
    end
  end
  return set
end

function M.annotated() return false end

local VOID = 255 -- of PASCAL VOC's palettes: not said

function M.scene(_, entry, n)
  if not entry.labels[n] then return {} end
  local labels = core.io.png_read(entry.labels[n], "labels")
  local seen = { height = labels.shape[1], width = labels.shape[2], objects = {} }
  local values = core.outline.labels(labels)
  for _, value in ipairs(values) do
    -- a grey 255 beside 0 alone is the one object of DAVIS 2016
    if value ~= 0 and (value ~= VOID or #values <= 2) then
      table.insert(seen.objects, { name = ("%d"):format(value), mask = core.outline.label(labels, value) })
    end
  end
  return seen
end

function M.open(path) return shipped.open(path, M) end

return M
