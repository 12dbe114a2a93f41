--- co.train: learns a network from pseudo-labels, as the recipe says. Everything that a step depends on (weights,
-- moments, schedule, random numbers, position in the data) is in the checkpoint, so that a run that was stopped or
-- killed and resumed ends in the same bits as one that was not: whatever else has changed by then is refused.
local core = require "cohesiv.core"
local lists, progress = require "cohesiv.base.lists", require "cohesiv.base.progress"
local tensor, captured = require "cohesiv.tensor", require "cohesiv.tensor.captured"
local optim = require "cohesiv.optim"
local calibrate, models = require "cohesiv.hands.calibrate", require "cohesiv.hands.model"
local averages, bests = require "cohesiv.train.ema", require "cohesiv.train.best"
local checkpoint, cost = require "cohesiv.train.checkpoint", require "cohesiv.train.cost"
local extent, tasks = require "cohesiv.train.extent", require "cohesiv.train.tasks"
local predicted_query = require "cohesiv.train.tasks.predicted_query"
local pretrain = require "cohesiv.train.pretrain"
local loss, rates, recipes = require "cohesiv.train.loss", require "cohesiv.train.rates", require "cohesiv.train.recipe"
local runs, sampled = require "cohesiv.train.run", require "cohesiv.train.samples"
local scaling, watch = require "cohesiv.train.scaling", require "cohesiv.train.watch"
local M = {}

--- Keys of a recipe that may be others when a run is resumed.
M.may_change = { "detect_anomaly", "device", "epochs", "minutes", "pictures", "tensorboard", "threads" }

local CHECKPOINT_SECONDS = tonumber(os.getenv "COHESIV_CHECKPOINT_SECONDS") or 300 -- between two inside an epoch

local function fail(format, ...) core.refuse("train: " .. format, ...) end

local FIELDS = { "image", "label", "maps", "points", "image_index" } -- of a batch
local TOGETHER = 20 -- steps whose losses are read at once, where reading is waiting

-- The batch as a list, on a device.
local function moved(batch, device)
  return table.unpack(lists.map(FIELDS, function(name) return batch[name]:to(device) end))
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

local Training = {}
Training.__index = Training

-- Calls what an experiment has for "step", "epoch" or "finish".
function Training:hook(name, ...)
  local on = rawget(self.recipe, "on") -- recipes of older runs lack it
  local f = on and on[name]
  if f then f(self, ...) end
end

-- Batches of samples, damaged ones made again. `how`: what a loader is asked for beyond what the recipe says.
function Training:loader(entries, how)
  local recipe = self.recipe
  local function mend(entry)
    local before = entry.digest
    self.task.mend(entry)
    if self.run and entry.digest ~= before then self:list_samples() end -- its digest had been damaged, too
  end
  how.size, how.stride = recipe.size, self.model.stride
  how.seed, how.tau, how.band = recipe.seed, recipe.maps.tau, recipe.maps.band
  return sampled.loader({ entries = entries, mend = mend }, how)
end

local function new_training(recipe, options)
  local device = tensor.zeros(1, { device = recipe.device }).device -- the CPU's where there is no GPU
  if recipe.precision ~= "float32" and not device:find "^cuda" then
    fail("precision: expected float32 on %s, found %s", device, recipe.precision)
  end
  local of = tasks.of(recipe)
  local task = of.open(recipe, options.data)
  recipe = task.recipe
  local samples = task.prepare()
  if #samples.train == 0 then fail("expected training samples, found none") end
  local begins = not (options.resume and core.io.status(options.resume .. "/last.safetensors"))
  local first = begins and pretrain.weights(recipe, M.train) or nil
  core.seed(recipe.seed)
  local o, model = recipe.optim, models.model(recipe.model):to(recipe.device)
  if first then pretrain.load(model, first) end
  local function another() return models.like(recipe.model) end
  local average = o.average ~= 0 and averages.of(model, o.average, another) or nil
  model.precision = recipe.precision
  local stored = begins and task.start(model) or nil
  local optimiser, names = rates.of(model, o, of.part)
  local warmup = optim.Warmup(optimiser, { steps = math.max(math.ceil(o.warmup), 1) })
  local self = setmetatable({
    unread = {}, state = {}, own = #loss.terms(recipe) > 0, names = names, top = bests.of(recipe.save_top_k),
    epochs = extent.epochs(recipe), batches = extent.batches(recipe, #samples.train),
    scaling = recipe.precision == "fp16" and scaling.of(device) or nil,
    rate = warmup, -- its .lr is the rate before warm-up: the schedules' to change
    cosine = o.schedule == "cosine" and optim.Cosine(warmup, { steps = 1, floor = 0.01 }) or nil,
    schedule = optim.Plateau(warmup, { patience = o.patience, stop = o.stop }),
    recipe = recipe, model = model, optimiser = optimiser, average = average, samples = samples, source = task.data,
    task = task, part = of.part, stored = stored,
    epoch = 1, batch = 1, sums = {}, seconds = 0.0, ended = false, stopped = false,
  }, Training)
  -- What is read on the host, in an experiment's own losses as well, cannot be recorded.
  local reads = self.own or of.reads or o.accumulate > 1 or recipe.detect_anomaly
  self.together = (device == "cpu" or reads) and 1 or TOGETHER
  self.work = function(...) return self:compute(...) end
  if self.together > 1 then
    local state = optimiser:tensors()
    for _, t in model:named_buffers() do state[#state + 1] = t end
    if self.scaling then table.move(self.scaling:tensors(), 1, 2, #state + 1, state) end
    self.work = captured(self.work, state)
  end
  local by_heart = recipe.overfit_batches > 0
  self.data = self:loader(samples.train, { batch = recipe.batch, shuffle = not by_heart,
    augment = not by_heart and recipe.augment or nil,
    weights = not by_heart and samples.train[1].weight and lists.map(samples.train, function(s) return s.weight end)
      or nil })
  if #samples.validation > 0 then
    self.validation = self:loader(samples.validation, { batch = recipe.batch, shuffle = false })
  end
  return self
end

-- What is trained on, as the run folder and the checkpoints have it.
function Training:list_samples()
  local text = sampled.text(self.samples)
  self.digest = core.io.digest(text)
  self.run:write("samples.jsonl", text)
end

-- Seconds of training, those before it was resumed included.
function Training:since() return self.seconds + (self.started and core.system.time() - self.started or 0.0) end

function Training:set_status(state)
  local going = state == "training" or state == "stopped"
  self.run:set_status { state = state, epoch = going and self.epoch or self.epoch - 1, step = self.optimiser.steps,
    seconds = self:since(), share = self:share(), samples = #self.samples.train,
    validation = #self.samples.validation }
end

-- Times are not in the checkpoint: equal runs have equal ones.
function Training:write_checkpoint(state)
  self:read(self.optimiser.steps)
  checkpoint.write(self.run:file "last.safetensors", self, {
    epoch = self.epoch, batch = self.batch, sums = self.sums, ended = self.ended, stopped = self.stopped,
    schedule = self.schedule:state(), rate = self.rate.lr, random = { core.random_state() },
    samples = #self.samples.train, data = self.digest, state = self.state, top = self.top:state(),
    scaling = self.scaling and self.scaling:state(),
  })
  self:set_status(state or "training")
  self.written, self.kept = core.system.time(), true
end

-- Raises unless the samples are those that the run began with; a checkpoint without a digest of them tells how many.
function Training:check_samples(p)
  local count, digest, what = #self.samples.train, core.io.digest(sampled.text(self.samples)), nil
  if p.data == digest or not p.data and p.samples == count then return end
  local before = self.run:has "samples.jsonl" and core.io.read_file(self.run:file "samples.jsonl")
  if before and core.io.digest(before) == p.data then
    what = sampled.difference(self.samples, before, self.task.mend)
    if not what then return end
  end
  fail("%s: expected the samples that the run began with, found that the data has changed: %s", self.run.path,
    what or ("%d samples then, %d now"):format(p.samples, count))
end

function Training:resume()
  local p = checkpoint.read(self.run:file "last.safetensors", self)
  self:check_samples(p)
  self.epoch, self.batch, self.sums, self.stopped = p.epoch, p.batch, p.sums, p.stopped
  self.seconds = self.run:status().seconds or p.seconds or 0.0
  self.state = p.state or {}
  self.top:restore(p.top)
  self.top:tidy(self.run)
  watch.cut(self.run, p.optimiser.steps)
  self.schedule:restore(p.schedule)
  self.rate.lr = p.rate
  if self.scaling then self.scaling:restore(p.scaling or p) end
  core.seed(p.random[1], p.random[2])
  self.data:seek(self.epoch, self.batch)
  self.run:cut(function(record) return (record.epoch or 0) < self.epoch end)
  self.ended = p.ended and (p.stopped ~= false or self:is_over()) -- more epochs or minutes than before: it goes on
end

-- The share of the run that lies behind, by epochs or by minutes, whichever is further.
function Training:share()
  local recipe = self.recipe
  local batches = self.batches
  local share = ((self.epoch - 1) * batches + self.batch - 1) / (self.epochs * batches)
  if recipe.minutes then share = math.max(share, self:since() / (60 * recipe.minutes)) end
  return math.min(share, 1)
end

-- Whether the recipe's epochs or minutes are used up, at the end of an epoch.
function Training:is_over() return self.epoch > self.epochs or self:share() >= 1 end

-- Whether the next batch is the first one whose gradients make a step.
function Training:between_steps() return (self.batch - 1) % self.recipe.optim.accumulate == 0 end

-- How many batches make a step with this one, and whether it is the last of them.
function Training:group()
  local k = self.recipe.optim.accumulate
  local start = (self.batch - 1) // k * k
  local size = math.min(k, self.batches - start)
  return size, self.batch == start + size
end

-- Losses of the steps since the last reading, in their order. `last`: the number of the step that the last one is of.
function Training:read(last)
  local rows = #self.unread > 0 and tensor.tidy(function() return tensor.stack(self.unread):totable() end) or {}
  for _, t in ipairs(self.unread) do t:close() end
  self.unread = {}
  for i, values in ipairs(rows) do
    local parts = loss.named(self.recipe, values)
    if parts.total ~= parts.total then
      fail("the loss became NaN at step %d; try a smaller optim.lr", last - #rows + i)
    end
    add(self.sums, parts)
    self.loss = parts.total
  end
end

-- The batch that losses are of: its tensors, where the network is, and for an experiment's own losses what they are of:
-- samples, a list of { clip, frame }, and the data folder.
function Training:batch_of(entries, ...)
  local batch = { samples = entries, data = self.source }
  for i, name in ipairs(FIELDS) do batch[name] = select(i, ...) end
  return batch
end

-- What a step computes, from a batch. Where reading is no waiting, losses are read before they change a weight.
function Training:compute(...)
  local range = core.range
  local total, parts = range("forward", loss.of, self.model, self.recipe, self:batch_of(self.current, ...))
  local at_once = self.together == 1
  if at_once then
    self.unread[1] = parts
    self:read(self.optimiser.steps + 1)
  end
  local size, last = self:group()
  local optimiser, scaled = self.optimiser, self.scaling
  if self:between_steps() then optimiser:zero_grad() end
  if size > 1 then total = total / size end
  if scaled then total = total:to "float32" end -- as the scale is
  range("backward", total.backward, total, scaled and scaled.scale)
  if last then
    local step = at_once and optimiser.step or optimiser.update
    range("optimiser", step, optimiser, self.recipe.optim.clip, scaled)
    optimiser:zero_grad()
  end
  return parts
end

function Training:step()
  local together = self.together > 1
  if together then self.optimiser:advance() end
  local batch = core.range("batch", self.data.next, self.data)
  self.current = self.own and self.data:entries(batch) or nil
  self:hook("step", batch)
  local parts = self.work(moved(batch, self.model.device()))
  if together then self.unread[#self.unread + 1] = parts:keep() end
  if #self.unread >= TOGETHER then self:read(self.optimiser.steps) end
  self.stepped = true
end

function Training:validate(model)
  local sums, precision = {}, model.precision
  model.precision = nil -- float32, in which the network will answer
  model:eval()
  self.validation:seek(1, 1)
  for _ = 1, extent.batches(self.recipe, #self.samples.validation) do
    tensor.tidy(tensor.no_grad, function()
      local batch = self.validation:next()
      local entries = self.own and self.validation:entries(batch) or nil
      local _, parts = loss.of(model, self.recipe, self:batch_of(entries, moved(batch, model.device())))
      add(sums, loss.named(self.recipe, parts:totable()))
    end)
  end
  rates.train(model, self.recipe.optim, self.part)
  model.precision = precision
  return sums
end

-- Validation, schedule, checkpoints and the record of an epoch; of the averaged weights, where there are some.
function Training:end_epoch()
  local model = self.average and self.average.model or self.model
  local record = { epoch = self.epoch, step = self.optimiser.steps, lr = self.optimiser.lr, seconds = self:since() }
  self:read(self.optimiser.steps)
  means(self.sums, "train_", record)
  local score = record.train_total
  if self.validation then
    means(self:validate(model), "validation_", record)
    score = record.validation_total
  end
  local verdict = self.schedule:step(score)
  if verdict == "better" then model:save(self.run:file "best.safetensors") end
  self.top:add(self.run, model, self.epoch, score)
  if self.recipe.optim.schedule ~= "plateau" then self.rate.lr = self.recipe.optim.lr end
  record.best = verdict == "better"
  self:hook("epoch", record)
  self.run:log(record)
  watch.epoch(self, record, model)
  rates.train(model, self.recipe.optim, self.part)
  self.epoch, self.batch, self.sums = self.epoch + 1, 1, {}
  if self.batches < self.data:batches() then self.data:seek(self.epoch, 1) end
  self.stopped = verdict == "stop" and self.recipe.optim.schedule == "plateau"
  self.ended = self.stopped or self:is_over()
  self:write_checkpoint()
  self.top:tidy(self.run)
  return record
end

-- Runs until the end, or until a signal asks to stop, or to the end of the epoch in which `pause` of its share lies
-- behind. Returns whether a signal did not stop it.
function Training:go(pause)
  local system, batches = core.system, self.batches
  local limit = self.recipe.minutes and "" or ("/%d"):format(self.epochs)
  self.started, self.written = system.time(), system.time()
  rates.train(self.model, self.recipe.optim, self.part)
  while not self.ended and self:share() < pause do
    local bar = progress.new(("epoch %d%s"):format(self.epoch, limit), batches)
    while self.batch <= batches do
      if system.stopped() and self:between_steps() then
        self:write_checkpoint "stopped"
        return false
      end
      if self.cosine then self.cosine:step(self:share()) end
      self.rate:step(self.optimiser.steps)
      tensor.tidy(self.step, self)
      if self.average and select(2, self:group()) then self.average:step(self.optimiser.steps) end
      bar:update(self.batch, self.loss and ("loss %.4f"):format(self.loss) or "",
        { step = self.optimiser.steps, loss = self.loss, share = self:share() })
      self.batch = self.batch + 1
      local stepped = self:between_steps()
      if stepped and system.time() - self.written > CHECKPOINT_SECONDS then self:write_checkpoint() end
      if stepped and self:share() >= 1 and self.batch <= batches and self.recipe.minutes then break end
    end
    local record = self:end_epoch()
    bar:finish(("epoch %d  train %.4f%s  lr %.2g"):format(record.epoch, record.train_total,
      record.validation_total and ("  validation %.4f"):format(record.validation_total) or "", record.lr))
  end
  return true
end

-- What predictions need beside weights, and thresholds where the data has masks to choose them on.
function Training:finish()
  local run, recipe = self.run, self.recipe
  local model, stored = run:model():to(recipe.device), run:calibration() or {}
  self.task.finish(self, model, stored)
  run:set_calibration(stored)
  calibrate.attach(model, recipe, stored)
  model:save(run:file "best.safetensors")
  if recipe.calibrate.data or #self.source.annotated > 0 then
    calibrate.thresholds(run, { clips = recipe.fast_dev_run and 1 or nil })
  end
  if self.ended then self:hook "finish" end
end

-- What of the recipe is another than when the run began; raises when that may not be.
local function changed(run, recipe)
  local changes, may_change = recipes.changes(run.recipe, recipe), lists.set(M.may_change)
  local refused = lists.map(changes, function(c) return not may_change[c.key] and c end)
  if #refused == 0 then return changes end
  fail("%s: expected the recipe that the run began with, found another: %s (only %s may change)", run.path,
    recipes.changes_text(refused), table.concat(M.may_change, ", "))
end

local function take_changes(run, recipe, changes, step)
  if not changes or #changes == 0 then return end
  run:change_recipe(recipe, changes, step)
  local device = lists.map(changes, function(c) return c.key == "device" end)[1]
  io.stderr:write(("%s: from step %d on %s%s\n"):format(run.path, step, recipes.changes_text(changes),
    device and " (bits may differ from those of a run on one device)" or ""))
end

-- The run, after f(run, changes): the one to resume, or a new one, which goes where f fails with nothing kept().
local function in_folder(recipe, options, kept, f)
  local run, lock
  if options.resume then
    run, lock = runs.open(options.resume, { hold = true })
  else
    run, lock = runs.create(recipe, { root = options.root, path = options.path, hold = true })
  end
  local _ <close> = lock
  local ok, message = pcall(f, run, options.resume and changed(run, recipe))
  if ok then return run end
  if not options.resume and not kept() then run:discard() end
  core.error(message, 0)
end

-- A system without training: its run folder holds the recipe and the thresholds.
local function untrained(recipe, options)
  if not recipe.data then fail("expected a data folder (data=PATH), found none") end
  return in_folder(recipe, options, function() return false end, function(run, changes)
    take_changes(run, recipe, changes, 0)
    calibrate.thresholds(run)
    Training.hook({ recipe = recipe, run = run }, "finish")
    run:set_status { state = options.state or "done" }
  end)
end

-- The recipe with the batch that a run that is resumed has had, or that memory has room for now.
local function with_batch(recipe, options)
  if recipe.batch ~= "auto" then return recipe end
  local found
  if options.resume then
    found = runs.open(options.resume).recipe.batch
  else
    local task, sample = tasks.of(recipe).open(recipe, options.data), nil
    local data = task.data
    if #loss.terms(recipe) > 0 then -- they may look at it
      for _, clip in ipairs(task.survey(1).wanted) do
        local frame = clip.frames[1]
        sample = sample or frame and { clip = clip.name, frame = frame }
      end
    end
    found = cost.fitting(cost.measure(recipe, sample or {}, data), recipe)
    io.stderr:write(("batch: auto: %d samples fit into memory\n"):format(found))
  end
  return recipes.with(recipe, { batch = found })
end

-- The recipe of predicted queries with the run whose network they stand on: that of a run that is resumed, one that is
-- there, or one that is trained now.
local function with_network(recipe, options)
  if recipe.system ~= "predicted_query" or recipe.query.run ~= "auto" then return recipe end
  if options.resume then
    return recipes.with(recipe, { query = { run = runs.open(options.resume).recipe.query.run } })
  end
  local root = options.path and options.path:match "^(.*)/[^/]*$" or options.root or "runs"
  local path, finished = predicted_query.found(recipe, root)
  if not finished then
    io.stderr:write(("%s: no finished run of COHESIV with this recipe in %s: it is trained first\n"):format(recipe.name,
      root))
    path = M.train(predicted_query.base(recipe), { resume = path, root = root, data = options.data }).path
  end
  io.stderr:write(("%s: on the network of %s\n"):format(recipe.name, path))
  return recipes.with(recipe, { query = { run = path } })
end

-- Raises for numbers of the recipe that mean nothing.
local function check(recipe)
  local function whole(name, value, least)
    if not math.tointeger(value) or value < least then
      fail("%s: expected a whole number of at least %d, found %s", name, least, recipes.show(value))
    end
  end
  if recipe.batch ~= "auto" then whole("batch", recipe.batch, 1) end
  whole("optim.accumulate", recipe.optim.accumulate, 1)
  whole("save_top_k", recipe.save_top_k, 1)
  whole("pictures", recipe.pictures, 0)
  whole("overfit_batches", recipe.overfit_batches, 0)
  if recipe.limit_batches then whole("limit_batches", recipe.limit_batches, 1) end
  if recipe.optim.clip and not (recipe.optim.clip > 0) then
    fail("optim.clip: expected a norm above 0, found %s", recipes.show(recipe.optim.clip))
  end
  if recipe.optim.encoder_lr and not (recipe.optim.encoder_lr >= 0) then
    fail("optim.encoder_lr: expected a rate of at least 0, found %s", recipes.show(recipe.optim.encoder_lr))
  end
end

-- Trains to the end in the run folder, from its last checkpoint where it has one.
local function trained(recipe, options)
  recipe = with_batch(with_network(recipe, options), options)
  local training = not options.resume and new_training(recipe, options) -- first: if it fails, it leaves no folder
  local function kept() return training.kept or training.stepped end
  return in_folder(recipe, options, kept, function(run, changes)
    training = training or new_training(recipe, options)
    training.run = run
    if training.stored and not run:calibration() then run:set_calibration(training.stored) end
    if changes then run:restore_choices() end
    if changes and run:has "last.safetensors" then
      training:resume()
    else
      run:cut(function() return false end) -- killed before the first checkpoint: from the start
    end
    take_changes(run, recipe, changes, training.optimiser.steps)
    run.recipe = recipe -- one of a folder has its functions by their files alone
    local detecting = core.detect_anomaly(recipe.detect_anomaly)
    local _ <close> = setmetatable({}, { __close = function()
      core.tf32(false)
      core.detect_anomaly(detecting)
    end })
    core.tf32(recipe.precision == "tf32")
    training:list_samples()
    training:set_status "training"
    if not training.ended and not training:go(options.pause or math.huge) then
      core.refuse("interrupted: a checkpoint was written; go on with %s (%s)", options.again or "--resume", run.path)
    end
    training.data:close()
    training:finish()
    training:set_status(training.ended and (options.state or "done") or "paused")
  end)
end

--- co.train(recipe, { resume = RUN_FOLDER, root = "runs", path, data, again, state = "done", pause }) → run: makes the
-- pseudo-labels that are not cached yet, and the network that was pre-trained where the recipe begins with one, trains,
-- calibrates where the data has masks. On Ctrl-C, SIGTERM or SIGUSR1 a checkpoint is written and "interrupted" raised
-- (again: what to do then); resume goes on, with the same recipe but for the keys of may_change, and the same data.
-- path: exactly this run folder. state: the run's at the end; "paused" of one that stopped at the end of an epoch with
-- the share `pause` of it done: calibrated as it stands, it can go on. What fails before the first step leaves no run
-- folder.
function M.train(recipe, options)
  options = options or {}
  if not recipes.is(recipe) then fail("expected a recipe, found a %s", type(recipe)) end
  tasks.check(recipe)
  if not tasks.of(recipe) then return untrained(recipe, options) end
  if not (recipe.data or options.data) then fail("expected a data folder (data=PATH), found none") end
  local there_is, message = pcall(tensor.zeros, 1, { device = recipe.device })
  if not there_is then fail("%s", message) end
  if #loss.names(recipe) == 1 then -- the whole alone
    fail("expected a loss with a weight, found loss.responsibility and loss.embedding both 0")
  end
  check(recipe)
  if recipe.threads then core.threads(recipe.threads) end
  local before = core.system.on_signal "flag"
  local ok, result = pcall(trained, recipe, options)
  core.system.on_signal(before)
  if not ok then core.error(result, 0) end
  return result
end

return M
