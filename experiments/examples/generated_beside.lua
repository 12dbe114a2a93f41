-- Beside each batch a frame of a generated world, whose people are known, with losses and mean embeddings of its own.
local base, co, cache = require "experiments.cohesiv", require "cohesiv", require "cohesiv.data.cache"
local o, world, clip = { flow = "truth", background = "homography", temperature = 1, closeness = 2 }, nil, nil
local function beside(_, batch, model)
  local device, _, h, w = batch.image.device, table.unpack(batch.image.shape)
  world = world or co.data(co.world { out = ("%s/world/beside-%dx%d"):format(cache.folder(), w, h), clips = 300,
    frames = 7, size = { w, h }, mask_every = 0, truth = { "flow", "person" }, progress = false })
  repeat clip = world:clip(world.clips[math.floor(co.rand(1)[1] * #world.clips) + 1]) until #clip:hands(3) > 0
  o.size = { (w - 1) // model.stride + 1, (h - 1) // model.stride + 1 }
  local hands, R = clip:hands(3, { size = o.size }), clip:responsibility(3, o).map
  local maps, person = R:permute({ 3, 1, 2 }):narrow(1, 1, #hands), clip:person(3, { size = o.size, source = "truth" })
  local label, points = 3 - 2 * person:to "float32" - co.gt(maps:max(1), 0.5) * co.eq(person, 0), {}
  for k, hand in ipairs(hands) do points[k] = hand.vertices:mean(1) end
  local out = model:forward(clip:scaled(3, { size = { w, h } }):to(device):reshape(1, h, w, 3))
  clip:close()
  return co.losses.embedding(out.Z, label:to(device):reshape { 1, o.size[2], o.size[1] })
    + 10 * co.losses.responsibility(out.Q, out.K, maps:to(device), co.stack(points):to(device),
      co.ones(#hands, { dtype = "int32", device = device }))
end
return base { name = "generated_beside", loss = { terms = { generated = { weight = 0.5, beside } } } }
