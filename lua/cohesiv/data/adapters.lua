--- The layouts of data that co.data knows, in the order in which they are asked. An adapter is a module
--   fits(path) → whether the folder at `path` is of its layout, told by the names in it alone
--   open(path) → a data folder: folder.open(path, own) with `own` methods where the layout differs from folder.lua:
--
--   list_clips(self) → the sorted names of its clips       list_annotated(self) → of those with masks
--   open_clip(self, name) → clip.new { name, path, root, data = self, source = frames.source(path), hands_files }
--   queries(self, name or clip), mask(self, name, n, kind, k), masks(self, name, n): as folder.lua's
-- name: looked at already, no way out of the folder. root: where flow/, person/ and truth/ lie, self.path if anywhere.
-- hands_files: paths of landmarks, of which the first that is there counts; training needs them. Evaluation needs
-- list_annotated, queries (points on hands) and masks that go with them. An adapter is a file data/adapters/NAME.lua
-- and a row here; tests/data_spec.lua has a whole one ("an adapter").
local folder = require "cohesiv.data.folder"

return { folder }
