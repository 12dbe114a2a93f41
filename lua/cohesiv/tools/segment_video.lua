--- cohesiv segment VIDEO: masks of every frame from maps alone, and the video with them over it.
local core = require "cohesiv.core"
local data = require "cohesiv.data"
local mask_folder, video_masks = require "cohesiv.hands.mask_folder", require "cohesiv.hands.video_masks"
local progress = require "cohesiv.base.progress"
local tensor = require "cohesiv.tensor"
local viz = require "cohesiv.tools.viz"

local WIDTH = 1280 -- of the overlay at most, pixels

-- Masks over a frame of another size.
local function painted(frame, masks)
  local list, h, w = {}, frame.shape[1], frame.shape[2]
  local function fitted(mask)
    if mask.shape[2] == w then return mask end
    return core.io.resample(mask, w / mask.shape[2], h / mask.shape[1], w, h, w, h)
  end
  for k, one in ipairs(masks) do
    list[2 * k - 1] = { hand = fitted(one.hand), object = fitted(one.object) }
    frame = viz.overlay(frame, list[2 * k - 1])
    frame = viz.overlay(frame, fitted(one.contact), { color = viz.colors.query })
  end
  return frame
end

-- The video with the masks of the folder over it, made from the first frame on: the files are whole or not there.
local function write_overlay(clip, folder, path)
  local s = math.min(1, WIDTH / clip.width)
  local w, h = math.max(1, math.floor(clip.width * s + 0.5)), math.max(1, math.floor(clip.height * s + 0.5))
  local writer <close> = core.io.video_writer(path, clip:rate())
  local shown = progress.new("overlay", clip.frames)
  for n = 0, clip.frames - 1 do
    tensor.tidy(tensor.no_grad, function()
      local frame = clip:frame(n)
      if s < 1 then frame = core.io.resample(frame, w / clip.width, h / clip.height, w, h, w, h) end
      writer:add(painted(frame, folder:read(n)))
    end)
    shown:update(n + 1)
  end
  writer:commit()
  shown:finish()
end

--- segment_video(path, { out, overlay, hands, flow }): masks of every frame of a video into the folder `out`, as
-- hands/mask_folder.lua has them; what is done there is not done again. overlay: a .mp4 or .gif of them; hands: the
-- file of landmarks; flow: the method of flow.estimate.
return function(path, o)
  local clip = data.clip(path, { hands = o.hands })
  local settings = { version = video_masks.version, flow = o.flow or "dis", clip = clip:key(0),
    hands = clip:hands_key(), frames = clip.frames, width = clip.width, height = clip.height }
  local folder <close> = mask_folder.open((o.out:gsub("(.)/+$", "%1")), settings)
  local masks = video_masks.new(clip, { method = o.flow, tracks = folder.tracks })
  local shown, first, hands = progress.new("segment", clip.frames - folder.done), folder.done, 0
  for n = first, clip.frames - 1 do
    local ok, problem = pcall(tensor.tidy, tensor.no_grad, function()
      local found = masks:frame(n)
      hands = hands + #found
      folder:write(n, found, masks.tracks)
    end)
    if core.system.stopped() then
      core.refuse("interrupted: %d of %d frames are done; the same command goes on with the rest", folder.done,
        clip.frames)
    end
    if not ok then error(problem, 0) end
    shown:update(n + 1 - first)
  end
  shown:finish(first > 0 and ("%d frames, %d of them done before"):format(clip.frames, first)
    or ("%d frames, %.2g hands in each"):format(clip.frames, hands / clip.frames))
  if o.overlay then write_overlay(clip, folder, o.overlay) end
  return folder.path
end
