--- A contact sheet of a data folder: frames spread over its clips, with the masks and boxes of what is annotated.
local core = require "cohesiv.core"
local lists = require "cohesiv.base.lists"
local tensor = require "cohesiv.tensor"
local survey = require "cohesiv.data.survey"
local viz = require "cohesiv.tools.viz"
local M = {}

local CELLS, COLUMNS = 12, 4
local WIDTH, HEIGHT, LARGEST = 320, 240, 8 -- of a cell, at most; small pictures are enlarged so many times at most
local RIM = 2 -- pixels

-- The pixels of a box's outline, {x0, y0, x1, y1} in pixels of the unscaled frame.
local function outline(box, s, w, h)
  local function at(v, most) return math.max(0, math.min(most - 1, math.floor((v + 0.5) * s))) end
  local x0, y0, x1, y1 = at(box[1], w), at(box[2], h), at(box[3], w), at(box[4], h)
  local function rectangle(d)
    local left, top, right, bottom = x0 + d, y0 + d, x1 + 1 - d, y1 + 1 - d
    return { left, top, right, top, right, bottom, left, bottom }
  end
  local thin = x1 - x0 < 2 * RIM or y1 - y0 < 2 * RIM
  return core.outline.polygons(thin and { rectangle(0) } or { rectangle(0), rectangle(RIM) }, h, w, 0.5)
end

-- A frame with what is annotated over it, at the size of a cell.
local function cell(data, name)
  local numbers, clip = survey.numbers(data, name), data:clip(name)
  local n = numbers[(#numbers + 1) // 2] or clip.frames // 2
  local s = math.min(LARGEST, WIDTH / clip.width, HEIGHT / clip.height)
  local w, h = math.max(1, math.floor(clip.width * s)), math.max(1, math.floor(clip.height * s))
  local picture = core.io.resample(clip:frame(n), s, s, w, h, w, h)
  clip:close()
  local hands, objects = {}, {}
  if numbers[1] then hands, objects = survey.seen(data, name, n) end
  local function scaled(mask, box)
    if mask then return core.io.resample(mask * 255, s, s, w, h, w, h):to "float32" - 127 end
    return box and outline(box, s, w, h)
  end
  local function over(mask, colour)
    if not mask then return end
    if mask.dtype ~= "uint8" then mask = mask:relu() end
    picture = viz.overlay(picture, mask, { color = colour })
  end
  for _, object in ipairs(objects) do over(scaled(object.mask, object.box), viz.colors.object) end
  for _, hand in ipairs(hands) do
    over(scaled(hand.held, hand.held_box), viz.colors.object)
    over(scaled(hand.mask, hand.box), viz.colors.hand)
  end
  return picture
end

--- picture(data): uint8 H×W×3, nil where there are no clips, and a list of what did not open, whose cells are empty.
function M.picture(data)
  local names, failed = data.clips, {}
  local count = math.min(CELLS, #names)
  if count == 0 then return nil, failed end
  local cells, some = {}, false
  for i = 1, count do
    local name = names[(2 * i - 1) * #names // (2 * count) + 1]
    local ok, made = pcall(tensor.tidy, cell, data, name)
    if not ok and tostring(made):find("interrupted", 1, true) then core.error(made) end
    cells[i], some = ok and made, some or ok
    if not ok then failed[#failed + 1] = tostring(made) end
  end
  return some and viz.grid(cells, math.min(COLUMNS, count)) or nil, lists.keys(lists.set(failed))
end

return M
