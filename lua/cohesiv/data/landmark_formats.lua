--- Landmarks as other programs write them, as the document that landmarks.lua reads: { width, height, frames }.
--   MediaPipe   a list of frames (or { frames = … }), each with multi_hand_landmarks and multi_handedness, as its
-- solution
--               gives them, or hand_landmarks and handedness, as its tasks do; x and y are shares of the picture
--   OpenPose    a folder of a file a frame, NAME_000000000012_keypoints.json (people with hand_left_keypoints_2d, …)
--   CSV         a header, then a row a hand (frame, side, score, x0, y0, x1, y1, …) or a row a vertex (frame, hand,
-- point,
--               x, y); in pixels
--   FrankMocap  a folder of a pickle a frame (NAME_prediction_result.pkl): the projected vertices of its meshes
-- What a document does not hold, such as boxes, follows from the vertices.
local core = require "cohesiv.core"
local json, kinds, lists = require "cohesiv.base.json", require "cohesiv.base.kinds", require "cohesiv.base.lists"

local M = {}
local absent, spelled = kinds.absent, kinds.spelled

-- ---- MediaPipe ----
-- It names sides as they are in a mirrored picture.
local MIRRORED = { left = "right", right = "left" }

-- Of a hand's handedness: its first entry.
local function sides_of(frame, k)
  local list = frame.multi_handedness or frame.handedness
  local entry = type(list) == "table" and list[k]
  if type(entry) == "table" then entry = entry.classification or entry.categories or entry end
  if type(entry) == "table" and type(entry[1]) == "table" then entry = entry[1] end
  if type(entry) ~= "table" then return nil, nil end
  local label = entry.label or entry.category_name or entry.categoryName
  return type(label) == "string" and MIRRORED[label:lower()] or nil, spelled(entry.score)
end

local function mediapipe_hands(frame)
  local all = type(frame) == "table" and (frame.multi_hand_landmarks or frame.hand_landmarks or frame.handLandmarks)
  if not all then return nil end
  return lists.map(absent(all) and {} or all, function(landmarks, k)
    local side, score = sides_of(frame, k)
    local points = type(landmarks) == "table" and (landmarks.landmark or landmarks.landmarks) or landmarks
    return { side = side, score = score, vertices = type(points) == "table" and json.list(lists.map(points, function(p)
      if type(p) ~= "table" then return p end
      return { p[1] or p.x, p[2] or p.y } -- without the depth
    end)) or points }
  end)
end

-- The document of a JSON value of MediaPipe's, nil for any other.
local function mediapipe(doc)
  local frames = type(doc) == "table" and (doc.frames or doc)
  if type(frames) ~= "table" or frames.multi_hand_landmarks then return nil end
  local out, some = {}, false
  for key, frame in pairs(frames) do
    local hands = mediapipe_hands(frame)
    some = some or hands ~= nil
    out[key] = json.list(hands or {})
  end
  return some and { width = 1, height = 1, frames = out } or nil
end

-- ---- OpenPose ----
local KEYS = { left = "hand_left_keypoints_2d", right = "hand_right_keypoints_2d" }

-- The hands of one file; those without any confidence are none.
local function openpose_hands(path, doc)
  if type(doc) ~= "table" or type(doc.people) ~= "table" then
    core.refuse("%s: expected an object with people, as OpenPose writes it, found %s", path,
      type(doc) == "table" and "the keys " .. kinds.keys(doc) or kinds.found(doc))
  end
  local hands = {}
  for p, person in ipairs(doc.people) do
    for _, side in ipairs { "left", "right" } do
      local numbers = type(person) == "table" and person[KEYS[side]]
      if type(numbers) == "table" and #numbers > 0 then
        if #numbers % 3 ~= 0 then
          core.refuse("%s: person %d: %s: expected three numbers a point, found %d numbers", path, p, KEYS[side],
            #numbers)
        end
        local vertices, sum = {}, 0
        for i = 1, #numbers, 3 do
          vertices[#vertices + 1] = { numbers[i], numbers[i + 1] }
          sum = sum + (spelled(numbers[i + 2]) or 0)
        end
        if sum > 0 then hands[#hands + 1] = { side = side, score = sum / #vertices, vertices = vertices } end
      end
    end
  end
  return json.list(hands)
end

-- ---- FrankMocap ----
local function frankmocap_hands(path)
  local doc = core.io.pickle_read(path)
  local list = type(doc) == "table" and doc.pred_output_list
  if type(list) ~= "table" then
    core.refuse("%s: expected a dict with pred_output_list, as FrankMocap writes it, found %s", path,
      type(doc) == "table" and "the keys " .. kinds.keys(doc) or kinds.found(doc))
  end
  local hands = {}
  for _, person in ipairs(list) do
    for _, side in ipairs { "left", "right" } do
      local hand = type(person) == "table" and person[side .. "_hand"]
      local points = type(hand) == "table" and (hand.pred_vertices_img or hand.pred_joints_img)
      if core.is_tensor(points) then
        if #points.shape ~= 2 or points.shape[2] < 2 then
          core.refuse("%s: %s hand: expected vertices V×2 or V×3, found %s", path, side, table.concat(points.shape,
            "x"))
        end
        hands[#hands + 1] = { side = side, vertices = points:narrow(2, 1, 2):to("float64"):totable() }
      end
    end
  end
  return json.list(hands)
end

-- ---- folders of a file a frame ----
local SERIES = {
  { "^.-(%d+)_keypoints%.json$", function(path) return openpose_hands(path, json.read(path)) end },
  { "^.-(%d+)[^%d]*%.pkl$", frankmocap_hands },
}

local function folder(path)
  local frames, count, names = {}, 0, core.io.list(path)
  for _, name in ipairs(names) do
    for _, series in ipairs(SERIES) do
      local digits = name:match(series[1])
      local n = digits and math.tointeger(tonumber(digits))
      if n and #digits <= 15 then
        if frames[tostring(n)] then core.refuse("%s: expected one file of frame %d, found %s too", path, n, name) end
        frames[tostring(n)], count = series[2](path .. "/" .. name), count + 1
        break
      end
    end
  end
  if count == 0 then
    core.refuse("%s: expected files NAME_000000000000_keypoints.json (OpenPose) or NAME_00000_prediction_result.pkl "
      .. "(FrankMocap), found %s", path, names[1] or "none")
  end
  return { frames = frames }
end

-- ---- CSV ----
local ALIASES = {
  frame = { "frame", "frame_id", "frame_idx", "frame_index", "frame_number" },
  hand = { "hand", "hand_id", "hand_index", "track", "id" }, side = { "side", "handedness", "label" },
  score = { "score", "confidence" }, point = { "point", "landmark", "landmark_id", "joint", "vertex", "keypoint" },
}

local function cells_of(line, mark)
  local cells = {}
  for cell in (line .. mark):gmatch("([^" .. mark .. "]*)" .. mark) do
    cells[#cells + 1] = cell:match '^%s*"?(.-)"?%s*$'
  end
  return cells
end

-- Which column is what: by name; of a row a hand the columns of its vertices, in order.
local function columns_of(path, header)
  local place, columns = {}, { xs = {} }
  for i, name in ipairs(header) do place[name:lower()] = i end
  for key, names in pairs(ALIASES) do
    for _, name in ipairs(names) do columns[key] = columns[key] or place[name] end
  end
  columns.x, columns.y = place.x, place.y
  for _, spelling in ipairs { "x%d", "x_%d", "%d_x" } do
    local y = spelling:gsub("x", "y")
    local k = place[spelling:format(0)] and 0 or 1
    while #columns.xs < 1e5 and place[spelling:format(k)] and place[y:format(k)] do
      columns.xs[#columns.xs + 1] = { place[spelling:format(k)], place[y:format(k)] }
      k = k + 1
    end
  end
  if columns.frame and (#columns.xs > 0 or columns.x and columns.y) then return columns end
  core.refuse("%s: expected the columns frame, x0, y0, x1, y1, … (a row a hand) or frame, hand, point, x, y (a row a "
    .. "vertex), found %s", path, table.concat(header, ", "))
end

local function csv(path)
  local text = core.io.read_file(path, 1 << 29):gsub("^\xEF\xBB\xBF", "")
  local mark, header, columns, frames, open, number = ",", nil, nil, {}, {}, 0
  for line in text:gmatch "[^\r\n]*" do
    number = number + (line ~= "" and 1 or 0)
    if line ~= "" and not header then
      mark = line:find("\t", 1, true) and "\t" or line:find(";", 1, true) and ";" or ","
      header = cells_of(line, mark)
      columns = columns_of(path, header)
    elseif line ~= "" then
      local cells = cells_of(line, mark)
      local function value(i, what)
        return spelled(cells[i])
          or core.refuse("%s: row %d: %s: expected a number, found %s", path, number, what, core.text(cells[i] or ""))
      end
      local n = math.tointeger(value(columns.frame, "frame"))
      if not n or n < 0 then core.refuse("%s: row %d: frame: expected 0 or more, found %s", path, number,
        cells[columns.frame]) end
      local key = tostring(n)
      local id = columns.hand and cells[columns.hand] or columns.side and cells[columns.side] or ""
      frames[key] = frames[key] or json.list {}
      local hand = columns.x and open[key .. "\0" .. id]
      if not hand then
        local side = (columns.side and cells[columns.side] or id):lower()
        hand = { side = (side == "left" or side == "right") and side or nil, vertices = {},
          score = columns.score and spelled(cells[columns.score]) or nil }
        open[key .. "\0" .. id] = hand
        table.insert(frames[key], hand)
      end
      if columns.x then table.insert(hand.vertices, { value(columns.x, "x"), value(columns.y, "y") }) end
      for k, pair in ipairs(columns.x and {} or columns.xs) do
        if (cells[pair[1]] or "") ~= "" then
          hand.vertices[k] = { value(pair[1], header[pair[1]]), value(pair[2], header[pair[2]]) }
        end
      end
    end
  end
  if not header then core.refuse("%s: expected a table with a header, found nothing", path) end
  return { frames = frames }
end

--- read(path): the document of a folder or a file of another kind than JSON, nil for JSON.
function M.read(path)
  if core.io.status(path) == "folder" then return folder(path) end
  local kind = path:lower():match "%.(%w+)$"
  if kind == "csv" or kind == "tsv" then return csv(path) end
  if kind == "pkl" or kind == "pickle" then return { frames = { frankmocap_hands(path) } } end
end

--- converted(path, doc): the document that a JSON value of another program means; else the value itself.
function M.converted(path, doc)
  if type(doc) == "table" and type(doc.people) == "table" then return { frames = { openpose_hands(path, doc) } } end
  return mediapipe(doc) or doc
end

return M
