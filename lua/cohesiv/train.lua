--- co.train: learns a network from pseudo-labels, as the recipe says. Everything that a step depends on (weights,
-- moments, schedule, random numbers, position in the data) is in the checkpoint, so that a run that was stopped or
-- killed and resumed ends in the same bits as one that was not.
local averages = require "cohesiv.average"
local calibrate = require "cohesiv.calibrate"
local checkpoint = require "cohesiv.checkpoint"
local core = require "cohesiv.core"
local labels = require "cohesiv.labels"
local losses = require "cohesiv.losses"
local optim = require "cohesiv.optim"
local progress = require "cohesiv.progress"
local recipes = require "cohesiv.recipe"
local runs = require "cohesiv.run"
local tensor = require "cohesiv.tensor"

local M = {}

-- Between checkpoints inside an epoch.
local CHECKPOINT_SECONDS = tonumber(os.getenv "COHESIV_CHECKPOINT_SECONDS") or 300

local function fail(format, ...) error(("train: " .. format):format(...), 0) end

-- ---- one batch ----

local function batch_loss(model, recipe, batch)
  local out, w = model:forward(batch.image), recipe.loss
  local parts, total = {}, nil
  if w.responsibility ~= 0 then
    local l = losses.responsibility(out.Q, out.K, batch.maps, batch.points, batch.image_index,
      { through = w.clamp == "through" })
    parts.responsibility, total = l:item(), l * w.responsibility
  end
  if w.embedding ~= 0 then
    local l = losses.embedding(out.Z, batch.label, recipe.embedding)
    parts.embedding = l:item()
    total = total and total + l * w.embedding or l * w.embedding
  end
  parts.total = total:item()
  return total, parts
end

local function train_batch(model, recipe, optimiser, batch)
  local loss, parts = batch_loss(model, recipe, batch)
  if parts.total ~= parts.total then
    fail("the loss became NaN at step %d; try a smaller optim.lr", optimiser.steps + 1)
  end
  optimiser:zero_grad()
  loss:backward()
  optimiser:step()
  optimiser:zero_grad()
  return parts
end

local function add(sums, parts)
  for name, v in pairs(parts) do sums[name] = (sums[name] or 0.0) + v end
  sums.batches = (sums.batches or 0) + 1
end

local function means(sums, prefix, record)
  for name, v in pairs(sums) do
    if name ~= "batches" then record[prefix .. name] = v / sums.batches end
  end
end

-- ---- data ----

local function loader(recipe, paths, training)
  local a = recipe.augment
  return core.loader {
    paths = paths, size = recipe.size, batch = recipe.batch, seed = recipe.seed, shuffle = training,
    tau = recipe.maps.tau, band = recipe.maps.band,
    augment = training and { flip = a.flip, scale = a.scale, rotate = a.rotate, shift = a.shift, colour = a.colour,
      blur = a.blur, noise = a.noise } or nil,
  }
end

local function validate(model, recipe, data)
  local sums = {}
  model:eval()
  data:seek(1, 1)
  for _ = 1, data:batches() do
    tensor.tidy(function()
      tensor.no_grad(function()
        local _, parts = batch_loss(model, recipe, data:next())
        add(sums, parts)
      end)
    end)
  end
  model:train()
  return sums
end

-- ---- the loop ----

local Training = {}
Training.__index = Training

local function new_training(recipe, samples)
  core.seed(recipe.seed)
  local model = require("cohesiv.model").model(recipe.model)
  local average = recipe.optim.average ~= 0 and averages.of(model, recipe.optim.average) or nil
  local optimiser = optim.AdamW(model:parameters(), { lr = recipe.optim.lr, weight_decay = recipe.optim.weight_decay })
  local warmup = optim.Warmup(optimiser, { steps = math.max(math.ceil(recipe.optim.warmup), 1) })
  local self = setmetatable({
    rate = warmup, -- its .lr is the rate before warm-up: the schedules' to change
    cosine = recipe.optim.schedule == "cosine" and optim.Cosine(warmup, { steps = 1, floor = 0.01 }) or nil,
    recipe = recipe, model = model, optimiser = optimiser, average = average, samples = samples,
    data = loader(recipe, samples.train, true),
    validation = #samples.validation > 0 and loader(recipe, samples.validation, false) or nil,
    schedule = optim.Plateau(warmup, { patience = recipe.optim.patience, stop = recipe.optim.stop }),
    epoch = 1, batch = 1, sums = {}, seconds = 0.0, ended = false,
  }, Training)
  return self
end

function Training:position()
  local seed, stream = core.random_state()
  return {
    epoch = self.epoch, batch = self.batch, sums = self.sums, seconds = self.seconds + self:since(), ended = self.ended,
    schedule = self.schedule:state(), rate = self.rate.lr, random = { seed, stream }, samples = #self.samples.train,
  }
end

function Training:since() return self.started and core.system.time() - self.started or 0.0 end

function Training:write_checkpoint()
  checkpoint.write(self.run:file "last.safetensors", self, self:position())
  self.written = core.system.time()
end

function Training:resume()
  local p = checkpoint.read(self.run:file "last.safetensors", self)
  if p.samples ~= #self.samples.train then
    fail("expected the %d training samples of the checkpoint, found %d: the data has changed", p.samples,
      #self.samples.train)
  end
  self.epoch, self.batch, self.sums, self.seconds, self.ended = p.epoch, p.batch, p.sums, p.seconds, p.ended
  self.schedule:restore(p.schedule)
  self.rate.lr = p.rate
  core.seed(p.random[1], p.random[2])
  self.data:seek(self.epoch, self.batch)
  self.run:cut(function(record) return record.epoch < self.epoch end)
end

-- The share of the run that lies behind, by epochs or by minutes, whichever is further.
function Training:share()
  local recipe = self.recipe
  local batches = self.data:batches()
  local share = ((self.epoch - 1) * batches + self.batch - 1) / (recipe.epochs * batches)
  if recipe.minutes then share = math.max(share, (self.seconds + self:since()) / (60 * recipe.minutes)) end
  return math.min(share, 1)
end

function Training:set_rate()
  if self.cosine then self.cosine:step(self:share()) end
  self.rate:step(self.optimiser.steps)
end

-- Validation, schedule, checkpoints and the record of an epoch. What is validated and kept as the best is the average
-- of the weights, where there is one.
function Training:end_epoch()
  local model = self.average and self.average.model or self.model
  local record = { epoch = self.epoch, step = self.optimiser.steps, lr = self.optimiser.lr,
    seconds = self.seconds + self:since() }
  means(self.sums, "train_", record)
  local score = record.train_total
  if self.validation then
    means(validate(model, self.recipe, self.validation), "validation_", record)
    score = record.validation_total
  end
  local verdict = self.schedule:step(score)
  if verdict == "better" then model:save(self.run:file "best.safetensors") end
  if self.recipe.optim.schedule ~= "plateau" then self.rate.lr = self.recipe.optim.lr end
  record.best = verdict == "better"
  self.run:log(record)
  self.epoch, self.batch, self.sums = self.epoch + 1, 1, {}
  self.ended = self.epoch > self.recipe.epochs or (verdict == "stop" and self.recipe.optim.schedule == "plateau") or
    self:share() >= 1
  self:write_checkpoint()
  return record
end

local function note(record)
  return ("epoch %d  train %.4f%s  lr %.2g"):format(record.epoch, record.train_total,
    record.validation_total and ("  validation %.4f"):format(record.validation_total) or "", record.lr)
end

-- Runs until the end, or until a signal asks to stop. Returns whether it ended.
function Training:go()
  local system, batches = core.system, self.data:batches()
  local limit = self.recipe.minutes and "" or ("/%d"):format(self.recipe.epochs)
  self.started, self.written = system.time(), system.time()
  self.model:train()
  while not self.ended do
    local bar = progress.new(("epoch %d%s"):format(self.epoch, limit), batches)
    while self.batch <= batches do
      if system.stopped() then
        self:write_checkpoint()
        return false
      end
      self:set_rate()
      local parts = tensor.tidy(function()
        return train_batch(self.model, self.recipe, self.optimiser, self.data:next())
      end)
      if self.average then self.average:step(self.optimiser.steps) end
      add(self.sums, parts)
      self.batch = self.batch + 1
      bar:update(self.batch - 1, ("loss %.4f"):format(parts.total))
      if system.time() - self.written > CHECKPOINT_SECONDS then self:write_checkpoint() end
      if self:share() >= 1 and self.batch <= batches and self.recipe.minutes then break end
    end
    local record = self:end_epoch()
    bar:finish(note(record))
  end
  return true
end

-- ---- calibration ----

-- The mean embeddings from the training samples, and thresholds where the data has masks to choose them on.
local function finish(self, data, calibration)
  local run, recipe = self.run, self.recipe
  local model = require("cohesiv.model").model(recipe.model)
  model:load(run:file "best.safetensors")
  model:eval()
  local stored = run:calibration() or {}
  if recipe.loss.embedding ~= 0 then
    local plain = core.loader { paths = self.samples.train, size = recipe.size, batch = 1, seed = recipe.seed,
      tau = recipe.maps.tau, band = recipe.maps.band, shuffle = true }
    local count, i = math.min(#self.samples.train, 200), 0
    stored.means = calibrate.means(model, function()
      i = i + 1
      if i > count then return nil end
      local b = plain:next()
      return b.image[1], b.label[1]
    end, count, { count = recipe.calibrate.embeddings, seed = recipe.seed, normalise = recipe.embedding.normalise })
    plain:close()
  end
  run:set_calibration(stored)
  calibrate.attach(model, recipe, stored)
  model:save(run:file "best.safetensors")
  if calibration then calibrate.thresholds(run, calibration.data, { names = calibration.names })
  elseif #data.annotated > 0 then calibrate.thresholds(run, data) end
end

-- A system without training: its run folder holds the recipe and the thresholds.
local function untrained(recipe, options)
  if not recipe.data then fail("expected a data folder (data=PATH), found none") end
  local run = runs.create(recipe, { root = options.root })
  calibrate.thresholds(run)
  run:set_status { state = "done" }
  return run
end

-- ---- the public function ----

--- co.train(recipe, { resume = RUN_FOLDER, root = "runs", data, names, calibration = { data, names } }) → run: makes
-- the pseudo-labels that are not cached yet, trains, calibrates (on `calibration`, if given; else on the calibration
-- half of the data). On Ctrl-C or SIGTERM a checkpoint is written and "interrupted" raised; resume goes on. again: what
-- that message says to do.
function M.train(recipe, options)
  options = options or {}
  if not recipes.is(recipe) then fail("expected a recipe, found a %s", type(recipe)) end
  if recipe.system ~= "cohesiv" then return untrained(recipe, options) end
  if not (recipe.data or options.data) then fail("expected a data folder (data=PATH), found none") end
  if recipe.device ~= "cpu" then
    fail("device: expected cpu, the only device of this build, found %s", recipe.device)
  end
  if recipe.loss.responsibility == 0 and recipe.loss.embedding == 0 then
    fail("expected a loss with a weight, found loss.responsibility and loss.embedding both 0")
  end
  if recipe.supervised then fail("supervised: expected false: no recipe here learns from masks") end
  if recipe.threads then core.threads(recipe.threads) end
  local data = options.data or require("cohesiv.data").data(recipe.data)
  local before = core.system.on_signal "flag"
  local run
  local ok, message = pcall(function()
    local samples = labels.prepare(data, recipe, options.names)
    if #samples.train == 0 then fail("expected training samples, found none") end
    local training = new_training(recipe, samples) -- first: a recipe that fails leaves no folder
    run = options.resume and runs.open(options.resume) or runs.create(recipe, { root = options.root })
    training.run = run
    if options.resume then run:restore_choices() end
    if options.resume and run:has "last.safetensors" then
      training:resume()
    else
      run:cut(function() return false end) -- killed before the first checkpoint: from the start
    end
    run:set_status { state = "training", samples = #samples.train, validation = #samples.validation }
    if not training.ended and not training:go() then
      run:set_status { state = "stopped", epoch = training.epoch, step = training.optimiser.steps }
      error(("interrupted: a checkpoint was written; go on with %s (%s)"):format(options.again or "--resume", run.path),
        0)
    end
    training.data:close()
    finish(training, data, options.calibration)
    run:set_status { state = "done", epoch = training.epoch - 1, step = training.optimiser.steps,
      samples = #samples.train, validation = #samples.validation }
  end)
  core.system.on_signal(before)
  if not ok then error(message, 0) end
  return run
end

return M
