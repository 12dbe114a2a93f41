--- The weights of the best epochs: best.safetensors, and of the k best, where more than one are wanted, files of their
-- own, epoch-NNNN.safetensors. What is there is in the checkpoints, so that a resumed run keeps the same.
local lists = require "cohesiv.base.lists"
local core = require "cohesiv.core"
local M = {}
local Best = {}
Best.__index = Best

local function file_of(epoch) return ("epoch-%04d.safetensors"):format(epoch) end

--- of(k): keeps none beside best.safetensors when k is 1.
function M.of(k) return setmetatable({ k = k, list = {} }, Best) end

--- best:add(run, model, epoch, score): keeps the weights of an epoch when it is among the k best; lower is better.
function Best:add(run, model, epoch, score)
  if self.k < 2 then return end
  table.insert(self.list, { epoch = epoch, score = score })
  table.sort(self.list, function(a, b) return a.score < b.score or a.score == b.score and a.epoch < b.epoch end)
  local out = #self.list > self.k and table.remove(self.list) or nil
  if not out or out.epoch ~= epoch then model:save(run:file(file_of(epoch))) end
end

--- best:tidy(run): removes files of epochs that are not among the best, once a checkpoint says so.
function Best:tidy(run)
  local wanted = lists.set(lists.map(self.list, function(entry) return file_of(entry.epoch) end))
  for _, name in ipairs(core.io.list(run.path)) do
    if name:find "^epoch%-%d+%.safetensors$" and not wanted[name] then os.remove(run:file(name)) end
  end
end

--- best:state(), best:restore(state): for a checkpoint.
function Best:state() return { list = self.list } end
function Best:restore(state) self.list = state and state.list or {} end

return M
