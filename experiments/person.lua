--- Trains a segmenter of hands and arms on pictures with masks, and judges it. Its weights become the source of person
-- masks wherever they are present (person.source = "auto"), after masks that a data folder brings along.
--
-- usage: cohesiv experiments/person.lua [DATA] [minutes=15] [encoder=NAME] [encoder_weights=FILE|none]
--          [size=256x192] [batch=8] [seed=0] [out=FILE]
--                                  (default: $COHESIV_DATA, person.safetensors where weights lie)
--        cohesiv experiments/person.lua [DATA] judge=FILE        judges weights that there are
--
-- DATA/hands/SET/{image,mask}/: pictures, and masks of the same name, 1-bit PNG; what stands before the first "_" is
-- the sequence. Every fifth sequence of a set is held out. Judged there, and on the frames of DATA's clips that have
-- masks of hands, arms and objects (never trained on): recall of hand and arm, the share of object pixels taken for a
-- person (leakage), and IoU with hand and arm, per cent, means over pictures.
local co = require "cohesiv"
local core = require "cohesiv.core"
local lists, progress = require "cohesiv.base.lists", require "cohesiv.base.progress"
local weights = require "cohesiv.base.weights"
local metrics = require "cohesiv.hands.metrics"
local scale, segmenter = require "cohesiv.motion.scale", require "cohesiv.nn.segmenter"
local average, samples = require "cohesiv.train.ema", require "cohesiv.train.samples"

local options = { minutes = "15", size = "256x192", batch = "8", seed = "0" }
local data = os.getenv "COHESIV_DATA"
for _, word in ipairs(arg) do
  local name, value = word:match "^(%w+_?%w*)=(.+)$"
  if name then options[name] = value else data = word end
end
if not data or data == "" then core.refuse "person: expected a data folder (or $COHESIV_DATA), found none" end
local width, height = options.size:match "^(%d+)x(%d+)$"
local SIZE = { tonumber(width), tonumber(height) }
local minutes, batch, seed = tonumber(options.minutes), tonumber(options.batch), tonumber(options.seed)
if not (width and minutes and batch and seed) then core.refuse "person: expected numbers, found another" end
local out = options.out or weights.folder() .. "/person.safetensors"
local HELD_OUT, LONG = 5, 448 -- every fifth sequence; pixels of a judged frame's long side
local RATE = 1e-3 -- of AdamW, falling along half a cosine
local AUGMENT = { on = true, flip = 0.5, scale = { 0.5, 1.6 }, rotate = 25, shift = 0.2, colour = 0.4, blur = 0.3,
  noise = 0.03 }

-- { image, mask } of every picture, those of held-out sequences apart.
local function pictures()
  local train, held = {}, {}
  for _, set in ipairs(core.io.list(data .. "/hands")) do
    local folder, sequences, place = ("%s/hands/%s"):format(data, set), {}, {}
    local names = core.io.list(folder .. "/mask")
    table.sort(names)
    for _, name in ipairs(names) do
      local sequence = name:match "^[^_]*"
      if not place[sequence] then
        sequences[#sequences + 1] = sequence
        place[sequence] = #sequences
      end
      local stem, image = name:match "^(.*)%.%w+$", nil
      for _, extension in ipairs { ".jpg", ".png", ".jpeg" } do
        local path = ("%s/image/%s%s"):format(folder, stem, extension)
        image = core.io.status(path) and path or image
      end
      if not image then core.refuse("%s/image: expected a picture of %s, found none", folder, stem) end
      local list = place[sequence] % HELD_OUT == 0 and held or train
      list[#list + 1] = { image = image, mask = folder .. "/mask/" .. name }
    end
  end
  if #train == 0 then core.refuse("%s/hands: expected SET/{image,mask} with pictures, found none", data) end
  return train, held
end

-- A training sample of a picture, in the cache: the loader's augmentation is that of pseudo-labels.
local function sample(folder, i, picture)
  local path = ("%s/%06d.npz"):format(folder, i)
  local image, mask = co.image.read(picture.image), co.image.mask(picture.mask)
  local sc = scale.of(image.shape[2], image.shape[1], SIZE)
  local person = scale.picture((mask * 255):to "uint8", sc)
  local sum, x, y = 0, 0, 0
  for row, line in ipairs(person:totable()) do
    for column, value in ipairs(line) do
      if value > 127 then sum, x, y = sum + 1, x + column - 1, y + row - 1 end
    end
  end
  local point = sum > 0 and { x / sum, y / sum } or { sc.content_w / 2, sc.content_h / 2 }
  core.sample_write(path, { image = scale.picture(image, sc), maps = person:reshape { sc.h, sc.w, 1 }, person = person,
    points = co.tensor { point }, content = { sc.content_w, sc.content_h } })
  return { path = path }
end

-- Cross entropy and Dice's loss (Milletari et al., 3DV 2016) of the pixels that have a label.
local function loss_of(logits, label)
  local valid = co.gt(label, 0):to "float32"
  local truth = co.eq(label, 1):to "float32"
  local p = logits:sigmoid():clamp(1e-5, 1 - 1e-5)
  local entropy = (truth * p:log() + (1 - truth) * (1 - p):log()) * valid
  local both, all = (p * truth * valid):sum(), ((p + truth) * valid):sum()
  return -entropy:sum() / valid:sum() + 1 - (2 * both + 1) / (all + 1)
end

local function train(network, entries)
  local optimiser = co.optim.AdamW(network:parameters(), { lr = RATE, weight_decay = 1e-2 })
  local loader = samples.loader({ entries = entries, mend = core.error }, { size = SIZE, seed = seed, batch = batch,
    shuffle = true, augment = AUGMENT, tau = 0.5, band = 0 })
  local follower = average.of(network, 0.99, segmenter.segmenter)
  local shown, begun = progress.new("training", math.ceil(60 * minutes)), core.system.time()
  network:train()
  local step = 0
  while true do
    local spent = core.system.time() - begun
    if spent >= 60 * minutes then break end
    local falling = 0.01 + 0.495 * (1 + math.cos(math.pi * spent / (60 * minutes)))
    optimiser.lr = RATE * math.min(1, (step + 1) / 20) * falling
    local value = co.tidy(function()
      local b = loader:next()
      local loss = loss_of(network(b.image), b.label)
      optimiser:zero_grad()
      loss:backward()
      optimiser:step()
      return loss:item()
    end)
    step = step + 1
    follower:step(step)
    shown:update(math.floor(spent), ("step %d, loss %.3f"):format(step, value))
  end
  loader:close()
  shown:finish(("%d steps"):format(step))
  return follower.model:eval()
end

-- ---- judging ----
local function count(t) return t:to("float32"):sum():item() end

local function judge(sums, mask, person, object)
  local hit = count(mask * person)
  table.insert(sums.recall, hit / math.max(count(person), 1))
  table.insert(sums.iou, hit / math.max(count(co.gt(mask + person, 0)), 1))
  local other = object and object * co.eq(person, 0):to "uint8"
  if other and count(other) > 0 then table.insert(sums.leakage, count(mask * other) / count(other)) end
end

local function mean(list)
  local sum = 0
  for _, value in ipairs(list) do sum = sum + value end
  return #list > 0 and ("%5.1f"):format(100 * sum / #list) or "    -"
end

local function row(name, sums)
  print(("%-34s %3d pictures  recall %s  leakage %s  IoU %s"):format(name, #sums.recall, mean(sums.recall),
    mean(sums.leakage), mean(sums.iou)))
end

local function empty() return { recall = {}, leakage = {}, iou = {} } end

-- The mask of a picture, found at LONG pixels and brought to its own size.
local function mask_of(network, image)
  local h, w = image.shape[1], image.shape[2]
  local s = math.min(1, LONG / math.max(h, w))
  local small_w, small_h = math.floor(w * s + 0.5), math.floor(h * s + 0.5)
  local small = core.io.resample(image, small_w / w, small_h / h, small_w, small_h, small_w, small_h)
  local mask = segmenter.mask(network, small):to "float32"
  return co.gt(core.io.resample(mask, w / small_w, h / small_h, w, h, w, h), 0.5):to "uint8"
end

-- Of masks by query, in several tables; nil of none.
local function union(...)
  local list = {}
  for _, masks in ipairs { ... } do
    for _, mask in pairs(masks) do list[#list + 1] = mask end
  end
  return list[1] and metrics.union(list)
end

local function evaluate(network, held)
  local sums = empty()
  for _, picture in ipairs(held) do
    co.tidy(function()
      judge(sums, mask_of(network, co.image.read(picture.image)), co.image.mask(picture.mask))
    end)
  end
  row("held-out sequences", sums)
  local annotated = empty()
  local folder = co.data(data)
  for _, name in ipairs(folder.annotated) do
    local clip = folder:clip(name)
    for _, frame in ipairs(folder:queries(clip)) do
      co.tidy(function()
        local masks = folder:masks(name, frame.n)
        judge(annotated, mask_of(network, clip:frame(frame.n)), union(masks.hand, masks.arm), union(masks.object))
      end)
    end
  end
  row("annotated frames of clips", annotated)
end

local held_in, held = pictures()
local network
if options.judge then
  network = segmenter.from_file(options.judge)
else
  core.seed(seed)
  local encoder = options.encoder or "mobilenet_v2"
  local first = options.encoder_weights
  if not first and encoder == "mobilenet_v2" then first = data .. "/weights/mobilenet_v2_imagenet.safetensors" end
  if first == "none" then first = nil else first = first or weights.path(encoder) end
  local folder = "runs/person"
  core.io.make_folder(folder)
  local shown = progress.new("samples", #held_in)
  local entries = lists.map(held_in, function(picture, i)
    shown:update(i)
    return co.tidy(sample, folder, i, picture)
  end)
  shown:finish()
  network = train(segmenter.segmenter { encoder = encoder, encoder_weights = first }, entries)
  core.io.make_folder((out:match "^(.*)/[^/]*$" or "."))
  network:save(out)
end
evaluate(network, held)
if not options.judge then print(out) end
