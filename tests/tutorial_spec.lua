-- docs/tutorial.md and the pages of concepts, run line by line in one folder, as a reader does, at a smaller size.
local core = require "cohesiv.core"
local pages = require "tests.pages"
local support = require "tests.support"

local ORDER = { "tutorial", "clip", "responsibility", "recipe", "sweeps", "calibration", "from-pytorch" }

-- What is made smaller: each must be there.
local SMALLER = {
  tutorial = {
    { "1, 96, 0)", "1, 3, 0)" }, { "2, 16, 6)", "2, 2, 6)" }, { "3, 24, 6)", "3, 4, 6)" },
    { "epochs = 20,", [[epochs = 1, model = { encoder = "mobilenet_v2", decoder_widths = { 8, 8, 8, 8, 8 } },]] },
    { "resnet18:", "mobilenet_v2:" }, { "epochs = 5 }", "epochs = 1 }" },
    { "seed = { 0, 1 }", "seed = { 0 }" },
  },
  sweeps = { { "data=PATH", "data=mine/world" } },
}
-- Commands that are not run: they need a network, data of the reader's, or an hour.
local PASSED = {
  tutorial = { "^fetch", "^quickstart" },
  sweeps = { "^sweep.*%-%-jobs", "^report" },
}

local folder = support.temp()
local options = { dir = folder, timeout = 300, env = { COHESIV_CACHE = folder .. "/cache", COHESIV_WEIGHTS = folder,
  COHESIV_GRAPHICS = "none" } }

-- The library's experiments, where the top of a checkout has them, for pages to add to.
setup(function() os.execute(("cp -r %s %s"):format(support.quote(support.root .. "/experiments"), folder)) end)

-- A page's steps as tests, in its order. Output is that of the last step that printed.
local function walk(steps, run, smaller)
  local printed
  for _, step in ipairs(steps) do
    local title = ("line %d: %s %s"):format(step.line, step.kind, step.path or step.text:match "^[^\n]*")
    it(title, function()
      local expected = step.kind == "output" and smaller(step.text) or step.kind == "session" and pages.shown(step)
      if step.kind ~= "output" then printed = run(step) end
      if not expected then return end
      local line, found = pages.differing(expected, printed)
      assert.is_nil(line, ("expected %s, found %s in\n%s"):format(line, found, printed))
    end)
  end
end

for _, name in ipairs(ORDER) do
  describe("docs/" .. name .. ".md", function()
    local steps = pages.steps(support.read(("%s/docs/%s.md"):format(support.root, name)), PASSED[name])
    local used = {}

    local function smaller(text)
      for i, pair in ipairs(SMALLER[name] or {}) do
        local at, stop = text:find(pair[1], 1, true)
        if at then used[i], text = true, text:sub(1, at - 1) .. pair[2] .. text:sub(stop + 1) end
      end
      return text
    end

    walk(steps, pages.runner(steps, options, smaller), smaller)

    it("is made smaller as this test says", function()
      for i, pair in ipairs(SMALLER[name] or {}) do assert.is_true(used[i], pair[1]) end
      assert.is_true(#steps > 0)
    end)
  end)
end

describe("pages", function()
  -- The names under which a page's headings are linked to.
  local function anchors_of(path)
    local set = {}
    for title in ("\n" .. support.read(path)):gmatch "\n##+ ([^\n]*)" do
      set[title:lower():gsub("[^%w _-]", ""):gsub(" ", "-")] = true
    end
    return set
  end

  it("link to files and headings that there are", function()
    local paths = { support.root .. "/README.md" }
    for _, name in ipairs(support.list(support.root .. "/docs")) do
      if name:find "%.md$" then paths[#paths + 1] = support.root .. "/docs/" .. name end
    end
    local wrong, count = {}, 0
    for _, path in ipairs(paths) do
      for link in support.read(path):gsub("```.-```", ""):gmatch "%]%(([^)%s]+)%)" do
        local file, anchor = link:match "^([^#]*)#?(.*)$"
        local target = file == "" and path or path:match "^(.*/)" .. file
        local there = file:find "^https?:" or core.io.status(target)
        if not there or anchor ~= "" and not anchors_of(target)[anchor] then
          wrong[#wrong + 1] = path:match "[^/]+$" .. ": " .. link
        end
        count = count + 1
      end
    end
    assert.equal("", table.concat(wrong, "\n"))
    assert.is_true(count > 60)
  end)

  it("are all in the README's table, which opens with a picture and the two commands", function()
    local readme = support.read(support.root .. "/README.md")
    assert.is_truthy(readme:find("^# cohesiv\n\n!%[[^%]]+%]%(docs/cohesiv.jpg%)\n\n    %./cohesiv quickstart[^\n]*\n"
      .. "    %./cohesiv test[^\n]*\n\n"))
    for _, name in ipairs(support.list(support.root .. "/docs")) do
      if name:find "%.md$" then assert.is_truthy(readme:find("](docs/" .. name .. ")", 1, true), name) end
    end
  end)

  it("are compared by words, numbers by being numbers", function()
    assert.is_nil(pages.differing("a 1 b\nc 2.5e-3 …\n", "a 20  b\nc -0.1 x y\n"))
    assert.same({ "a 1 b", "a 1 c" }, { pages.differing("a 1 b\n", "a 1 c\n") })
    assert.same({ "a 1", "a x" }, { pages.differing("a 1\n", "a x\n") })
    assert.same({ "b", "(nothing)" }, { pages.differing("a\nb\n", "a\n") })
    assert.same({ "(nothing)", "b" }, { pages.differing("a\n", "a\nb\n") })
    assert.is_nil(pages.differing("a\n…\nz\n", "a\nb\nc\nz\n"))
    assert.same({ "z", "c" }, { pages.differing("a\n…\nz\n", "a\nb\nc\n") })
  end)
end)
