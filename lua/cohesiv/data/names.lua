--- What the name of a file or folder means: a video, a picture, a numbered picture, or nothing of ours. Listing and
-- opening both ask here, so that what is listed opens. No file is opened, no folder is read here.
--
-- A numbered file is [prefix]NUMBER.extension: 5 to 10 digits, a prefix that does not end in a digit, extensions in any
-- case: frame_0000000001.jpg, 00017.PNG.
local names = {}

--- Extensions of videos; of several with one stem the first of this list is the clip.
names.VIDEOS = {
  "mp4", "mov", "mkv", "webm", "avi", "m4v", "mpg", "mpeg", "wmv", "asf", "flv", "f4v", "ts", "mts", "m2ts", "3gp",
  "3g2", "ogv", "vob", "mxf",
}
--- Extensions of pictures.
names.PICTURES = { "png", "jpg", "jpeg" }

local DIGITS = { least = 5, most = 10 }

-- Pictures that are not read, so that they are told of rather than taken for something else.
local FOREIGN = { "bmp", "tif", "tiff", "webp", "gif", "ppm", "pgm", "exr", "heic", "avif", "jp2", "tga", "dng" }
-- What lies about in folders and is never meant as a clip.
local ASIDE = {
  "db", "ini", "txt", "md", "rst", "json", "jsonl", "csv", "tsv", "xml", "yaml", "yml", "toml", "log", "html", "pdf",
  "srt", "vtt", "ass", "npy", "npz", "pkl", "py", "sh", "lua", "wav", "mp3", "m4a", "aac", "thm", "lrv", "aae",
}

local function set_of(list)
  local set = {}
  for i, kind in ipairs(list) do set[kind] = i end
  return set
end
local videos, pictures, foreign, aside = set_of(names.VIDEOS), set_of(names.PICTURES), set_of(FOREIGN), set_of(ASIDE)

-- "a.b", "MP4", "mp4" of a.b.MP4; the last is "" for want of an extension.
local function split(file)
  local stem, kind = file:match "^(.+)%.(%w+)$"
  return stem, kind, kind and kind:lower() or ""
end

--- video(file): the name of the clip and the extension as written, when the file is a video by its name.
function names.video(file)
  local stem, kind, lower = split(file)
  if videos[lower] then return stem, kind end
end

--- FOLDER, rank(kind): of several clips of one name the lowest is taken: videos in the order of VIDEOS, .mp4 before
-- .MP4, then a folder of pictures, then spellings such as .Mp4, which cannot be found without listing.
names.FOLDER = 1000
function names.rank(kind)
  local lower = kind:lower()
  local place = 2 * videos[lower]
  return kind == lower and place or kind == kind:upper() and place + 1 or names.FOLDER + place
end

--- picture(file): whether the file is a picture by its name.
function names.picture(file)
  local _, _, lower = split(file)
  return pictures[lower] ~= nil
end

--- ignored(file): whether nobody would miss it: hidden files, what systems leave behind, texts and tables.
function names.ignored(file)
  local _, _, lower = split(file)
  return file:sub(1, 1) == "." or file == "__MACOSX" or file == "README" or aside[lower] ~= nil
end

--- numbered(file): prefix, digits and extension of a numbered file, else nil.
function names.numbered(file)
  local stem, kind = split(file)
  local prefix, digits = (stem or ""):match "^(.-)(%d+)$"
  if not digits or #digits < DIGITS.least or #digits > DIGITS.most then return nil end
  return prefix, digits, kind
end

-- The numbered pictures of a list of names, sorted by number, and the pictures that are not numbered.
local function pick(list)
  local files, others = {}, {}
  for _, name in ipairs(list) do
    local _, _, lower = split(name)
    local prefix, digits
    if pictures[lower] then prefix, digits = names.numbered(name) end
    if prefix then
      files[#files + 1] = { name = name, prefix = prefix, digits = #digits, n = math.tointeger(tonumber(digits)) }
    elseif pictures[lower] or foreign[lower] then
      others[#others + 1] = name
    end
  end
  table.sort(files, function(a, b)
    if a.n ~= b.n then return a.n < b.n end
    return a.name < b.name
  end)
  return files, others
end

-- What is wrong with two neighbours of a series, as "expected …, found …", or nil.
local function problem(a, b)
  if a.prefix ~= b.prefix then return "expected one series of pictures, found %s and %s", a.name, b.name end
  if a.n == b.n then return "expected one picture of each number, found %s and %s", a.name, b.name end
  if a.n + 1 == b.n then return nil end
  local kind = a.name:match "[^.]+$"
  return "expected %s, found none", ("%s%0" .. a.digits .. "d.%s"):format(a.prefix, a.n + 1, kind)
end

--- series(list): the numbered pictures among the names of a folder: { [1] = name of frame 0, …, first = its number,
-- others = the pictures passed over }. nil with a reason, "expected …, found …", when they make up no series.
function names.series(list)
  local files, others = pick(list)
  if #files == 0 then
    return nil, ("expected pictures numbered by %d to %d digits (000000.png, frame_0000000001.jpg), found %s"):format(
      DIGITS.least, DIGITS.most, others[1] or "none")
  end
  local series = { first = files[1].n, others = others }
  for i, file in ipairs(files) do
    if i > 1 then
      local format, one, other = problem(files[i - 1], file)
      if format then return nil, format:format(one, other) end
    end
    series[i] = file.name
  end
  return series
end

--- has_series(list): whether a folder with these names is a clip: whether one of them is a numbered picture.
function names.has_series(list)
  for _, name in ipairs(list) do
    if names.picture(name) and names.numbered(name) then return true end
  end
  return false
end

--- any_picture(file): whether it is a picture by its name, also of a kind that is not read.
function names.any_picture(file)
  local _, _, lower = split(file)
  return pictures[lower] ~= nil or foreign[lower] ~= nil
end

return names
