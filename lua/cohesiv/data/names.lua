--- What the name of a file or folder means: a video, a picture, a numbered picture, or nothing of ours. Listing and
-- opening both ask here, so that what is listed opens. No file is opened, no folder is read here.
--
-- A numbered file is [prefix]NUMBER.extension, 5 to 10 digits, the extension in any case: img00017.PNG, 000001.jpg.
local lists = require "cohesiv.base.lists"
local names = {}

-- Extensions of videos; of several with one stem the first of this list is the clip.
local VIDEOS = {
  "mp4", "mov", "mkv", "webm", "avi", "m4v", "mpg", "mpeg", "wmv", "asf", "flv", "f4v", "ts", "mts", "m2ts", "3gp",
  "3g2", "ogv", "vob", "mxf",
}
--- Extensions of pictures.
names.PICTURES = { "png", "jpg", "jpeg" }

local LEAST, MOST = 5, 10 -- digits

local videos, pictures = lists.set(VIDEOS), lists.set(names.PICTURES)
-- Pictures that are not read, so that they are told of rather than taken for something else.
local foreign = lists.set {
  "bmp", "tif", "tiff", "webp", "gif", "ppm", "pgm", "exr", "heic", "avif", "jp2", "tga", "dng",
}
-- What lies about in folders and is never meant as a clip.
local aside = lists.set {
  "db", "ini", "txt", "md", "rst", "json", "jsonl", "csv", "tsv", "xml", "yaml", "yml", "toml", "log", "html", "pdf",
  "srt", "vtt", "ass", "npy", "npz", "pkl", "py", "sh", "lua", "wav", "mp3", "m4a", "aac", "thm", "lrv", "aae",
}

-- "mp4", "a.b", "MP4" of a.b.MP4; the first is "" for want of an extension.
local function split(file)
  local stem, kind = file:match "^(.+)%.(%w+)$"
  return kind and kind:lower() or "", stem, kind
end

--- video(file): the name of the clip and the extension as written, when the file is a video by its name.
function names.video(file)
  local lower, stem, kind = split(file)
  if videos[lower] then return stem, kind end
end

--- SPELLINGS, rank(file): of several clips of one name the lowest is taken: videos in the order of SPELLINGS, .mp4
-- before .MP4, then a folder of pictures, then spellings such as .Mp4, which cannot be found without listing.
names.SPELLINGS = {}
for i, kind in ipairs(VIDEOS) do table.move({ kind, kind:upper() }, 1, 2, 2 * i - 1, names.SPELLINGS) end
local ranks = lists.set(names.SPELLINGS)
function names.rank(file)
  local lower, _, kind = split(file)
  return ranks[kind] or #names.SPELLINGS + 1 + (videos[lower] or 0)
end

--- picture(file): whether the file is a picture by its name.
function names.picture(file) return pictures[split(file)] ~= nil end

--- any_picture(file): the same, also of a kind that is not read.
function names.any_picture(file) return names.picture(file) or foreign[split(file)] ~= nil end

--- ignored(file): whether nobody would miss it: hidden files, what systems leave behind, texts and tables.
function names.ignored(file)
  return file:sub(1, 1) == "." or file == "__MACOSX" or file == "README" or aside[split(file)] ~= nil
end

--- numbered(file): prefix, digits and extension of a numbered file, else nil.
function names.numbered(file)
  local _, stem, kind = split(file)
  local prefix, digits = (stem or ""):match "^(.-)(%d+)$"
  if digits and #digits >= LEAST and #digits <= MOST then return prefix, digits, kind end
end

--- has_series(list): whether a folder with these names is a clip: whether one of them is a numbered picture.
function names.has_series(list)
  for _, name in ipairs(list) do
    if names.picture(name) and names.numbered(name) then return true end
  end
  return false
end

-- What is wrong with two neighbours of a series, as "expected …, found …", or nil.
local function problem(a, b)
  local one = a.prefix ~= b.prefix and "series of pictures" or a.n == b.n and "picture of each number"
  if one then return ("expected one %s, found %s and %s"):format(one, a.name, b.name) end
  if a.n + 1 == b.n then return nil end
  return ("expected %s%0" .. #a.digits .. "d.%s, found none"):format(a.prefix, a.n + 1, a.kind)
end

--- series(list): the numbered pictures among the names of a folder: { [1] = name of frame 0, …, others = the pictures
-- passed over }. nil with a reason, "expected …, found …", when they make up no series.
function names.series(list)
  local files, series = {}, { others = {} }
  for _, name in ipairs(list) do
    local prefix, digits, kind = names.numbered(name)
    if prefix and names.picture(name) then
      local n = math.tointeger(tonumber(digits))
      files[#files + 1] = { name = name, prefix = prefix, digits = digits, kind = kind, n = n }
    elseif names.any_picture(name) then
      table.insert(series.others, name)
    end
  end
  if #files == 0 then
    return nil, ("expected pictures numbered by %d to %d digits (000000.png, frame_0000000001.jpg), found %s"):format(
      LEAST, MOST, series.others[1] or "none")
  end
  table.sort(files, function(a, b) return a.n < b.n or a.n == b.n and a.name < b.name end)
  for i, file in ipairs(files) do
    local wrong = i > 1 and problem(files[i - 1], file)
    if wrong then return nil, wrong end
    series[i] = file.name
  end
  return series
end

return names
