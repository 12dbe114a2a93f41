-- The command line: statuses, one-line messages, scripts, signals, the launcher from anywhere.

local support = require "tests.support"

local cohesiv, refuses = support.cohesiv, support.refuses

-- A run folder with random weights and means, as training would leave it.
local function tiny_run(root)
  local co, options = require "cohesiv", {}
  local recipe = require "experiments.cohesiv" {
    name = "tiny", size = { 64, 64 },
    model = { encoder = "mobilenet_v2", decoder_widths = { 8, 8, 8, 8, 8 }, embedding_dim = 6, attention_dim = 6 },
  }
  local run = require("cohesiv.train.run").create(recipe, { root = root })
  for key, value in pairs(recipe.model) do options[key] = value end
  co.seed(3)
  local model = co.model(options)
  model:eval()
  run:set_calibration {
    means = { object = co.randn(6):totable(), person = co.randn(6):totable() },
    thresholds = { object = { 0.1, 0.2 }, hand = { -0.2, 0.2 } },
  }
  model:save(run:file "best.safetensors")
  return run
end

describe("the command line", function()
  it("lists every command in its help", function()
    local result = cohesiv { "--help" }
    assert.equal(0, result.status)
    for _, name in ipairs(require("cohesiv.tools.cli").names()) do
      assert.is_truthy(result.stdout:find("\n  " .. name .. " ", 1, true), name)
    end
  end)

  it("gives every command a --help", function()
    for _, name in ipairs(require("cohesiv.tools.cli").names()) do
      local result = cohesiv { name, "--help" }
      assert.equal(0, result.status, name .. ": " .. result.stderr)
      assert.is_truthy(result.stdout:find "^Usage: cohesiv", name)
      assert.equal("", result.stderr)
    end
  end)

  it("tells its version", function()
    assert.equal("cohesiv " .. require("cohesiv").version .. "\n", cohesiv({ "--version" }).stdout)
  end)

  it("refuses unknown commands, options and missing arguments with status 2", function()
    refuses(cohesiv { "nosuch" }, 2, "nosuch")
    refuses(cohesiv { "info", "--nosuch" }, 2, "--nosuch")
    refuses(cohesiv { "segment" }, 2, "input")
    refuses(cohesiv { "segment", "a.png", "--at", "12", "--model", "x", "--out", "y" }, 2, "expected x,y")
    refuses(cohesiv { "responsibility", "a.mp4", "--frame", "x" }, 2, "--frame")
    refuses(cohesiv { "responsibility", "a.mp4", "--frame", "1", "--gaps", "0" }, 2, "--gaps")
    refuses(cohesiv { "responsibility", "a.mp4", "--out", "r.avi" }, 2, "expected a .png, .mp4 or .gif file")
    refuses(cohesiv { "responsibility", "a.mp4", "--frame", "1", "--out", "r.gif" }, 2, "is of all frames")
    refuses(cohesiv { "responsibility", "a.mp4" }, 2, "--frame")
    refuses(cohesiv { "-e" }, 2, "-e")
    refuses(cohesiv { "test", "no_spec_has_this_name" }, 2, "no_spec_has_this_name")
  end)

  it("refuses missing and wrong files with status 1 and writes nothing", function()
    local folder = support.temp()
    refuses(cohesiv { folder .. "/none.lua" }, 1, "none.lua")
    refuses(cohesiv { "responsibility", folder .. "/none.mp4", "--frame", "1", "--out", folder .. "/r.png" }, 1,
      "none.mp4")
    support.write(folder .. "/text.png", "no picture")
    refuses(cohesiv { "segment", folder .. "/text.png", "--at", "1,1", "--model", folder, "--out",
      folder .. "/out" }, 1, "text.png")
    assert.same({ "text.png" }, support.list(folder))
  end)

  it("prints one line for a failure, and the traceback only with --trace", function()
    refuses(cohesiv { "-e", "error('first\\nsecond', 0)" }, 1, "first")
    refuses(cohesiv { "-e", "error({})" }, 1, "table")
    refuses(cohesiv { "-e", "error()" }, 1, "nil")
    refuses(cohesiv { "-e", "x =" }, 1, "near <eof>")
    local traced = cohesiv { "--trace", "-e", "error('here')" }
    assert.equal(1, traced.status)
    assert.is_truthy(traced.stderr:find("stack traceback", 1, true))
  end)

  -- What a script of these lines is refused with, its own path written SCRIPT.
  local function told(text, words)
    local path = support.write(support.temp() .. "/s.lua", text)
    local result = cohesiv { path, table.unpack(words or {}) }
    assert.equal(1, result.status)
    local line = result.stderr:match "^cohesiv: ([^\n]*)\n$"
    assert.is_truthy(line, "expected one line, found: " .. result.stderr)
    return (line:gsub(path:gsub("%p", "%%%0"), "SCRIPT"))
  end

  it("tells errors of scripts with their place, whatever is raised", function()
    assert.equal("SCRIPT:3: x", told "\n\nerror 'x'")
    assert.equal("SCRIPT:2: x", told "\nerror('x', 0)")
    assert.equal("SCRIPT:1: 42", told "error(42)")
    assert.equal("SCRIPT:1: expected a message as the error, found a table", told "error {}")
    assert.equal("SCRIPT:2: expected a message as the error, found nil", told "\nerror(nil)")
    assert.equal("SCRIPT:1: expected a message as the error, found a userdata", told "error(io.stdout)")
    assert.equal("SCRIPT:1: expected a message as the error, found a tensor of 2",
      told "error(require 'cohesiv'.zeros(2))")
    assert.equal("SCRIPT:1: two\\nlines", told "error 'two\\nlines'")
    assert.equal("SCRIPT:1: \\x1b[31mred\\x00", told "error '\\27[31mred\\0'")
    assert.equal("SCRIPT:1: of its own", told
      "error(setmetatable({}, { __tostring = function() return 'of its own' end }))")
    assert.equal("SCRIPT:1: expected a message as the error, found a table", told
      "error(setmetatable({}, { __tostring = function() error 'worse' end }))")
    assert.equal("SCRIPT:1: attempt to index a nil value (local 'x')", told "local x; print(x.y)")
    assert.equal("SCRIPT:1: failed without a message", told "error ''")
    assert.equal("SCRIPT:1: module 'no.such' not found", told "require 'no.such'")
    assert.equal("SCRIPT:1: stack overflow", told "local function f() return 1 + f() end f()")
    assert.equal("SCRIPT:1: syntax error near '=='", told "x ==")
  end)

  it("tells the line of a script that an error of the library comes from", function()
    local refused = "tidy: expected a function, found 5"
    assert.equal("SCRIPT:2: " .. refused, told "local co = require 'cohesiv'\nco.tidy(5)")
    assert.equal("SCRIPT:3: " .. refused, told
      "local co = require 'cohesiv'\nco.no_grad(function()\n  co.tidy(5)\nend)")
    local folder = support.temp()
    support.write(folder .. "/helper.lua", "\nreturn function() require 'cohesiv'.tidy(5) end")
    local script = support.write(folder .. "/s.lua", "require 'helper'()")
    local result = cohesiv({ script }, { dir = folder })
    assert.equal("cohesiv: ./helper.lua:2: " .. refused .. "\n", result.stderr)
    assert.equal("cohesiv: (command line):1: " .. refused .. "\n",
      cohesiv({ "-e", "require 'cohesiv'.tidy(5)" }).stderr)
  end)

  it("names what is wrong with a variable of the environment, at once", function()
    local function refused(name, value) return cohesiv({ "-e", "print 'ran'" }, { env = { [name] = value } }) end
    for _, value in ipairs { "abc", "-1", "0", "1e9", "2.5", "257", " 2", "0x2" } do
      refuses(refused("COHESIV_THREADS", value), 1,
        ('COHESIV_THREADS: expected an integer of 1 to 256, found "%s"'):format(value))
    end
    refuses(refused("COHESIV_ISA", "foo"), 1, 'COHESIV_ISA: expected portable, avx2 or avx512, found "foo"')
    for _, value in ipairs { "x", "-1", "nan", "1e999" } do
      refuses(refused("COHESIV_CHECKPOINT_SECONDS", value), 1,
        ('COHESIV_CHECKPOINT_SECONDS: expected seconds of 0 or more, found "%s"'):format(value))
    end
    assert.equal("ran\n", refused("COHESIV_THREADS", "").stdout)
    assert.equal("ran\n", refused("COHESIV_THREADS", "2").stdout)
    assert.equal("ran\n", refused("COHESIV_CHECKPOINT_SECONDS", "0.5").stdout)
  end)

  it("keeps names with newlines on one line", function()
    refuses(cohesiv { "no\nsuch" }, 2, "no\\nsuch: expected a command")
    refuses(cohesiv { "/no\nsuch.lua" }, 1, "cannot open /no\\nsuch.lua")
    refuses(cohesiv { "responsibility", "/no\nsuch.mp4", "--frame", "1" }, 1, "no\\nsuch.mp4")
  end)

  it("runs code and scripts with their arguments", function()
    assert.equal("2 a b\n", cohesiv({ "-e", "print(#arg, ...)", "a", "b" }).stdout:gsub("\t", " "))
    local folder = support.temp()
    local script = support.write(folder .. "/s.lua",
      "#!/usr/bin/env cohesiv\nlocal co = require 'cohesiv'\nprint(arg[0], arg[1], select('#', ...), co.version)\n"
      .. "for name in pairs(_G) do if name == 'co' then print 'global' end end\nos.exit(3)")
    local result = cohesiv { script, "--help" } -- its own option, not the program's
    assert.equal(("%s\t--help\t1\t%s\n"):format(script, require("cohesiv").version), result.stdout)
    assert.equal(3, result.status)
    assert.equal("6\n", cohesiv({ "-", "x" }, { stdin = "print(1 + 2 + 3)" }).stdout)
  end)

  it("ends by Ctrl-C with 130 and by SIGTERM with 143, in Lua and in the core", function()
    local lua = support.run({ "lua5.4", support.root .. "/lua/cohesiv/main.lua", "-e", "while true do end" },
      { timeout = 1, signal = "INT" })
    refuses(lua, 130, "interrupted")
    local core = support.run({ "lua5.4", support.root .. "/lua/cohesiv/main.lua", "-e",
      "local co = require 'cohesiv' local x = co.rand(2000, 2000) while true do x = x:exp():tanh() end" },
      { timeout = 1.5, signal = "TERM" })
    refuses(core, 143, "interrupted")
  end)

  it("tells about the machine", function()
    local info = cohesiv { "info" }
    assert.equal(0, info.status, info.stderr)
    for _, word in ipairs { "cohesiv", "CPU", "BLAS", "GPU", "memory" } do
      assert.is_truthy(info.stdout:find(word, 1, true), word)
    end
    local forced = cohesiv({ "info" }, { env = { COHESIV_ISA = "portable", COHESIV_THREADS = "3" } })
    assert.is_truthy(forced.stdout:find("3 threads used, instruction set portable", 1, true), forced.stdout)
  end)

  it("starts by the launcher from another folder and through a link", function()
    local folder = support.temp()
    assert(os.execute(("ln -s %s/cohesiv %s/link"):format(support.quote(support.root), folder)))
    local result = support.run({ folder .. "/link", "-e", "print(require('cohesiv').version)" }, { dir = folder })
    assert.equal(0, result.status, result.stderr)
    assert.equal(require("cohesiv").version .. "\n", result.stdout)
  end)

  it("segments an image: 1-bit masks per point, overlay and panel", function()
    local co, folder = require "cohesiv", support.temp()
    local run = tiny_run(folder)
    co.seed(9)
    co.image.write(folder .. "/in.png", (co.rand(45, 80, 3) * 255):to "uint8")
    local function segment(...)
      return cohesiv { "segment", folder .. "/in.png", "--model", run.path, "--out", folder .. "/a/b", ... }
    end
    local result = segment("--at", "10,20", "--at", "79,44")
    assert.equal(0, result.status, result.stderr)
    assert.equal(folder .. "/a/b\n", result.stdout)
    assert.same({ "contact1.png", "contact2.png", "hand1.png", "hand2.png", "object1.png", "object2.png",
      "overlay.png", "panel.png" }, support.list(folder .. "/a/b"))
    local bytes = support.read(folder .. "/a/b/hand2.png")
    assert.equal(1, bytes:byte(25), "bits a pixel")
    assert.same({ 45, 80 }, co.image.mask(folder .. "/a/b/hand2.png").shape)
    assert.same({ 45, 80, 3 }, co.image.read(folder .. "/a/b/overlay.png").shape)
    assert.same({ 2 * 45 + 4, 5 * 80 + 4 * 4, 3 }, co.image.read(folder .. "/a/b/panel.png").shape)
    refuses(segment("--at", "80,20"), 1, "80, 20")
    refuses(segment("--at", "-3,20"), 1, "-3, 20")
    refuses(cohesiv { "segment", folder .. "/in.png", "--at", "1,1", "--model", folder .. "/no", "--out", folder }, 1,
      folder .. "/no")
  end)

  it("writes a video of a clip with its maps, whole or not at all", function()
    local co = require "cohesiv"
    local folder = support.temp()
    co.world { out = folder .. "/w", clips = 1, frames = 5, size = { 64, 48 }, seed = 3, progress = false }
    local clip = folder .. "/w/clips/" .. co.data(folder .. "/w").clips[1]
    for _, kind in ipairs { "mp4", "gif" } do
      local out = folder .. "/r." .. kind
      local result = cohesiv({ "responsibility", clip, "--size", "64x48", "--out", out },
        { env = { COHESIV_CACHE = folder .. "/cache" } })
      assert.equal(0, result.status, result.stderr)
      assert.equal(out .. "\n", result.stdout)
      local made = co.clip(out)
      assert.same({ 5, 64, 48 }, { made.frames, made.width, made.height })
      assert.is_true(support.difference(made:frame(2), co.clip(clip):frame(2)) > 20) -- the maps are there
    end
    local result = cohesiv({ "responsibility", clip, "--out", folder .. "/none.mp4", "--gaps", "9" },
      { env = { COHESIV_CACHE = folder .. "/cache" } })
    refuses(result, 1, "gaps: expected one within the clip's 5 frames")
    assert.same({ "cache", "r.gif", "r.mp4", "w" }, support.list(folder))
  end)

  support.data_it("writes the responsibility panel of a real frame", function()
    local folder = support.temp()
    local result = cohesiv({ "responsibility", support.data .. "/clips/cups.mp4", "--frame", "30", "--gaps", "-1,1",
      "--size", "224x128", "--out", folder .. "/r.png" }, { env = { COHESIV_CACHE = folder .. "/cache" } })
    assert.equal(0, result.status, result.stderr)
    assert.equal(folder .. "/r.png\n", result.stdout)
    local picture = require("cohesiv").image.read(folder .. "/r.png")
    assert.same({ 2 * 128 + 4, 4 * 224 + 3 * 4, 3 }, picture.shape)
    refuses(cohesiv { "responsibility", support.data .. "/clips/cups.mp4", "--frame", "100000" }, 1, "100000")
  end)
end)
