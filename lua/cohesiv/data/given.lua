--- What a data folder brings along for frames: flow, person masks and saliency, which file is a frame's, and what it
-- may hold.
-- FOLDER/%06d.png and the like are numbered as frames are, from 0, whatever the numbers of the clip's own pictures.
-- This spelling costs one look at the disk; others (5 to 10 digits, a prefix, .PNG) are found where one file alone can
-- be meant: the folder is listed, and again only when it has changed.
local core = require "cohesiv.core"
local scale = require "cohesiv.motion.scale"
local names = require "cohesiv.data.names"
local kinds, lists, warn = require "cohesiv.base.kinds", require "cohesiv.base.lists", require "cohesiv.base.warn"
local document, frames = require "cohesiv.data.document", require "cohesiv.data.frames"
local given = {}

local KEPT = 64 -- folders whose listing is kept
local RACY = 2 -- seconds: a folder changed so lately may change again within its time stamp

local listings, count = {}, 0

-- The files of a folder by number, each a list of { name, kind }.
local function listing(folder)
  local what, _, modified = core.io.status(folder)
  if what ~= "folder" then return {} end
  local entry = listings[folder]
  if entry and entry.modified == modified then return entry.files end
  local files = {}
  for _, name in ipairs(core.io.list(folder)) do
    local _, digits, kind = names.numbered(name)
    local n = digits and math.tointeger(tonumber(digits))
    if n then
      files[n] = files[n] or {}
      table.insert(files[n], { name = name, kind = kind:lower() })
    end
  end
  if modified // 1000000000 < os.time() - RACY then
    if count >= KEPT then listings, count = {}, 0 end
    count = count + 1
    listings[folder] = { modified = modified, files = files }
  end
  return files
end

local function usual_spelling(folder, n, extensions)
  for _, kind in ipairs(extensions) do
    local path = ("%s/%06d.%s"):format(folder, n, kind)
    if core.io.status(path) then return path, kind end
  end
end

local function other_spelling(folder, n, extensions)
  local wanted, found = lists.set(extensions), nil
  for _, file in ipairs(listing(folder)[n] or {}) do
    if found and wanted[file.kind] then
      core.refuse("%s: expected one file of frame %d, found %s and %s", folder, n, found.name, file.name)
    end
    found = found or wanted[file.kind] and file
  end
  if found then return folder .. "/" .. found.name, found.kind end
end

-- A file numbered like the first frame that can have none: the files count from 1, unless frame 0 has one too.
local checked = setmetatable({}, { __mode = "k" }) -- clip → folders
local function check_numbers(clip, folder, beyond, find, extensions)
  checked[clip] = checked[clip] or {}
  if checked[clip][folder] then return end
  local path = find(folder, beyond, extensions)
  if path and not find(folder, 0, extensions) then
    core.refuse("%s: expected files of frames 0 to %d at most, found one of frame %d and none of frame 0 (frames count "
      .. "from 0)", path, beyond - 1, beyond)
  end
  if path then warn.once(path, "%s: expected files of frames 0 to %d at most: it is not used", path, beyond - 1) end
  checked[clip][folder] = true
end

--- file(folder, n, extensions, clip, beyond): path and extension of the file of frame n in a folder, if any; of several
-- in the usual spelling the first extension's. beyond: the first frame of the clip that can have none.
function given.file(folder, n, extensions, clip, beyond)
  for _, find in ipairs { usual_spelling, other_spelling } do
    local path, kind = find(folder, n, extensions)
    if path then
      check_numbers(clip, folder, beyond, find, extensions)
      return path, kind
    end
  end
end

local EXTENSIONS = { flow = { "flo", "npz", "npy", "png" }, person = { "png" }, saliency = { "png" } }

-- The clip's name in its folder, where it goes by another among several folders.
local function name_of(clip) return clip.own_name or clip.name end

-- The file of frame n of the clip in what/NAME/ or what/NAME/gap/ of its data folder, or of truth/ there.
local function file_of(clip, from, what, n, gap)
  if not clip.root then return nil end
  local folder = ("%s%s/%s%s"):format(from == "truth" and "truth/" or "", what, name_of(clip), gap and "/" .. gap or "")
  local beyond = clip.frames - math.max(math.tointeger(tonumber(gap)) or 0, 0)
  return given.file(clip.root .. "/" .. folder, n, EXTENSIONS[what], clip, beyond)
end

-- The same, where "auto" or "truth" is asked for: the generated world's truth must be there.
local function wanted_file(clip, from, what, n, gap)
  if from ~= "auto" and from ~= "truth" then return nil end
  local path, kind = file_of(clip, from, what, n, gap)
  if path or from == "auto" then return path, kind end
  core.refuse("clip %s: expected truth/%s/%s%s/%06d.%s, found none", clip.name, what, name_of(clip),
    gap and "/" .. gap or "", n, what == "flow" and "flo (or .npz, .npy, .png)" or "png")
end

--- key(clip, n): what identifies the flow and the person mask of frame n, for caches.
function given.key(clip, n)
  local stamps, flows = {}, clip.root and ("%s/flow/%s"):format(clip.root, name_of(clip))
  local function add(what, gap)
    local path = file_of(clip, "auto", what, n, gap)
    if path then stamps[#stamps + 1] = frames.stamp(path) end
  end
  for _, gap in ipairs(core.io.status(flows or "") == "folder" and core.io.list(flows) or {}) do add("flow", gap) end
  add "person"
  return table.concat(stamps, "\n")
end

local UNKNOWN = 1e9 -- Middlebury's mark of a vector that is not known
local MOST = 4 -- pictures, the longest vector

local function npz_flow(path)
  local arrays = core.io.npz_read(path)
  local first = next(arrays)
  if not first then core.refuse("%s: expected an array, found none", path) end
  if arrays.flow or not next(arrays, first) then return arrays.flow or arrays[first] end
  core.refuse("%s: expected an array named flow, found %s", path, kinds.keys(arrays))
end

local readers = {
  flo = core.io.flo_read, npy = core.io.npy_read, npz = npz_flow,
  png = function(path) return (core.io.flow_png_read(path)) end,
}

-- Vectors that are no numbers or lead pictures away are refused; unknown ones count as 0, as KITTI's invalid pixels do.
local function check_vectors(path, flow)
  local h, w = flow.shape[1], flow.shape[2]
  local size = flow:abs()
  local longest = size:max():item()
  local row = longest - longest ~= 0 and core.not_finite(flow)
  for x, v in ipairs(row and flow[row]:totable() or {}) do
    local strange = v[1] - v[1] ~= 0 and v[1] or v[2]
    if strange - strange ~= 0 then
      core.refuse("%s: expected a flow of numbers, found %s at (%d, %d)", path,
        strange ~= strange and "NaN" or "infinity", x - 1, row - 1)
    end
  end
  if longest > UNKNOWN then
    local known = core.ops.le.call((size:max(3)), UNKNOWN):to "float32"
    flow = flow * known:reshape(h, w, 1)
    longest = flow:abs():max():item()
  end
  if longest > MOST * math.max(w, h) then
    core.refuse("%s: expected vectors of at most %d pixels (%d pictures), found %.0f (coded, not in pixels?)", path,
      MOST * math.max(w, h), MOST, longest)
  end
  return flow
end

--- flow(clip, from, n, gap, sc): the flow of a file at a scale; nil when there is none.
function given.flow(clip, from, n, gap, sc)
  local path, kind = wanted_file(clip, from, "flow", n, gap)
  if not path then return nil end
  local flow = readers[kind](path)
  local shape = flow.shape
  if #shape ~= 3 or shape[3] ~= 2 or shape[1] == 0 or shape[2] == 0
    or not scale.same_aspect(shape[2], shape[1], clip.width, clip.height) then
    core.refuse("%s: expected a flow of the whole frame (%dx%d, or scaled), found %s%s", path, clip.width, clip.height,
      table.concat(shape, "x"), #shape == 3 and shape[1] == 2 and " (height x width x 2 is the order)" or "")
  end
  if flow.dtype ~= "float32" then flow = flow:to "float32" end
  return scale.flow(check_vectors(path, flow), sc, clip.width)
end

--- person(clip, from, n, sc): likewise the person mask, uint8 of 0 and 1.
function given.person(clip, from, n, sc)
  local path = wanted_file(clip, from, "person", n)
  return path and scale.picture(document.mask(path, clip), sc)
end

--- saliency(clip, n): the map of a file, float32 H×W of 0 to 1 in the clip's pixels; nil where the clip has no folder
-- of them.
function given.saliency(clip, n)
  local path = file_of(clip, "auto", "saliency", n)
  local folder = clip.root and ("%s/saliency/%s"):format(clip.root, name_of(clip))
  if not path and core.io.status(folder or "") ~= "folder" then return nil end
  if not path then core.refuse("%s: expected a map of frame %d, found none (%06d.png)", folder, n, n) end
  local picture = core.io.png_read(path, "rgb16"):to "float32"
  local h, w = picture.shape[1], picture.shape[2]
  if not scale.same_aspect(w, h, clip.width, clip.height) then
    core.refuse("%s: expected a map of the whole frame (%dx%d, or scaled), found %dx%d", path, clip.width, clip.height,
      w, h)
  end
  if (picture:max(3) - picture:min(3)):max():item() > 0 then
    core.refuse("%s: expected a grey map, found colours", path)
  end
  local map, s = picture:select(3, 1) / 65535, clip.width / w
  if w == clip.width and h == clip.height then return map end
  return core.io.resample(map:contiguous(), s, clip.height / h, clip.width, clip.height, clip.width, clip.height)
end

return given
