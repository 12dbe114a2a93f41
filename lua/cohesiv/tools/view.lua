--- A clip's maps as one HTML page that needs nothing beside it (view.html): frames, landmarks, flow, and for every gap
-- and hand the logit of its softmax, so that the page computes the maps of any temperature itself.
--
-- The logit of a hand is d_background - d_hand, in pixels of the map. Averaged to at most 240 pixels a side it becomes
-- a plane of bytes, finer where the softmax turns: b = 128 + 127 sign(l) sqrt(min(|l|, LIMIT) / LIMIT). Three planes
-- are the channels of a PNG, and the page undoes it.
local core = require "cohesiv.core"
local home, lists = require "cohesiv.base.home", require "cohesiv.base.lists"
local json, progress = require "cohesiv.base.json", require "cohesiv.base.progress"
local tensor, image = require "cohesiv.tensor", require "cohesiv.tensor.image"
local flows, scale = require "cohesiv.motion.flow", require "cohesiv.motion.scale"
local escape = require("cohesiv.tools.svg").escape
local M = {}

local FOLDER = home.modules .. "cohesiv/tools/"
local LIMIT = 64 -- pixels: larger logits are as good as this one
local MAP_SIDE, PICTURE_SIDE = 240, 640 -- of maps and frames in the page, at most
local BUDGET, SAMPLES = 10e6, 3 -- bytes that the page shall have, and frames that its size is told by
local FAR = 1e6 -- pixels: beyond the horizon
-- The first left and right hand's, and others' in their order.
local COLORS = { left = { 64, 148, 255 }, right = { 255, 146, 43 },
  { 240, 101, 190 }, { 56, 217, 169 }, { 255, 224, 102 }, { 130, 201, 30 }, { 99, 230, 250 }, { 255, 107, 107 } }

-- w × h made to fit a square, at the least 1 × 1.
local function within(w, h, side)
  local s = math.min(1, side / math.max(w, h))
  local function fit(n) return math.max(1, math.floor(n * s + 0.5)) end
  return fit(w), fit(h)
end

-- What shows the picture of t, H×W… with padding, at the size of the page's maps.
local function shrunk(t, sizes)
  local w, h = sizes.map_w, sizes.map_h
  local content = t[{ { 1, sizes.content_h }, { 1, sizes.content_w } }]:contiguous()
  if w == sizes.content_w and h == sizes.content_h then return content end
  return core.io.resample(content, w / sizes.content_w, h / sizes.content_h, w, h, w, h)
end

local function channels(t, first, count) return t:narrow(3, first, count) end

-- Planes H×W×C of uint8 as PNGs of three each; places that are left over are 0.
local function packed(planes)
  local height, width, count = table.unpack(planes.shape)
  local list = {}
  for first = 1, count, 3 do
    local some = channels(planes, first, math.min(3, count - first + 1))
    local rest = 3 - some.shape[3]
    if rest > 0 then some = tensor.cat({ some, core.full(0, height, width, rest, { dtype = "uint8" }) }, 3) end
    list[#list + 1] = core.io.base64(core.io.png_bytes(some:contiguous()))
  end
  return list
end

-- The logits of hand k, H×W×gaps, as bytes. Beyond both horizons the background has the pixel.
local function logits(R, k, sizes)
  local residuals, planes, N = R.residuals, {}, R.map.shape[3] - 1
  for g in ipairs(R.gaps) do
    local background = residuals[g]:select(3, N + 1):clamp(0, FAR)
    planes[g] = (background - residuals[g]:select(3, k):clamp(0, 2 * FAR)):clamp(-LIMIT, LIMIT)
  end
  local l = shrunk(tensor.stack(planes, 3), sizes) / LIMIT
  return ((l:relu():sqrt() - (-l):relu():sqrt()) * 127 + 128.5):to "uint8"
end

local function color_picture(t, quality) return core.io.base64(image.jpeg(t, { quality = quality })) end

-- The vectors' length at which colours are full, by gap: the largest mean and three deviations that were seen.
local function full_of(R, full, content)
  for g, gap in ipairs(R.gaps) do
    local flow = R.flows[g][{ { 1, content[2] }, { 1, content[1] } }]
    local length = (flow ^ 2):sum(3):sqrt()
    local most = length:mean():item() + 3 * math.sqrt(length:var():item())
    full[gap] = math.max(full[gap] or 0, math.floor(most * 10 + 5) / 10)
  end
end

-- A hand that is none of those known: the `count`-th of its side.
local function new_hand(known, side, count)
  local name, color = side and side:gsub("^%l", string.upper) .. " hand" or "Hand", count == 1 and COLORS[side]
  if not color then
    known.others = (known.others or 0) + 1
    color = COLORS[(known.others - 1) % #COLORS + 1]
  end
  known[#known + 1] = { side = side, name = count > 1 and ("%s %d"):format(name, count) or name, color = color }
  return #known
end

-- Which of the clip's hands each hand of a frame is, places in `known`, which grows: the n-th of its side.
local function slots(hands, known)
  local counts = {}
  return lists.map(hands, function(hand)
    local side, left = hand.side, (counts[hand.side or ""] or 0) + 1
    counts[side or ""] = left
    for place, other in ipairs(known) do
      if other.side == side then left = left - 1 end
      if left == 0 then return place end
    end
    return new_hand(known, side, counts[side or ""])
  end)
end

local function points_of(hand)
  return lists.map(hand.vertices:totable(), function(p)
    return { math.floor(p[1] * 10 + 0.5) / 10, math.floor(p[2] * 10 + 0.5) / 10 }
  end)
end

-- The content's and the page's sizes, of maps and frames.
local function sizes_of(clip, size)
  local sc = clip:scale(size)
  local sizes = { content_w = sc.content_w, content_h = sc.content_h }
  sizes.map_w, sizes.map_h = within(sc.content_w, sc.content_h, MAP_SIDE)
  sizes.picture_w, sizes.picture_h = within(clip.width, clip.height, PICTURE_SIDE)
  return sizes
end

-- What the page knows of frame n: an entry of its list of frames.
local function entry(page, n)
  local clip, sizes = page.clip, page.sizes
  local R = clip:responsibility(n, page.options)
  page.temperature, page.background = R.temperature, R.background
  if page.measuring then full_of(R, page.full, { sizes.content_w, sizes.content_h }) end
  local hands = clip:hands(n)
  local at = slots(hands, page.hands)
  local sharp = #hands > 0
    and shrunk(R:with { sharpen = clip:scaled(n, { size = R.size }) }.map, sizes) or nil
  return {
    n = n, gaps = R.gaps,
    image = color_picture(clip:scaled(n, { size = { sizes.picture_w, sizes.picture_h }, padded = false }), 80),
    flow = lists.map(R.gaps, function(gap, g)
      local flow = shrunk(R.flows[g], sizes)
      return color_picture(flows.color(flow, { full = page.full[gap] }), 75)
    end),
    hands = json.list(lists.map(hands, function(hand, k) return { slot = at[k] - 1, points = points_of(hand) } end)),
    logits = json.list(lists.map(hands, function(_, k) return packed(logits(R, k, sizes)) end)),
    sharpened = json.list(sharp and packed((channels(sharp, 1, #hands) * 255 + 0.5):to "uint8") or {}),
  }
end

local function made(page, n)
  if core.system.stopped() then core.refuse "interrupted" end
  return tensor.tidy(function() return json.encode(entry(page, n)) end)
end

-- Frames of the clip that have a neighbour at one of these gaps; the first of them all if none has, which is refused.
local function with_neighbours(clip, first, last, every, gaps)
  local frames = {}
  for n = first, last, every do
    local some = type(gaps) ~= "table"
    for _, gap in ipairs(some and {} or gaps) do some = some or n + gap >= 0 and n + gap < clip.frames end
    if some then frames[#frames + 1] = n end
  end
  return #frames > 0 and frames or { first }
end

-- The frames of the page. Some are made beforehand, to find out how many there may be and how long vectors are.
local function choose(page, first, last, every)
  local gaps, bytes = page.options.gaps, 0
  local all = with_neighbours(page.clip, first, last, every or 1, gaps)
  local samples = math.min(SAMPLES, #all)
  page.measuring = true
  for i = 1, samples do bytes = bytes + #made(page, all[1 + (2 * i - 1) * #all // (2 * samples)]) / samples end
  page.measuring = false
  every = every or math.max(1, math.ceil(#all * bytes / (0.97 * BUDGET)))
  return with_neighbours(page.clip, first, last, every, gaps), every
end

local function text_of(page, frames, every)
  local texts, bar = {}, progress.new("view", #frames)
  for i, n in ipairs(frames) do
    texts[i] = made(page, n)
    bar:update(i)
  end
  bar:finish()
  local bones, landmarks = core.picture.bones()
  local clip, sizes, full = page.clip, page.sizes, {}
  for gap, length in pairs(page.full) do full[tostring(gap)] = length end
  local head = json.encode {
    count = clip.frames, size = { clip.width, clip.height }, picture = { sizes.picture_w, sizes.picture_h },
    map = { sizes.map_w, sizes.map_h }, limit = LIMIT, temperature = page.temperature, rate = clip:rate() / every,
    hands = json.list(lists.map(page.hands, function(hand) return { name = hand.name, color = hand.color } end)),
    bones = bones, landmarks = landmarks, full = full, sharpened = #page.hands > 0,
  }
  return ('%s,"frames":[%s]}'):format(head:sub(1, -2), table.concat(texts, ",\n"))
end

--- write(clip, path, { first, last, every, options }): the page of a clip, whole or not at all. first, last: its
-- frames, by default all; every: the step from one to the next, by default so that the page has at most 10 MB;
-- options: those of clip:responsibility. Returns the frames shown, the step and the page's bytes.
function M.write(clip, path, o)
  local folder = path:match "^(.*/)[^/]*$" or "."
  if core.io.status(folder) ~= "folder" then core.refuse("%s: expected a folder to write in, found none", path) end
  local options = lists.copy(o.options or {})
  options.size = options.size or scale.default
  local page = { clip = clip, options = options, sizes = sizes_of(clip, options.size), hands = {}, full = {} }
  local first, last = o.first or 0, math.min(o.last or math.huge, clip.frames - 1)
  if first > last then
    core.refuse("view: frames: expected some of 0 to %d, found %d to %d", clip.frames - 1, first, o.last or first)
  end
  local frames, every = choose(page, first, last, o.every)
  page.hands = {}
  local data = text_of(page, frames, every):gsub("</", "<\\/")
  local style = core.io.read_file(FOLDER .. "page.html"):match "<style>\n(.-)</style>"
  local lead = ("%d × %d, %d of %d frames, maps of %d × %d (shown %d × %d), %s background"):format(
    clip.width, clip.height, #frames, clip.frames, options.size[1], options.size[2], page.sizes.map_w,
    page.sizes.map_h, page.background)
  local text = core.io.read_file(FOLDER .. "view.html"):gsub("%$(%l+)", { title = escape(clip.name), style = style,
    data = data, lead = escape(lead) })
  core.io.write_file(path, text)
  return frames, every, #text
end

return M
