--- co.responsibility: which hand, or the background, moves each pixel, from given flows and hands (of clips: maps.lua).
-- The result R keeps what its fields need (R.map, R.quality, …: see co.responsibility); the heavy ones (residuals,
-- stacked flows, quality) are made when first read.
local core = require "cohesiv.core"
local pictured = require "cohesiv.base.pictured"
local tensor = require "cohesiv.tensor"
local map_options = require "cohesiv.motion.map_options"
local lists, options = require "cohesiv.base.lists", require "cohesiv.base.options"
local M = {}

--- How far from the background's motion, in pixels of the flow, a vector counts as an outlier of its robust fit.
M.background_threshold = 1

-- A list of tensors (each of shape `one`), or a tensor of them all (of shape `all`, this rank), as a list of tensors of
-- this dtype that no later write can reach. Records with vertices, as clip:hands gives them, stand for those.
local function list_of(name, given, one, all, rank, dtype)
  if core.is_tensor(given) and #given.shape ~= rank then
    core.refuse("responsibility: %s: expected %s or a list, found shape %s", name, all, table.concat(given.shape, "x"))
  elseif not core.is_tensor(given) and type(given) ~= "table" then
    core.refuse("responsibility: %s: expected a list of %s tensors or %s, found %s", name, one, all, type(given))
  end
  local list = {}
  for i = 1, #given do
    local t = given[i]
    if type(t) == "table" and name == "hands" then t = t.vertices end
    if not core.is_tensor(t) then
      core.refuse("responsibility: %s[%d]: expected a tensor of %s, found %s", name, i, one, type(given[i]))
    end
    list[i] = t:detach():to(dtype)
  end
  return list
end

local BETTER = "cut" -- of the ways to sharpen

-- How maps are sharpened, nil for false, and the frame that they are sharpened by: `value` may be either, or true.
-- picture: the frame as known so far, an image or a function that returns it.
local function check_sharpen(value, picture)
  if not value then return nil, picture end
  if core.is_tensor(value) then return BETTER, value end
  local known = value == true or value == "cut" or value == "walker" or value == "level"
  if known and picture then return value == true and BETTER or value, picture end
  core.refuse("responsibility: sharpen: expected an image%s, found %s",
    known and picture == nil and "" or ' (or true, "cut", "walker", "level" where it is known)', options.text(value))
end

-- The frame, where the map is.
local function picture_of(R)
  local picture = R.picture
  if type(picture) == "function" then picture = picture() end
  return picture:to(R.map.device)
end

-- Maps, or (temperature 0) residuals, against an epipolar background, which the host computes.
local function by_epipolar(R, temperature, closeness)
  local flows = {}
  for g, flow in ipairs(R.scene.flows) do flows[g] = flow:to "cpu" end
  local scene = { flows = flows, hands = R.scene.hands, content = R.scene.content }
  return core.responsibility.epipolar_map(scene, R.homographies, R.fundamental, temperature, closeness)
    :to(R.scene.flows[1].device)
end

-- The map without sharpening.
local function plain_map(R)
  if R.fundamental then return by_epipolar(R, R.temperature, R.closeness) end
  return core.responsibility.map(R.scene, R.homographies, R.background_homographies, R.temperature, R.closeness)
end

local methods = {}
local lazy = {
  --- G×H×W×2: the flows, one per gap.
  flows = function(R) return tensor.stack(R.scene.flows, 1) end,
  --- G×H×W×(N+1): distances in pixels to the motions of hands and, last, background; infinite from the horizon on.
  residuals = function(R)
    if R.fundamental then return by_epipolar(R, 0) end
    return core.responsibility.residuals(R.scene, R.homographies, R.background_homographies)
  end,
}

local function median(list)
  list = table.move(list, 1, #list, 1, {})
  table.sort(list)
  return #list > 0 and (list[(#list + 1) // 2] + list[#list // 2 + 1]) / 2 or 0
end

-- The median distance of the ground to its fitted motion, over the gaps; a static background's is the flow's length
-- there, on average.
local function background_residual(R)
  local list = {}
  for g, flow in ipairs(R.scene.flows) do
    local fit = (R.background_fits or {})[g]
    if fit then
      list[g] = fit.error
    else
      local ground = core.ops.select.call(R.map, 3, #R.scene.hands + 1)
      list[g] = ((flow * flow):sum(3):sqrt() * ground):sum():item() / math.max(ground:sum():item(), 1)
    end
  end
  return median(list)
end

-- A map cut out along the frame's edges.
local function cut_of(R, map) return core.responsibility.sharpen(R.scene, picture_of(R), map, BETTER) end

-- A map as the flow gives it with its levels set by what is cut out of it, and how well the two agree, per hand.
local function levelled(map, cut)
  local set, agreement = core.responsibility.level(map:to "cpu", cut:to "cpu")
  return set:to(map.device), agreement:totable()
end

-- A map's mean at a hand's landmarks: how much of the hand it takes for the hand.
local function at_landmarks(map, hand)
  local sum, points, h, w = 0, hand:totable(), map.shape[1], map.shape[2]
  for _, p in ipairs(points) do
    local x, y = math.floor(p[1] + 0.5) + 1, math.floor(p[2] + 0.5) + 1
    sum = sum + map[{ math.max(1, math.min(h, y)), math.max(1, math.min(w, x)) }]
  end
  return sum / #points
end

--- How good the maps may be, measured without truth. Of every hand, R.quality[k]: hand_motion (pixels against the
-- background), hand_residual and background_residual (pixels, of the fits), all medians over the gaps; contrast, how
-- much the map before sharpening claims of the hand itself; agreement, where the frame is known: how much of what is
-- cut out along its edges the best threshold of that map finds too (IoU); score, 0 to 1, which ranks maps: agreement
-- (or else contrast) / (1 + residuals / (1 + motion)), see experiments/real_maps.lua; for every gap error (the median
-- of the fit), inliers (their share), model and motion; and the share of the image that the hand is responsible for.
-- R.quality has the same six numbers, means over the hands (0 without any).
function lazy.quality(R)
  local plane = R.background_homographies
    or R.fundamental and core.responsibility.background(R.scene, M.background_threshold)
  local motion = core.responsibility.motion(R.scene, plane)
  local content, hands = R.scene.content or R.size, R.scene.hands
  local ground, raw, agreement = background_residual(R), R.sharpen and plain_map(R) or R.map, {}
  if (R.sharpen or R.picture) and #hands > 0 then
    local is_cut = R.sharpen == "cut" or R.sharpen == "walker"
    agreement = select(2, levelled(raw, is_cut and R.map or cut_of(R, raw)))
  end
  local quality = { score = 0, hand_motion = 0, hand_residual = 0, background_residual = ground, contrast = 0 }
  for k, hand in ipairs(hands) do
    local q = { error = {}, inliers = {}, model = {}, motion = {} }
    for g, fits in ipairs(R.fits) do
      q.error[g], q.inliers[g], q.model[g] = fits[k].error, fits[k].inliers, fits[k].model
      q.motion[g] = motion[g][k]
    end
    local before, mine = core.ops.select.call(raw, 3, k), core.ops.select.call(R.map, 3, k)
    q.share = core.ops.gt.call(mine, 0.5):to("float32"):sum():item() / (content[1] * content[2])
    q.hand_motion, q.hand_residual, q.background_residual = median(q.motion), median(q.error), ground
    q.contrast = at_landmarks(before:to "cpu", hand)
    q.agreement = agreement[k]
    q.score = (q.agreement or q.contrast) / (1 + (q.hand_residual + ground) / (1 + q.hand_motion))
    for name in pairs(quality) do
      if type(name) == "string" and name ~= "background_residual" then
        quality[name] = quality[name] + q[name] / #hands
      end
    end
    quality[k] = q
  end
  return quality
end

local meta = {}

function meta.__index(R, name)
  if methods[name] or not lazy[name] then return methods[name] end
  local value = lazy[name](R)
  if core.is_tensor(value) then value:keep() end -- it belongs to R, not to a scope that happens to be open
  rawset(R, name, value)
  return value
end

function meta.__tostring(R)
  return ("responsibility of %d hands, %dx%d, %d gaps, temperature %g, %s background"):format(
    #R.scene.hands, R.size[1], R.size[2], #R.gaps, R.temperature, R.background)
end

meta.__name = "responsibility"
options.guard("responsibility", methods, options.named "responsibility")
M.meta, M.methods = meta, pictured.class(methods)

local function finish(R)
  R.map = plain_map(R)
  if R.sharpen == "level" then
    R.map = levelled(R.map, cut_of(R, R.map))
  elseif R.sharpen then
    R.map = core.responsibility.sharpen(R.scene, picture_of(R), R.map, R.sharpen)
  end
  return setmetatable(R, meta)
end

-- Fits the background that is asked for: R.background is what it came to be ("auto": what fits best, by
-- R.background_fit, see csrc/motion/epipolar.h), R.background_fits how well.
local function fit_background(R, kind)
  R.background_fit = kind == "auto" and core.responsibility.choose(R.scene, M.background_threshold) or nil
  if kind == "auto" then
    kind = "static"
    for _, other in ipairs { "homography", "epipolar" } do
      if R.background_fit[other] < R.background_fit[kind] then kind = other end
    end
  end
  R.background, R.background_homographies, R.background_fits, R.fundamental = kind, nil, nil, nil
  if kind == "homography" then
    R.background_homographies, R.background_fits = core.responsibility.background(R.scene, M.background_threshold)
  elseif kind == "epipolar" then
    R.fundamental, R.background_fits = core.responsibility.epipolar(R.scene, M.background_threshold)
  end
end

-- The scene with these hands alone, their homographies and fits.
local function keep_hands(R, keep)
  if type(keep) ~= "table" then core.refuse("responsibility: keep: expected a list of hands, found %s", type(keep)) end
  local hands, seen, fits, motions = {}, {}, {}, {}
  for i, k in ipairs(keep) do
    if math.type(k) ~= "integer" or k < 1 or k > #R.scene.hands or seen[k] then
      core.refuse("responsibility: keep: expected hands from 1 to %d, each once, found %s", #R.scene.hands,
        options.text(k))
    end
    seen[k], hands[i], motions[i] = true, R.scene.hands[k], R.homographies:select(2, k)
  end
  for g, row in ipairs(R.fits) do
    fits[g] = {}
    for i, k in ipairs(keep) do fits[g][i] = row[k] end
  end
  local all = motions[1] and tensor.stack(motions, 2) or core.full(0, #R.fits, 0, 3, 3, { dtype = "float64" })
  return { flows = R.scene.flows, hands = hands, content = R.scene.content }, all, fits
end

--- R:with{ temperature = …, keep = { hands }, background = …, closeness = … | false, sharpen = image | true |
-- "cut" | "walker" | "level" | false }: a new R in which only what changed is computed. `keep`: only these hands take
-- part in the softmax; a background that was fitted stays the one fitted away from all hands, since the hands left out
-- move all the same.
function methods.with(self, changes)
  if changes == nil then core.refuse("responsibility: expected a table of options, found nil") end
  local given = map_options.read("responsibility", changes, map_options.change)
  local new = lists.copy(self)
  new.map, new.quality, new.frame = nil, nil, nil
  if changes.temperature ~= nil then new.temperature = given.temperature end
  if changes.closeness ~= nil then new.closeness = given.closeness end
  if changes.sharpen ~= nil then new.sharpen, new.picture = check_sharpen(changes.sharpen, self.picture) end
  if changes.background ~= nil and changes.background ~= self.background then
    fit_background(new, given.background)
  end
  if changes.keep ~= nil then new.scene, new.homographies, new.fits = keep_hands(self, changes.keep) end
  if changes.keep ~= nil or changes.background ~= nil then new.residuals = nil end
  return finish(new)
end

--- responsibility{ flows = list or G×H×W×2, hands = list of V×2 or N×V×2, temperature = 2, background = "static" |
-- "homography" | "epipolar" | "auto", fit = { model = "homography", points = 0, robust = false, fall_back = false },
-- closeness = nil, sharpen = nil }: R with map (H×W×(N+1), background last), residuals, homographies (G×N×3×3),
-- background (what "auto" came to be, by background_fit: what each kind costs), background_homographies (G×3×3 or nil),
-- fundamental (G×3×3 or nil: of an epipolar one, whose residual is the Sampson distance), flows, gaps, size, quality,
-- and R:with{…}. Pixels of the flows given. fall_back: hands whose points do not determine the model get the next
-- poorer one (affine, similarity, translation; see R.quality), no error.
-- sharpen: the frame (H×W×3 uint8): maps are cut out along its colours and edges, without the flow's halo (GrabCut, see
-- csrc/motion/sharpen.h), by the least cut; "walker": by a random walker, softer; true: the better one, "cut"; "level":
-- the map as it is, but half where it agrees best with the cut (csrc/motion/level.h). picture: the frame, or a function
-- that returns it, where sharpen names the way. gaps: names of the flows; content = { width, height }; targets: V×2 per
-- hand and gap.
function M.responsibility(given)
  if given == nil then core.refuse("responsibility: expected a table of options, found nil") end
  local o = map_options.read("responsibility", given, map_options.computation)
  local R = { scene = { flows = list_of("flows", o.flows, "HxWx2", "GxHxWx2", 4, "float32"),
      hands = list_of("hands", o.hands, "Vx2", "NxVx2", 3, "float64"), content = o.content },
    temperature = o.temperature, closeness = o.closeness }
  R.sharpen, R.picture = check_sharpen(o.sharpen, o.picture)
  if not R.scene.flows[1] then core.refuse("responsibility: flows: expected at least one, found none") end
  R.gaps, R.fits, o.fit.targets = {}, {}, o.targets
  local homographies, fits = core.responsibility.fit(R.scene, o.fit)
  local N, shape = #R.scene.hands, R.scene.flows[1].shape
  for g = 1, #R.scene.flows do
    R.gaps[g], R.fits[g] = (o.gaps or {})[g] or g, table.move(fits, (g - 1) * N + 1, g * N, 1, {})
  end
  R.homographies, R.size = homographies, { shape[2], shape[1] }
  fit_background(R, o.background)
  return finish(R)
end

return M
