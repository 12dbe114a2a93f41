--- Boxes of hands and of what they hold, as detectors write them, a file or folder a clip in detections/ of a data
-- folder. Boxes are {x0, y0, x1, y1} in the clip's pixels, as the tool has them.
--   Hands23 (Cheng et al., NeurIPS 2023): NAME.json, the result.json of its demo: { images = [{ file_name,
--     predictions = [{ hand_bbox, hand_side, contact_state, obj_bbox, hand_pred_score, obj_pred_score, … }] }] }
--   hand_object_detector (Shan et al., CVPR 2020): rows x0, y0, x1, y1, score, state, and an offset as length, dx, dy,
--     then the side, of hands and of objects, as
--       NAME.pkl     the detections.pkl of its test: by class (background, object, hand) and frame
--       NAME/        the texts of its evaluation, …_hand.txt and …_targetobject.txt: "frame score x0 y0 x1 y1 state …",
--                    pixels from 1
--       NAME.json, NAME.pkl    { "FRAME": { "hand_dets": rows, "obj_dets": rows } }, what its demo has of each picture
-- A picture's name tells its frame: of a folder of pictures the one of that name, else the number that it ends in,
-- from 0.
local core = require "cohesiv.core"
local json, kinds, lists = require "cohesiv.base.json", require "cohesiv.base.kinds", require "cohesiv.base.lists"
local M = {}

local FORMS = { ".json", ".pkl", ".pickle", "" }
local TOUCHES = { [0] = "none", "self", "other person", "portable object", "stationary object" } -- by state
local REACH = 10000 -- pixels that an offset of length 1 is

local function frame_of(path, clip, name)
  local file = tostring(name):match "[^/\\]*$"
  local stem = file:gsub("%.%a+$", "")
  local n = clip.source.number and clip.source:number(stem)
  if not n then
    local digits = stem:match "(%d+)$"
    n = digits and #digits <= 15 and math.tointeger(tonumber(digits))
    if not n then core.refuse("%s: expected names that end in a frame's number, found %s", path, core.text(name)) end
  end
  if n >= clip.frames then
    core.refuse("%s: expected frames of 0 to %d, found %s", path, clip.frames - 1, core.text(name))
  end
  return n
end

local function box_of(where, what, value)
  if kinds.absent(value) or value == "None" then return nil end
  local box = {}
  for i = 1, type(value) == "table" and #value == 4 and 4 or 0 do box[i] = kinds.spelled(value[i]) end
  if #box == 4 and box[1] <= box[3] and box[2] <= box[4] then return box end
  core.refuse("%s: %s: expected x0, y0 up to x1, y1, found %s", where, what, kinds.entries(value))
end

-- ---- Hands23 ----
local SIDES = { left_hand = "left", right_hand = "right" }

local function hands23(path, doc, clip)
  local frames = {}
  for i, image in ipairs(doc.images) do
    if type(image) ~= "table" or type(image.file_name) ~= "string" then
      core.refuse("%s: images[%d]: expected file_name and predictions, found %s", path, i, kinds.found(image))
    end
    local n = frame_of(path, clip, image.file_name)
    if frames[n] then core.refuse("%s: expected frame %d once, found %s too", path, n, image.file_name) end
    frames[n] = lists.map(kinds.absent(image.predictions) and {} or image.predictions, function(p, k)
      local where = ("%s: images[%d]: predictions[%d]"):format(path, i, k)
      if type(p) ~= "table" then core.refuse("%s: expected an object, found %s", where, kinds.found(p)) end
      local box = box_of(where, "hand_bbox", p.hand_bbox)
      if not box then core.refuse("%s: expected hand_bbox, found none", where) end
      local object = box_of(where, "obj_bbox", p.obj_bbox)
      return { side = SIDES[p.hand_side], score = kinds.spelled(p.hand_pred_score) or 1, box = box,
        object_box = object, object_score = object and (kinds.spelled(p.obj_pred_score) or 1),
        contact = type(p.contact_state) == "string" and p.contact_state or nil }
    end)
  end
  return frames
end

-- ---- hand_object_detector ----
-- Rows of numbers, of an array or a list.
local function rows_of(where, value)
  if kinds.absent(value) then return {} end
  if core.is_tensor(value) then
    if value:numel() == 0 then return {} end
    value = #value.shape == 2 and value:to("float64"):totable() or {}
  end
  if not kinds.is_list(value) then core.refuse("%s: expected rows of numbers, found %s", where, kinds.found(value)) end
  for i, row in ipairs(value) do
    local fine = type(row) == "table" and #row >= 10
    for k = 1, fine and #row or 0 do fine = fine and kinds.spelled(row[k]) ~= nil end
    if not fine then
      core.refuse("%s: row %d: expected 10 numbers or more, found %s", where, i,
        type(row) == "table" and #row .. " entries" or kinds.found(row))
    end
  end
  return value
end

local function middle(row) return (row[1] + row[3]) / 2, (row[2] + row[4]) / 2 end

-- The tool's own rule: a hand that touches has the object whose middle is nearest to where its offset leads.
local function paired(where, hands, objects)
  return lists.map(hands, function(hand)
    local state, held, nearest = math.tointeger(hand[6]) or 0, nil, math.huge
    local x, y = middle(hand)
    x, y = x + hand[7] * REACH * hand[8], y + hand[7] * REACH * hand[9]
    for _, object in ipairs(state > 0 and objects or {}) do
      local u, v = middle(object)
      local d = (u - x) ^ 2 + (v - y) ^ 2
      if d < nearest then held, nearest = object, d end
    end
    return { side = hand[10] > 0.5 and "right" or "left", score = hand[5], contact = TOUCHES[state],
      box = box_of(where, "hand", { table.unpack(hand, 1, 4) }),
      object_box = held and box_of(where, "object", { table.unpack(held, 1, 4) }), object_score = held and held[5] }
  end)
end

-- By class, then by frame in their order.
local function by_class(path, doc, clip)
  local frames = {}
  if #doc ~= 3 or type(doc[2]) ~= "table" or type(doc[3]) ~= "table" then
    core.refuse("%s: expected detections of background, object and hand by frame, found %d classes", path, #doc)
  end
  if #doc[3] > clip.frames then
    core.refuse("%s: expected detections of %d frames, found %d", path, clip.frames, #doc[3])
  end
  for i = 1, #doc[3] do
    local where = ("%s: frame %d"):format(path, i - 1)
    frames[i - 1] = paired(where, rows_of(where, doc[3][i]), rows_of(where, doc[2][i]))
  end
  return frames
end

local function by_frame(path, doc, clip)
  local frames, first = {}, doc[0] == nil and doc[1] ~= nil and 1 or 0 -- of a list the first is frame 0
  for name, value in pairs(doc) do
    if math.type(name) == "integer" then name = name - first end
    if type(value) ~= "table" or value.hand_dets == nil then
      core.refuse("%s: expected images (Hands23) or FRAME = { hand_dets, obj_dets }, found the keys %s", path,
        kinds.keys(doc))
    end
    local n = frame_of(path, clip, name)
    if frames[n] then core.refuse("%s: expected frame %d once, found %s too", path, n, core.text(name)) end
    local where = ("%s: %s"):format(path, name)
    frames[n] = paired(where, rows_of(where, value.hand_dets), rows_of(where, value.obj_dets))
  end
  return frames
end

-- Lines "frame score x0 y0 x1 y1 state …" as rows by frame.
local function text_rows(path, clip)
  local rows, number = {}, 0
  for line in core.io.read_file(path, 1 << 29):gmatch "[^\r\n]+" do
    number = number + 1
    local name, rest = line:match "^%s*(%S+)%s+(.*)$"
    local values = {}
    for word in (rest or ""):gmatch "%S+" do values[#values + 1] = kinds.spelled(word) or false end
    local row = { values[2], values[3], values[4], values[5], values[1], table.unpack(values, 6) }
    for i = 1, #values < 10 and 1 or #values do
      if #values < 10 or not values[i] then
        core.refuse("%s: line %d: expected a frame and 10 numbers or more, found %s", path, number, core.text(line))
      end
    end
    for i = 1, 4 do row[i] = row[i] - 1 end
    local n = frame_of(path, clip, name)
    rows[n] = rows[n] or {}
    table.insert(rows[n], row)
  end
  return rows
end

local function of_texts(path, clip)
  local found = {}
  for _, name in ipairs(core.io.list(path)) do
    local kind = name:match "_hand%.txt$" and "hand" or name:match "_targetobject%.txt$" and "object"
    if kind and found[kind] then core.refuse("%s: expected one text of each class, found %s too", path, name) end
    if kind then found[kind] = name end
  end
  if not found.hand then
    core.refuse("%s: expected …_hand.txt and …_targetobject.txt of hand_object_detector, found %s", path,
      core.io.list(path)[1] or "nothing")
  end
  local hands = text_rows(path .. "/" .. found.hand, clip)
  local objects, frames = found.object and text_rows(path .. "/" .. found.object, clip) or {}, {}
  for n, rows in pairs(hands) do frames[n] = paired(("%s: frame %d"):format(path, n), rows, objects[n] or {}) end
  return frames
end

--- read(path, clip): what a file or folder holds, by frame (from 0): lists of { side, score, box, object_box,
-- object_score, contact }. Frames that it does not name show no hands.
function M.read(path, clip)
  if core.io.status(path) == "folder" then return of_texts(path, clip) end
  local doc
  if path:find "%.json$" then doc = json.read(path) else doc = core.io.pickle_read(path) end
  if type(doc) ~= "table" then core.refuse("%s: expected an object, found %s", path, kinds.found(doc)) end
  if type(doc.images) == "table" then return hands23(path, doc, clip) end
  if doc[1] ~= nil and type(doc[1]) == "table" and doc[1].hand_dets == nil then return by_class(path, doc, clip) end
  return by_frame(path, doc, clip)
end

--- of(clip): the same of a clip's detections/NAME in its data folder; nil where there are none.
function M.of(clip)
  for _, form in ipairs(clip.root and FORMS or {}) do
    local path = ("%s/detections/%s%s"):format(clip.root, clip.own_name or clip.name, form)
    if core.io.status(path) == (form == "" and "folder" or "file") then return M.read(path, clip) end
  end
end

return M
