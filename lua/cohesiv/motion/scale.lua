--- How a clip's pixels become pixels at a recipe's size (width, height): one scale for both axes, the rest padded.
--   s = min(w/W, h/H); the content is round(W·s) × round(H·s) pixels, at the top left; right and below it zeros.
--   A point (x, y) goes to ((x + 0.5)·s − 0.5, (y + 0.5)·s − 0.5): pixel centres on integers on both sides.
--   Pictures are averaged over the area that a pixel covers when shrinking, interpolated bilinearly when growing;
--   flows likewise, their vectors times s; masks likewise, 1 where at least half of the pixel is.
local core = require "cohesiv.core"
require "cohesiv.tensor"

local scale = {
  --- The size of training and maps unless a recipe says another.
  default = { 448, 256 },
  --- same_aspect(w, h, W, H): whether w × h can be W × H scaled, within 2 %.
  same_aspect = function(w, h, W, H) return math.abs(w * H / (h * W) - 1) <= 0.02 end,
  --- points(v, sc): V×2 points of the clip in the pixels of the scaled frame.
  points = function(v, sc) return sc.s == 1 and v or (v + 0.5) * sc.s - 0.5 end,
  --- picture(t, sc): a picture, mask or map (uint8 or float32, H×W or H×W×C) scaled, with the padding.
  picture = function(t, sc) return core.io.resample(t, sc.s, sc.s, sc.content_w, sc.content_h, sc.w, sc.h) end,
  --- content(t, sc): the same without the padding.
  content = function(t, sc)
    return core.io.resample(t, sc.s, sc.s, sc.content_w, sc.content_h, sc.content_w, sc.content_h)
  end,
}

local function side(size, i)
  local n = type(size) == "table" and type(size[i]) == "number" and math.tointeger(size[i])
  return n and n >= 1 and n <= 1 << 16 and n
end

--- of(width, height, size) → { s, content_w, content_h, w, h } for a clip of width × height at size = { w, h }.
function scale.of(width, height, size)
  size = size or scale.default
  local w, h = side(size, 1), side(size, 2)
  if not (w and h) then
    core.refuse("size: expected {width, height} of 1 to 65536, found %s", type(size) ~= "table" and core.text(size)
      or ("{%s, %s}"):format(core.text(size[1]), core.text(size[2])))
  end
  local s = math.min(w / width, h / height)
  local function content(n, full) return math.max(1, math.min(full, math.floor(n * s + 0.5))) end
  return { s = s, content_w = content(width, w), content_h = content(height, h), w = w, h = h }
end

--- pad(t, sc): zeros right of and below a map of the content's size.
function scale.pad(t, sc)
  if sc.content_w == sc.w and sc.content_h == sc.h then return t end
  return core.io.resample(t, 1, 1, sc.content_w, sc.content_h, sc.w, sc.h)
end

--- flow(f, sc, width): a flow of any resolution of the whole frame, `width` pixels wide in the clip, as the picture.
function scale.flow(f, sc, width)
  local s = sc.s * width / f.shape[2]
  return core.io.resample(f, s, s, sc.content_w, sc.content_h, sc.w, sc.h, s)
end

return scale
