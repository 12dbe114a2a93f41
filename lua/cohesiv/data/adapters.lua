--- The layouts of data that co.data knows: our own (folder.lua), then those of data/adapters/NAME.lua, found by their
-- files, in the order of their names. The first that fits is taken. An adapter is a module
--
--   title                 what the data set is called       from = where it is to be had
--   fits(path)          → whether the folder at `path` is of its layout, told by the names in it alone
--   open(path)          → a data folder: folder.open(path, own) with `own` methods where it differs from folder.lua:
--     list_clips(self) → the sorted names of its clips       list_annotated(self) → of those with masks of hands
--     open_clip(self, name) → clip.new { name, path, root, data = self, source, hands_files }
--     queries(self, name or clip), mask(self, name, n, kind, k), masks(self, name, n): as folder.lua's
--
-- Sets of pictures with annotations need less: open(path) → shipped.open(path, adapter), and the adapter has
--   parts               = list of { place, other places …, what, from, needed }: what belongs to the set; `pictures`
--                         names the part that holds them. A needed one that is not there is refused; `cohesiv data`
--                         tells of the others
--   list(data)          → clips by name: { pictures = paths below the folder, of frame 0 on, numbers = frames that the
--                         set says something about (all without) }; a single picture is a clip of one frame
--   annotated(data, clip) → whether there are masks of hands
--   scene(data, clip, n) → { width, height,
--                         hands = list of { side, mask, held, object, box, held_box, contact }: mask of the hand and
--                         of what it holds (uint8 H×W of 0 and 1; sets of boxes have none), the object's name,
--                         objects = list of { name, mask, box }: what is no hand }
-- name: looked at already, no way out of the folder. hands_files: paths of landmarks, of which the first that is there
-- counts; training needs them. Evaluation needs queries on hands and masks that go with them.
local folder = require "cohesiv.data.folder"
local lfs = require "lfs"

local adapters = { folder }

local names, place = {}, package.searchpath("cohesiv.data.adapters", package.path):gsub("%.lua$", "")
for file in lfs.dir(place) do names[#names + 1] = file:match "^(%w+)%.lua$" end
table.sort(names)
for i, name in ipairs(names) do adapters[i + 1] = require("cohesiv.data.adapters." .. name) end

return adapters
