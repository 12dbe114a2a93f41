--- Hands23 (Cheng et al., NeurIPS 2023): allMergedBlur/NAME.jpg, allMergedTxt/NAME.jpg.txt and masks_sam/, which the
-- set's own script makes. A line of a text is a hand, counted from 0:
--   side | state | hand box | object box | touch | box of a second object | grasp       boxes x0, y0, x1, y1, or None
-- Its masks are 2_LINE_NAME.png, the hand, 3_LINE_NAME.png, the object, 5_LINE_NAME.png, the second object.
local core = require "cohesiv.core"
local lists = require "cohesiv.base.lists"
local shipped = require "cohesiv.data.shipped"

local FROM = "https://github.com/ddshan/hands23_data"

local M = { title = "Hands23", from = FROM, parts = {
  { "allMergedBlur", what = "the pictures", from = FROM, needed = true },
  { "allMergedTxt", what = "the annotations", from = FROM },
  { "masks_sam", what = "the masks, made by sam/get_sam_masks.py", from = FROM },
  { "allMergedSplit", what = "the splits", from = FROM },
} }
M.parts.pictures = M.parts[1]

function M.fits(path) return shipped.find(path, { "allMergedBlur", "allMergedTxt" }) ~= nil end

function M.list(data)
  local set, texts = {}, lists.set(shipped.list(data.path .. "/allMergedTxt"))
  data.mask_files = lists.set(shipped.list(data.path .. "/masks_sam"))
  for _, file in ipairs(shipped.pictures(data.path .. "/allMergedBlur")) do
    local text = texts[file .. ".txt"] and ("%s/allMergedTxt/%s.txt"):format(data.path, file)
    set[shipped.stem(file)] = { pictures = { "allMergedBlur/" .. file }, stem = shipped.stem(file), text = text,
      numbers = not text and {} or nil }
  end
  return set
end

function M.annotated(data, entry)
  return entry.text and data.mask_files[("2_0_%s.png"):format(entry.stem)] and true or false
end

local SIDES = { left_hand = "left", right_hand = "right" }

local function box_of(text, where)
  if text == "None" then return nil end
  local box = {}
  for word in (text .. ","):gmatch "([^,]*)," do box[#box + 1] = tonumber((word:gsub("['%s]", ""))) or false end
  if #box == 4 and box[1] and box[2] and box[3] and box[4] then return box end
  core.refuse("%s: expected a box x0, y0, x1, y1 or None, found %s", where, core.found(text))
end

local function mask_of(data, entry, kind, k)
  local file = ("%d_%d_%s.png"):format(kind, k, entry.stem)
  return data.mask_files[file] and core.io.png_read(("%s/masks_sam/%s"):format(data.path, file), "mask") or nil
end

function M.scene(data, entry)
  local seen, k = { hands = {}, objects = {} }, 0
  if not entry.text then return seen end
  for line in core.io.read_file(entry.text, 1 << 20):gmatch "[^\r\n]+" do
    local where, fields = ("%s: line %d"):format(entry.text, k + 1), {}
    for field in (line .. "|"):gmatch "%s*(.-)%s*|" do fields[#fields + 1] = field end
    if #fields ~= 7 then core.refuse("%s: expected 7 fields between |, found %d", where, #fields) end
    if not SIDES[fields[1]] then
      core.refuse("%s: expected left_hand or right_hand, found %s", where, core.found(fields[1]))
    end
    local hand = { side = SIDES[fields[1]], contact = fields[2], box = box_of(fields[3], where),
      held_box = box_of(fields[4], where), touch = fields[5], grasp = fields[7], mask = mask_of(data, entry, 2, k) }
    hand.object = hand.held_box and "object"
    hand.held = hand.held_box and mask_of(data, entry, 3, k)
    if hand.mask then seen.height, seen.width = table.unpack(hand.mask.shape) end
    table.insert(seen.hands, hand)
    if hand.held_box then
      table.insert(seen.objects, { name = "object", box = hand.held_box, mask = hand.held })
    end
    local second = box_of(fields[6], where)
    if second then
      table.insert(seen.objects, { name = "second object", box = second, mask = mask_of(data, entry, 5, k) })
    end
    k = k + 1
  end
  return seen
end

function M.open(path) return shipped.open(path, M) end

return M
