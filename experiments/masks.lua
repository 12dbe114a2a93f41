--- Masks of hands and held objects from maps alone, without training, against the hand-drawn ones: what
-- `cohesiv segment VIDEO` writes, judged by the evaluator on every annotated frame.
--
-- usage: cohesiv experiments/masks.lua [DATA]          (default: $COHESIV_DATA)
local co = require "cohesiv"
local evaluate = require "cohesiv.hands.evaluate"
local evaluation = require "cohesiv.train.evaluation"
local progress = require "cohesiv.base.progress"
local video_masks = require "cohesiv.hands.video_masks"

-- A mask as a map for thresholds: the evaluator asks for what is over one half.
local function entry(mask) return { mask:to "float32" } end

local kept, of -- the masks of the clip that is asked about
local system = {
  detects = true,
  goals = { hand = { task = "Hand", grids = { { 0.5 } } }, object = { task = "Obj", grids = { { 0.5 } } } },
  answer = function(clip, n, queries, detected)
    if of ~= clip then kept, of = video_masks.new(clip), clip end
    local masks, answer = kept:frame(n), { hand = {}, object = {} }
    for q in ipairs(queries) do
      local found = detected[q] and masks[detected[q]]
      if found then answer.hand[q], answer.object[q] = entry(found.hand), entry(found.object) end
    end
    return answer
  end,
}

local path = arg[1] or os.getenv "COHESIV_DATA"
if not path then error("masks: expected a data folder as argument or in COHESIV_DATA, found none", 0) end
local data = co.data(path)
local bar = progress.new("frames", #evaluate.frames(data, data.annotated))
local scored = evaluate.score(system, { hand = { 0.5 }, object = { 0.5 } }, data, data.annotated, {
  progress = function(done) bar:update(done) end,
})
bar:finish()
io.write(evaluation.text { { name = "masks from maps", summary = scored.summary } })
if arg[2] == "--frames" then
  for _, row in ipairs(scored.rows) do
    print(("%s %d %s %s %.1f"):format(row.clip, row.n, row.q or "-", row.task, 100 * row.iou))
  end
end
