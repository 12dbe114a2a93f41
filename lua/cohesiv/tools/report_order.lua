--- Whether what the paper found holds among runs: which of its systems is above which, what differences say so, and
-- where it does not hold, figures that tell why. Knows groups of results (report_groups.lua), no run folder.
local lists = require "cohesiv.base.lists"
local evaluate = require "cohesiv.hands.evaluate"
local comparison = require "cohesiv.train.comparison"
local groups_of = require "cohesiv.tools.report_groups"
local M = {}

-- Experiments by their names: the upper one, the lower one, the tasks in which it is so.
local CLAIMS = {
  { "cohesiv", "attention_only", { "All", "Pair" } },
  { "cohesiv", "embeddings_only", evaluate.tasks },
  { "cohesiv", "resnet", evaluate.tasks },
  { "cohesiv", "predicted_query", { "All", "Pair" } },
  { "cohesiv", "saliency", evaluate.tasks },
  { "cohesiv", "flow", evaluate.tasks },
  { "cohesiv", "thresholded_responsibility", { "All", "Pair" } },
  { "supervised_box", "cohesiv", { "All" } },
}
local ABLATIONS = { "attention_only", "embeddings_only", "supervised_box" } -- without one it is not the paper's table

-- Groups by the names of experiments: "Supervised bounding box" and "attention_only_seed-0" are names of tables.
local function by_name(groups)
  local out = {}
  for _, group in ipairs(groups) do
    local name = group.name:lower():gsub(" %(supervised%)$", ""):gsub("[_-]?seed%-?%d+", ""):gsub(" ", "_")
    out[name] = out[name] or group
  end
  return out
end

-- What became of a claim: a note, and whether it holds in all its tasks.
local function verdict(cells, tasks)
  local reversed, weak = {}, {}
  for _, task in ipairs(tasks) do
    local cell = cells[task]
    if cell and cell.difference <= 0 then
      reversed[#reversed + 1] = task
    elseif cell and cell.low <= 0 then
      weak[#weak + 1] = task
    end
  end
  if #reversed > 0 then return "does not hold on " .. table.concat(reversed, ", ") end
  if #weak > 0 then return "holds; within chance on " .. table.concat(weak, ", ") end
  return "holds"
end

local function difference(lower, upper, task)
  local found = comparison.tasks(lower, upper)[task]
  return found and ("%+.1f (%+.1f to %+.1f)"):format(found.difference, found.low, found.high) or "unknown"
end

-- Why a claim may not hold, by the name of its lower or upper experiment: (groups by name, hands) → text or nil.
local WHY = {
  embeddings_only = function(by, hands)
    local one, other = groups_of.split(by.embeddings_only.rows, hands), groups_of.split(by.cohesiv.rows, hands)
    return ("All asks for no hand, so that embeddings alone may do: COHESIV's Pair is %s above theirs on frames of one "
      .. "hand, %s on frames of several."):format(difference(one[false], other[false], "Pair"),
      difference(one[true], other[true], "Pair"))
  end,
  thresholded_responsibility = function()
    return "The maps see the video; the network, which learnt from maps of this kind, sees one image and a point."
  end,
  supervised_box = function(by)
    if not by.true_boxes then return nil end
    return ("Boxes of the truth reach %.1f on All, %s beside COHESIV: what is left to 100 is the shape of boxes. The "
      .. "network's boxes reach %.1f: the rest is missed by it."):format(by.true_boxes.cells.All.mean,
      difference(by.cohesiv.rows, by.true_boxes.rows, "All"), by.supervised_box.cells.All.mean)
  end,
}

--- section(groups): what holds of the paper's order, a section of a report; nil where its systems are not among them.
function M.section(groups)
  local by, rows, text, hands = by_name(groups), {}, {}, groups_of.hands(groups[1].rows)
  if not by.cohesiv or #lists.map(ABLATIONS, function(name) return by[name] end) == 0 then return nil end
  for _, claim in ipairs(CLAIMS) do
    local upper, lower = by[claim[1]], by[claim[2]]
    if upper and lower then
      local found, cells = comparison.tasks(lower.rows, upper.rows), {}
      for _, task in ipairs(claim[3]) do cells[task] = found[task] end
      local note = verdict(cells, claim[3])
      rows[#rows + 1] = { name = ("%s above %s"):format(claim[1], claim[2]), note = note, cells = cells }
      local why = WHY[claim[2] == "cohesiv" and claim[1] or claim[2]]
      local told = note ~= "holds" and why and why(by, hands)
      if told then text[#text + 1] = ("%s: %s"):format(rows[#rows].name, told) end
    end
  end
  return { title = "The paper's order", text = text, table = { name = "order", columns = evaluate.tasks, rows = rows,
    caption = "What the paper found, as differences of the mean IoU here, points of per cent, with paired 95 % "
      .. "bootstrap intervals over clips. attention_only cannot tell hand from object, and has neither." } }
end

return M
