-- Several data folders as one: names, what is looked up in which folder, recipes and commands that name a list.
local co = require "cohesiv"
local core = require "cohesiv.core"
local evaluate = require "cohesiv.hands.evaluate"
local labels = require "cohesiv.train.labels"
local support = require "tests.support"

local folder = support.temp()
local A, B, C, D = folder .. "/a", folder .. "/b", folder .. "/deep/b", folder .. "/deep/a"
local cache_before = os.getenv "COHESIV_CACHE"
setup(function()
  core.system.setenv("COHESIV_CACHE", folder .. "/cache")
  co.world { out = A, clips = 2, frames = 8, size = { 48, 32 }, seed = 1, progress = false }
  co.world { out = B, clips = 2, frames = 8, size = { 48, 32 }, seed = 2, progress = false }
  co.world { out = D, clips = 1, frames = 8, size = { 48, 32 }, seed = 1, progress = false }
  co.world { out = C, clips = 1, frames = 8, size = { 48, 32 }, seed = 1, progress = false }
end)
teardown(function() core.system.setenv("COHESIV_CACHE", cache_before) end)

describe("several data folders", function()
  it("are one whose clips have their own names", function()
    local both, a, b = co.data { A, B .. "/" }, co.data(A), co.data(B)
    local names = {}
    for _, data in ipairs { a, b } do
      for _, name in ipairs(data.clips) do names[#names + 1] = name end
    end
    table.sort(names)
    assert.same(names, both.clips)
    assert.same(names, both.annotated)
    assert.equal(A .. ", " .. B, both.path)
    for _, data in ipairs { a, b } do
      for _, name in ipairs(data.clips) do
        assert.equal(0, support.difference(data:clip(name):frame(3), both:clip(name):frame(3)))
        assert.same(data:queries(name), both:queries(name))
        local n = data:queries(name)[1].n
        assert.equal(0, support.difference(data:masks(name, n).hand[1], both:masks(name, n).hand[1]))
        assert.equal(0, support.difference(data:mask(name, n, "hand", 1), both:mask(name, n, "hand", 1)))
      end
    end
    assert.equal(a.path, co.data({ A }).path)
  end)

  it("tell clips of one name apart by their folders", function()
    local both = co.data { A, C }
    local own = co.data(C).clips[1]
    assert.same(own, co.data(A).clips[1])
    assert.same({ "a/" .. own, "b/" .. own, co.data(A).clips[2] }, both.clips)
    local clip = both:clip("b/" .. own)
    assert.equal("b/" .. own, clip.name)
    -- what lies beside it is found under its own name
    local truth = co.data(C):clip(own):flow(2, 1, { method = "truth", size = { 48, 32 } })
    assert.equal(0, support.difference(truth, clip:flow(2, 1, { method = "truth", size = { 48, 32 } })))
    assert.equal(0, support.difference(co.data(C):clip(own):hands(2)[1].vertices, clip:hands(2)[1].vertices))
    for _, frame in ipairs(both:queries(clip)) do assert.equal("b/" .. own, frame.clip) end
    support.raises(("expected the name of a clip, found %q"):format(own), both.clip, both, own)
    -- where the last parts are the same, more of them
    assert.equal(("%s/a/%s"):format(folder:match "[^/]+$", own), co.data({ A, D }).clips[2])
    assert.equal("deep/a/" .. own, co.data({ A, D }).clips[1])
  end)

  it("are refused where they are none, or one twice", function()
    support.raises("expected the paths of folders, found an empty list", co.data, {})
    support.raises("expected a folder, found nothing", co.data, { A, folder .. "/none" })
    support.raises("expected the path of a folder, found number", co.data, { A, 3 })
    support.raises("expected folders that differ", co.data, { A, A })
  end)

  it("may stand in recipes, in files and on the command line", function()
    local base = require "experiments.cohesiv"
    local recipes = require "cohesiv.train.recipe"
    assert.same({ A, B }, base { data = { A, B } }.data)
    assert.same({ A, B }, recipes.override(base, { ("data={%s, %s}"):format(A, B) }).data)
    assert.equal(A, recipes.override(base, { "data=" .. A }).data)
    support.raises("data: expected a path or a list of paths, found {1}", base, { data = { 1 } })
    support.raises("data: expected a path or a list of paths", base, { data = {} })
    assert.is_truthy(recipes.describe(base { data = { A, B } }):find(('{"%s", "%s"}'):format(A, B), 1, true))
    local both = evaluate.data({ recipe = base { data = { A, B } }, name = "x" })
    assert.equal(4, #both.clips)
    local calibrated, reported = evaluate.split(both)
    assert.same({ both.annotated[1], both.annotated[3] }, calibrated)
    assert.same({ both.annotated[2], both.annotated[4] }, reported)
    local eval = { "eval", support.root .. "/experiments/disc.lua", "--json" }
    local function scored(...) return support.cohesiv { eval[1], eval[2], eval[3], ... } end
    local one, other = scored(("data={%s,%s}"):format(A, B)), scored("data=" .. A, "data=" .. B)
    assert.equal(0, one.status, one.stderr)
    assert.equal(one.stdout, other.stdout)
  end)

  it("hold out clips with masks from training where the recipe says so", function()
    local base = require "experiments.cohesiv" { size = { 48, 32 }, data = { A, B }, person = { source = "skin" } }
    local data = co.data { A, B }
    local all = #labels.survey(data, base).wanted
    os.rename(B .. "/masks", B .. "/no_masks")
    finally(function() os.rename(B .. "/no_masks", B .. "/masks") end)
    data = co.data { A, B }
    assert.same(co.data(A).clips, data.annotated)
    local held = labels.survey(data, base { held_out = true }).wanted
    assert.is_true(#held > 0 and #held < all)
    local own = {}
    for _, name in ipairs(co.data(A).clips) do own[name] = true end
    for _, entry in ipairs(held) do assert.is_nil(own[entry.name]) end
    support.raises("all with masks, which are held out", labels.survey, co.data(A), base { held_out = true })
  end)
end)
