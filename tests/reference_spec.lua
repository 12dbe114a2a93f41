-- docs/reference.md is generated: every public name is in it, with words of its source, and it tells of no name that
-- is gone. What is public: `co` and its modules, methods that have a doc comment, ops, commands, recipe keys; and the
-- names that users were promised, which are listed here.
local co = require "cohesiv"
local core = require "cohesiv.core"
local cli, help = require "cohesiv.tools.cli", require "cohesiv.tools.help"
local options, recipes = require "cohesiv.base.options", require "cohesiv.train.recipe"
local reference = require "cohesiv.tools.reference"
local support = require "tests.support"

local PROMISED = [[
co.tensor co.zeros co.ones co.full co.arange co.eye co.rand co.randn co.seed co.threads co.eq co.ne co.lt co.le co.gt
co.ge co.where co.exp co.log co.sqrt co.abs co.relu co.sigmoid co.tanh co.clamp t:sum t:mean t:max t:min t:var t:argmax
t:reshape t:permute t:transpose t:select t:narrow t:expand co.cat co.stack t:item t:totable t:clone t:detach
t:contiguous t:to t:backward t:png t:save co.no_grad co.gradcheck co.tidy co.memory co.help co.load co.save
co.image.read co.image.write co.devices co.data co.clip clip:frame clip:hands clip:flow clip:person clip:responsibility
clip:hands_source hands:drop hands:interpolate hands:save co.responsibility R:with R:png R:save co.homography.fit
co.flow.read co.flow.write co.flow.estimate co.flow.color co.show co.explore co.world co.model model:forward
model:predict model:load model:save model:replace m:train m:eval m:to m:parameters m:named_parameters m:named_buffers
m:state_dict co.losses.responsibility co.losses.embedding co.optim.AdamW opt:zero_grad opt:step co.train co.run
co.evaluate run:model co.viz.viridis co.viz.overlay co.viz.pca co.viz.grid co.hands.detect co.nn.tflite co.weights.path
sweep.grid sweep.random sweep.list co.Function co.profile co.tune
]]
local TOLD = [[
t.shape t.dtype t.device t.requires_grad t.grad clip.frames clip.width clip.height data.clips R.map residuals
homographies background_homographies flows gaps size R.quality
]]

-- Methods of tensors that other methods are made of.
local INNER = { cast_data = true, move = true, slice = true }

local function headings_of(page)
  local list = {}
  for line in page:gmatch "[^\n]+" do list[#list + 1] = line:match "^###? .*" end
  return list
end

-- The set of the names that headings tell; one may stand for a function and the method of the same op.
local function named(page)
  local names = {}
  for _, heading in ipairs(headings_of(page)) do
    for name in (heading:match "^### `(.*)`$" or ""):gmatch "[^,]+" do names[name:match "^%s*(.-)%s*$"] = true end
  end
  return names
end

describe("the reference", function()
  local page = reference.page()
  local written = support.read(support.root .. "/docs/reference.md")
  local names = named(written)

  local function missing(list)
    local out = {}
    for _, name in ipairs(list) do
      if not names[name] then out[#out + 1] = name end
    end
    return table.concat(out, " ")
  end

  it("is written by one command", function()
    local folder = support.temp()
    local result = support.cohesiv({ "reference", "--out", "reference.md" }, { dir = folder })
    assert.equal("", result.stderr)
    assert.equal("reference.md\n", result.stdout)
    assert.is_true(support.read(folder .. "/reference.md") == page)
    assert.is_true(support.cohesiv({ "reference" }, { dir = folder }).stdout == page)
  end)

  it("has the headings that the command gives: else write it anew", function()
    assert.same(headings_of(page), headings_of(written))
  end)

  it("has the names that users were promised", function()
    local list = {}
    for name in PROMISED:gmatch "%S+" do list[#list + 1] = name end
    assert.equal("", missing(list))
    for name in TOLD:gmatch "%S+" do assert.is_truthy(written:find(name, 1, true), name) end
  end)

  it("has every function of co and its modules, every op and every method of tensors", function()
    local list = {}
    local function add(holder, prefix)
      for name in pairs(help.names(holder)) do
        local value = holder[name]
        if type(value) == "function" and not name:find "^_" then list[#list + 1] = prefix .. name end
        if type(value) == "table" and value ~= co.nn.Module then add(value, prefix .. name .. ".") end
      end
    end
    add(co, "co.")
    add(require "cohesiv.sweep", "sweep.")
    for name, f in pairs(core.methods) do
      if type(f) == "function" and not INNER[name] and not name:find "^_" then list[#list + 1] = "t:" .. name end
    end
    assert.is_true(#list > 250)
    assert.equal("", missing(list))
  end)

  it("has the commands and every key of a recipe", function()
    local list = {}
    for i, name in ipairs(cli.names()) do list[i] = "cohesiv " .. name end
    assert.equal("", missing(list))
    local below = written:match "\n## Recipes\n(.*)"
    for _, key in ipairs(select(2, recipes.flatten(require "experiments.cohesiv"))) do
      assert.is_truthy(below:find("%f[%w_]" .. key:match "[^.]+$" .. "%s*="), key)
    end
  end)

  it("says something of every name, in the source's words", function()
    local empty = {}
    for _, section in ipairs(reference.sections()) do
      for _, entry in ipairs(section.entries) do
        if not (entry.code or entry.text:find "%w") then empty[#empty + 1] = entry.name end
      end
    end
    assert.equal("", table.concat(empty, " "))
    assert.is_truthy(page:find("\n### `co.losses.embedding`\n\n```lua\nco.losses.embedding(", 1, true))
    assert.is_truthy(page:find(core.ops.matmul.doc, 1, true))
    assert.is_truthy(page:find("\nclip:frame(n)\n```\n\nframe n in the clip's own pixels", 1, true))
    assert.is_truthy(page:find("\nModule.new(forward?, kind?)\n", 1, true))
  end)

  it("has its words from where help has them, of functions of the core too", function()
    local words = "full(value, 2, 3, { dtype, device, requires_grad }): a tensor filled with a number"
    assert.is_truthy(help.text("full"):find(words, 1, true))
    assert.is_truthy(help.text(co.metrics.disc):find("minus the distance to (x, y) over the width", 1, true))
    assert.is_truthy(help.text("cat"):find("the tensors of a list, of any length", 1, true))
  end)

  it("lists each name once, each class with its methods", function()
    local seen = {}
    for _, heading in ipairs(headings_of(page)) do
      assert.is_nil(seen[heading], heading)
      seen[heading] = true
    end
    for _, class in ipairs { "clip", "data folder", "hands of a clip", "model", "module", "optimiser", "profile",
      "responsibility", "run", "schedule" } do
      assert.is_truthy(options.classes[class], class)
    end
    assert.is_nil(names["data:open_clip"]) -- a part of data:clip, without a doc comment
  end)

  it("links to headings that there are", function()
    local anchors = {}
    for _, heading in ipairs(headings_of(page)) do
      anchors[heading:gsub("^#+ ", ""):lower():gsub("[^%w _-]", ""):gsub(" ", "-")] = true
    end
    local count = 0
    for anchor in page:gmatch "%]%(#([^)]*)%)" do
      assert.is_true(anchors[anchor], anchor)
      count = count + 1
    end
    assert.is_true(count > 20)
  end)
end)
