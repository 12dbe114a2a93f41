-- The segmenter of people: its file, what clip:person makes of it, and the experiment that trains it, at tiny size.
local co = require "cohesiv"
local core = require "cohesiv.core"
local person, segmenter = require "cohesiv.data.person", require "cohesiv.nn.segmenter"
local support = require "tests.support"

local folder = support.temp()
local before = { COHESIV_CACHE = os.getenv "COHESIV_CACHE", COHESIV_WEIGHTS = os.getenv "COHESIV_WEIGHTS" }
setup(function()
  core.system.setenv("COHESIV_CACHE", folder .. "/cache")
  core.system.setenv("COHESIV_WEIGHTS", folder .. "/weights")
  core.io.make_folder(folder .. "/weights")
  co.world { out = folder .. "/world", clips = 2, frames = 4, size = { 64, 48 }, seed = 3, progress = false }
end)
teardown(function()
  for name in pairs { COHESIV_CACHE = 1, COHESIV_WEIGHTS = 1 } do core.system.setenv(name, before[name]) end
end)
after_each(function() os.remove(folder .. "/weights/person.safetensors") end)

local function tiny() return segmenter.segmenter { encoder = "resnet18", decoder_widths = { 8, 8, 8, 8, 8 } } end
local function save(network) network:save(folder .. "/weights/person.safetensors") end
local function clip(k)
  local data = co.data(folder .. "/world")
  return data:clip(data.clips[k or 1])
end

describe("a segmenter", function()
  it("gives a logit a pixel at any size, and comes back from its file", function()
    local network = tiny():eval()
    network:save(folder .. "/a.safetensors")
    local image = co.rand(1, 37, 50, 3):mul(255):to "uint8"
    local a = co.no_grad(network, image)
    assert.same({ 1, 37, 50 }, a.shape)
    assert.equal(0, support.difference(a, co.no_grad(segmenter.from_file(folder .. "/a.safetensors"), image)))
    local mask = segmenter.mask(network, image:reshape { 37, 50, 3 })
    assert.equal("uint8", mask.dtype)
    assert.equal(0, support.difference(mask, co.gt(a, segmenter.threshold):to("uint8"):reshape { 37, 50 }))
  end)

  it("refuses other images, files and options", function()
    support.raises("segmenter: expected images uint8 NxHxWx3, found float32 1x8x8x3", tiny(), co.zeros(1, 8, 8, 3))
    co.save(folder .. "/b.safetensors", { a = co.zeros(2) })
    support.raises("expected a segmenter that cohesiv saved", segmenter.from_file, folder .. "/b.safetensors")
    support.raises("encoder: expected one of", segmenter.segmenter, { encoder = "x" })
  end)
end)

describe("clip:person", function()
  it("asks the segmenter where its weights are present, and the skin model else", function()
    local c = clip()
    local skin = c:person(1, { size = { 64, 48 }, source = "skin" })
    assert.is_false(person.present())
    assert.equal(0, support.difference(skin, c:person(1, { size = { 64, 48 } })))
    assert.equal("none", c:person_key "auto")
    support.raises("weights person: expected them in", c.person, c, 1, { source = "network" })
    local network = tiny():eval()
    save(network)
    local mask = segmenter.mask(network, c:scaled(1, { size = { 64, 48 } }))
    assert.equal(0, support.difference(mask, c:person(1, { size = { 64, 48 } })))
    assert.equal(0, support.difference(mask, c:person(1, { size = { 64, 48 }, source = "network" })))
    assert.equal(0, support.difference(skin, c:person(1, { size = { 64, 48 }, source = "skin" })))
    assert.is_true(c:person_key "auto" ~= "none" and c:person_key "skin" == "none")
    -- other weights, other masks: neither the network nor the cache stays
    core.system.sleep(0.02)
    network.children.segmentation_head.params.bias:fill(100)
    save(network)
    assert.equal(64 * 48, c:person(1, { size = { 64, 48 } }):to("float32"):sum():item())
    support.write(folder .. "/weights/person.safetensors", "no weights at all")
    support.raises("person.safetensors", c.person, c, 2, {})
  end)

  it("keeps its network beyond the scope in which it was first asked", function()
    save(tiny())
    local c = clip()
    local alone = segmenter.mask(segmenter.from_file(folder .. "/weights/person.safetensors"),
      c:scaled(3, { size = { 64, 48 } }))
    co.tidy(function() c:person(2, { size = { 64, 48 } }) end)
    assert.equal(0, support.difference(alone, co.tidy(function() return c:person(3, { size = { 64, 48 } }) end)))
  end)

  it("takes the data folder's masks before all others", function()
    save(tiny())
    local c = clip(2)
    local given = folder .. "/world/person/" .. c.name
    core.io.make_folder(given)
    local mask = co.zeros(48, 64, { dtype = "uint8" })
    mask[{ { 1, 9 }, {} }] = 1
    core.io.png_write(given .. "/000001.png", mask, 1)
    assert.equal(0, support.difference(mask, c:person(1, { size = { 64, 48 } })))
  end)
end)

describe("experiments/person.lua", function()
  local function run(...)
    return support.cohesiv({ support.root .. "/experiments/person.lua", ... }, { dir = folder })
  end

  it("trains, judges on pictures and clips, and writes the weights", function()
    local world = co.data(folder .. "/world")
    for set = 1, 2 do
      local at = ("%s/world/hands/%s"):format(folder, set == 1 and "a" or "b")
      core.io.make_folder(at .. "/image")
      core.io.make_folder(at .. "/mask")
      for sequence = 1, 5 do
        local c = world:clip(world.clips[set])
        local n = sequence % 4
        co.image.write(("%s/image/%d_1.png"):format(at, sequence), c:frame(n))
        core.io.png_write(("%s/mask/%d_1.png"):format(at, sequence), c:person(n, { size = { 64, 48 },
          source = "truth" }), 1)
      end
    end
    local out = folder .. "/weights/person.safetensors"
    local result = run(folder .. "/world", "minutes=0.05", "size=64x48", "batch=2", "encoder=resnet18",
      "encoder_weights=none")
    assert.equal(0, result.status, result.stderr)
    assert.is_truthy(result.stdout:find("held%-out sequences +2 pictures  recall"), result.stdout)
    local annotated = 0
    for _, name in ipairs(world.annotated) do annotated = annotated + #world:queries(name) end
    assert.is_truthy(result.stdout:find(("annotated frames of clips %%s*%d pictures"):format(annotated)), result.stdout)
    assert.equal(out, result.stdout:match "([^\n]*)\n$")
    assert.is_truthy(result.stderr:find "training: %d+ steps")
    assert.is_true(person.present())
    assert.equal(result.stdout, run(folder .. "/world", "judge=" .. out).stdout .. out .. "\n")
  end)

  it("says what is missing", function()
    support.refuses(run(folder .. "/nowhere"), 1, "nowhere")
    support.refuses(support.cohesiv({ support.root .. "/experiments/person.lua" }, { env = { COHESIV_DATA = "" } }), 1,
      "expected a data folder")
    support.refuses(run(folder .. "/world", "minutes=x"), 1, "person: expected numbers")
  end)
end)
