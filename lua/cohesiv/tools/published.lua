--- Figures that were published for a data set, shown beside ours where that data set is the one that is evaluated, and
-- nowhere else: Shan, Higgins and Fouhey, NeurIPS 2021, Tables 1 and 2: IoU in per cent of All, Pair, Hand, Obj.
-- A data folder tells which set it is by its name, or by the file dataset.json in it: { "name": "100DOH" }.
local core = require "cohesiv.core"
local json, lists = require "cohesiv.base.json", require "cohesiv.base.lists"
local M = {}

local SETS = {
  { name = "100DOH", patterns = { "^100doh" }, rows = {
    { "COHESIV", 51.9, 46.5, 53.6, 29.3 }, { "Saliency", 25.2, 20.1, 8.6, 17.0 }, { "Flow", 29.3, 21.5, 12.9, 12.1 },
    { "Thresholded responsibility", 44.5, 37.0 }, { "Supervised bounding box", 56.9, 47.0, 56.5, 34.9 },
    { "Attention only", 42.8, 40.0 }, { "Embeddings only", 25.7, 18.3, 13.2, 22.9 },
    { "ResNet backbone", 45.8, 41.2, 48.1, 25.2 }, { "Predicted query", 47.7, 42.8, 47.8, 28.1 } } },
  { name = "EPICK", patterns = { "^epick", "^epic.?kitchens" }, rows = {
    { "COHESIV", 43.2, 42.1, 60.7, 19.5 }, { "Saliency", 21.6, 15.9, 6.0, 11.7 }, { "Flow", 15.4, 11.9, 6.2, 6.6 },
    { "Thresholded responsibility", 42.9, 30.0 }, { "Supervised bounding box", 54.3, 44.8, 53.8, 34.4 },
    { "Attention only", 38.1, 37.8 }, { "Embeddings only", 30.0, 20.8, 24.6, 14.4 },
    { "ResNet backbone", 39.8, 39.1, 55.2, 17.9 }, { "Predicted query", 40.0, 38.6, 55.1, 19.4 } } },
}

-- What a data folder calls itself.
local function name_of(path)
  local file = path .. "/dataset.json"
  if core.io.status(file) then
    local ok, told = pcall(json.read, file)
    if ok and type(told) == "table" and type(told.name) == "string" then return told.name end
  end
  return path:match "([^/]+)/*$" or ""
end

--- table_of(path): the published table of the data set that lies there; nil of any other.
function M.table_of(path)
  local name = type(path) == "string" and name_of(path):lower() or ""
  for _, set in ipairs(SETS) do
    for _, pattern in ipairs(set.patterns) do
      if name:find(pattern) then
        return { name = "published", columns = { "All", "Pair", "Hand", "Obj" },
          caption = ("Published for %s (Shan, Higgins and Fouhey, 2021): mean IoU in per cent."):format(set.name),
          rows = lists.map(set.rows, function(row)
            return { name = row[1], cells = lists.map({ 2, 3, 4, 5 }, function(i)
              return row[i] and ("%.1f"):format(row[i]) or "–"
            end) }
          end) }
      end
    end
  end
end

return M
