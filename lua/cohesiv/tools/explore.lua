--- explore(clip): a clip's maps, live in the terminal: keys step through frames and change what maps are made of. What
-- is seen and what keys do is a view, which knows no terminal; the loop below draws it and reads the keys.
local core = require "cohesiv.core"
local failure, options_of = require "cohesiv.base.failure", require "cohesiv.base.options"
local tensor, image = require "cohesiv.tensor", require "cohesiv.tensor.image"
local map_options = require "cohesiv.motion.map_options"
local panel, terminal = require "cohesiv.tools.panel", require "cohesiv.tools.terminal"
local viz = require "cohesiv.tools.viz"
local M = {}

local GAPS = { { -3, -2, -1, 1, 2, 3 }, { -1, 1 }, { -6, -3, -1, 1, 3, 6 }, "motion" }
local FACTOR = 2 ^ 0.25 -- of the temperature, a key

-- ---- the view ----
local View = {}
View.__index = View

--- view(clip, { frame = 0, size }): what is seen first; size: of the maps, as clip:responsibility has it.
function M.view(clip, options)
  local o = options_of.read("explore", options, { frame = options_of.integer(0, 0), size = options_of.optional "list" })
  if o.frame >= clip.frames then
    core.refuse("explore: frame: expected 0 to %d, found %d", clip.frames - 1, o.frame)
  end
  local schema = map_options.recipe
  return setmetatable({ clip = clip, size = o.size, frame = o.frame, temperature = schema.temperature.default,
    backgrounds = schema.background.strings, background = 1, gaps = 1, hand = 0, layer = 1 }, View)
end

-- The maps of the frame as they are wanted now: what was made for the last picture is gone on from.
local function made(self)
  local background, gaps = self.backgrounds[self.background], GAPS[self.gaps]
  local key, R = ("%d %d"):format(self.frame, self.gaps), self.R
  if not R or self.key ~= key then
    R = self.clip:responsibility(self.frame, { gaps = gaps, size = self.size, background = background,
      temperature = self.temperature })
    self.key = key
  end
  if R.asked and R.asked ~= background then R = R:with { background = background } end
  if R.temperature ~= self.temperature then R = R:with { temperature = self.temperature } end
  R.asked = background -- "auto" becomes another
  if self.hand > #R.scene.hands then self.hand = 0 end
  return { whole = R, shown = self.hand > 0 and #R.scene.hands > 1 and R:with { keep = { self.hand } } or R }
end

-- The maps to be shown; nil where there are none, self.problem says why.
local function maps(self)
  local ok, R = pcall(tensor.tidy, tensor.no_grad, made, self)
  if core.system.stopped() then core.error(R) end
  self.R, self.problem = ok and R.whole or nil, not ok and failure.line(R) or nil
  return ok and R.shown or nil
end

local UNIT = { low = 0, high = 1 }

-- What may be drawn: name, and how, of the maps and the frame's picture.
local LAYERS = {
  { "maps", function(self, R, picture) return panel.overlay(R, picture, self.hand) end },
  { "sharpened", function(self, R, picture)
    local frame = self.clip:scaled(self.frame, { size = R.size })
    return panel.overlay(R:with { sharpen = frame }, picture, self.hand)
  end },
  { "heat", function(_, R)
    local cells = {}
    for k = 1, R.map.shape[3] do cells[k] = viz.viridis(panel.content(R, R.map:select(3, k)), UNIT) end
    return viz.grid(cells, math.ceil(math.sqrt(#cells)), { gap = 2, ground = 0 })
  end },
  { "distance", function(_, R)
    local cells = {}
    for k = 1, R.map.shape[3] do
      cells[k] = viz.viridis(panel.content(R, R.residuals[1]:select(3, k)):clamp(0, 8), { low = 0, high = 8 })
    end
    return viz.grid(cells, math.ceil(math.sqrt(#cells)), { gap = 2, ground = 0 })
  end },
  { "flow", function(_, R) return viz.flow_color(panel.content(R, R.flows[1])) end },
  { "frame", function(_, _, picture) return picture end },
}

local function fitted(picture, width, height)
  return terminal.resized(picture, terminal.fit(picture.shape[2], picture.shape[1], width, height))
end

--- view:picture(width, height) → what is seen, uint8 H×W×3, in at most so many pixels.
function View:picture(width, height)
  local name, draw = table.unpack(LAYERS[self.layer])
  local R = name ~= "frame" and maps(self)
  return tensor.tidy(tensor.no_grad, function()
    local picture = fitted(self.clip:frame(self.frame), width, height)
    return R and fitted(draw(self, R, picture), width, height) or picture
  end)
end

local function gap_text(gaps)
  if type(gaps) == "string" then return gaps end
  local half = {}
  for _, gap in ipairs(gaps) do half[#half + 1] = gap > 0 and tostring(gap) or nil end
  return "±" .. table.concat(half, ",")
end

--- view:status() → one line: what the picture is of.
function View:status()
  if self.problem then return self.problem end
  local hands = self.R and #self.R.scene.hands or 0
  return ("%s  frame %d of 0–%d  T %.3g  %s background  gaps %s  hands %s of %d  %s%s"):format(self.clip.name,
    self.frame, self.clip.frames - 1, self.temperature, self.backgrounds[self.background], gap_text(GAPS[self.gaps]),
    self.hand == 0 and "all" or self.hand, hands, LAYERS[self.layer][1], self.note and "  " .. self.note or "")
end

function View:step(by)
  self.frame = math.max(0, math.min(self.clip.frames - 1, self.frame + by))
end

local function cycle(field, count)
  return function(self) self[field] = self[field] % count(self) + 1 end
end

local function warmer(by)
  return function(self) self.temperature = math.max(0.05, math.min(64, self.temperature * by)) end
end

local function step(by) return function(self) self:step(by) end end

-- The picture of the frame in the clip's own pixels, as a file in the folder where the program runs.
local function save(self)
  local path = ("%s-%06d-%s.png"):format(self.clip.name, self.frame, LAYERS[self.layer][1])
  local ok, problem = pcall(function() image.write(path, self:picture(self.clip.width, self.clip.height)) end)
  self.note = ok and "saved " .. path or failure.line(problem)
end

local ACTIONS = {
  ["\27[D"] = step(-1), ["\27[C"] = step(1), ["\27[A"] = step(10), ["\27[B"] = step(-10),
  ["\27[H"] = step(-math.huge), ["\27[F"] = step(math.huge), ["\27[1~"] = step(-math.huge),
  ["\27[4~"] = step(math.huge),
  ["+"] = warmer(FACTOR), ["="] = warmer(FACTOR), ["-"] = warmer(1 / FACTOR), s = save,
  b = cycle("background", function(self) return #self.backgrounds end),
  g = cycle("gaps", function() return #GAPS end), m = cycle("layer", function() return #LAYERS end),
  h = function(self) self.hand = self.hand + 1 end, -- back to all after the last: see maps
}

--- view:press(key): does what a key says; false where it ends the view: q, Ctrl-D or escape.
function View:press(key)
  if key == "q" or key == "\4" or key == "\27" then return false end
  self.note = nil
  local action = ACTIONS[(key:gsub("^\27O", "\27["))] -- cursor keys have two forms
  if action then action(self) end
  return true
end

-- ---- the terminal ----
local HELP = "q leave  ←→ frame  ↑↓ ten  +/- temperature  h hands  b background  g gaps  m layer  s save"
local RESIZE_SECONDS = 0.5 -- between looks at the terminal's size

-- At most so many characters.
local function cut(text, columns)
  local last = utf8.len(text) and utf8.offset(text, columns + 1)
  return last and text:sub(1, last - 1) or text
end

local function redraw(view, graphics, columns, rows)
  local started = core.system.time()
  local picture = view:picture(terminal.room(graphics, columns, math.max(2, rows - 3)))
  local drawn = terminal.draw(graphics, picture, 1)
  picture:close()
  local status = ("%s  %.0f ms"):format(view:status(), 1000 * (core.system.time() - started))
  io.write("\27[H", graphics == "blocks" and "" or "\27[J", drawn, graphics == "blocks" and "\27[J" or "",
    ("\27[%d;1H\27[K"):format(rows - 1), cut(status, columns),
    ("\27[%d;1H\27[K\27[2m"):format(rows), cut(HELP, columns), "\27[0m")
  io.flush()
end

--- explore(clip, { frame = 0, size }): a live view in the terminal until q: arrow keys step through frames, + and -
-- change the temperature, h the hands, b the background, g the gaps, m what is drawn; s saves the picture.
function M.explore(clip, options)
  if not options_of.named "clip"(clip) then core.refuse("explore: expected a clip, found %s", options_of.show(clip)) end
  local view, graphics = M.view(clip, options), terminal.graphics()
  if graphics == "none" or not core.system.isatty "stdin" or not core.system.isatty "stdout" then
    core.refuse "explore: expected a terminal that shows pictures on stdin and stdout, found none"
  end
  local keys <close> = core.system.keys()
  local screen <close> = setmetatable({}, { __close = function() -- the other screen, without a cursor, until then
    io.write(graphics == "kitty" and "\27_Ga=d,d=A\27\\" or "", "\27[?25h\27[?1049l")
    io.flush()
  end })
  io.write "\27[?1049h\27[?25l\27[2J"
  local columns, rows, stale = 0, 0, true
  while screen do
    local c, r = terminal.size()
    if c ~= columns or r ~= rows then columns, rows, stale = c, r, true end
    if stale then redraw(view, graphics, columns, rows) end
    stale = false
    local key = keys:read(RESIZE_SECONDS)
    while key and key ~= "" do -- all that was pressed before the next picture
      if not view:press(key) then return end
      stale, key = true, keys:read(0)
    end
    if not key then return end
  end
end

return M
