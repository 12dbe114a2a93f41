-- docs/video.md, run line by line: its commands and its script, on a small generated video.
local co = require "cohesiv"
local core = require "cohesiv.core"
local support = require "tests.support"

describe("docs/video.md", function()
  local folder, text = support.temp(), support.read(support.root .. "/docs/video.md")

  -- The world's clip as a phone's video: larger than networks are used to, with landmarks beside it.
  setup(function()
    co.world { out = folder .. "/world", clips = 1, frames = 9, size = { 96, 64 }, seed = 3, progress = false }
    local data = co.data(folder .. "/world")
    local clip = data:clip(data.clips[1])
    local writer <close> = core.io.video_writer(folder .. "/phone.mp4", 25)
    for n = 0, clip.frames - 1 do writer:add(clip:frame(n)) end
    writer:commit()
    support.write(folder .. "/phone.json", support.read(clip.hands_files[1]))
    core.io.make_folder(folder .. "/DATA/clips")
    core.io.make_folder(folder .. "/DATA/hands_json")
    core.io.copy(folder .. "/phone.mp4", folder .. "/DATA/clips/phone.mp4")
    core.io.copy(folder .. "/phone.json", folder .. "/DATA/hands_json/phone.json")
  end)

  local weights = require "cohesiv.base.weights"
  local has_hands = weights.has "hands"
  -- where there are none, none are fetched: the folder stays empty
  local environment = { COHESIV_CACHE = folder .. "/cache",
    COHESIV_WEIGHTS = has_hands and weights.folder() or folder .. "/weights" }
  local made = { -- what a command leaves
    hands = { "phone.json", "hands.mp4" }, view = { "phone.html" }, responsibility = { "maps.mp4" },
    segment = { "masks.mp4", "masks/000004_hand1.png", "masks/000004_object1.png", "masks/000004_contact1.png" },
    prepare = { "cache/samples" },
  }

  for line in text:gmatch "\n    %./cohesiv ([^\n]+)" do
    local name = line:match "^%S+"
    it("runs cohesiv " .. line, function()
      if not has_hands and (name == "fetch" or name == "hands") then
        return pending "weights of hands: not present, and a test fetches nothing"
      end
      local words = {}
      for word in line:gmatch "%S+" do words[#words + 1] = word end
      if name == "prepare" then table.insert(words, 3, "maps.frames=2") end -- a moment is enough
      local result = support.cohesiv(words, { dir = folder, env = environment, timeout = 300 })
      assert.equal(0, result.status, result.stderr)
      for _, file in ipairs(made[name] or {}) do
        assert.is_truthy(core.io.status(folder .. "/" .. file), file .. " is missing after " .. line)
      end
    end)
  end

  it("corrects landmarks as it says", function()
    local script = text:match "```lua\n(local co = .-)```"
    support.write(folder .. "/correct.lua", (script:gsub("12, 2", "3, 1"):gsub("20, 1", "1, 1")))
    local before = #co.clip(folder .. "/phone.mp4"):hands(3)
    local result = support.cohesiv({ "correct.lua" }, { dir = folder, env = environment })
    assert.equal(0, result.status, result.stderr)
    assert.equal(before - 1, #co.clip(folder .. "/phone.mp4"):hands(3))
  end)
end)
