-- The house's rules, read off its files: which way #include and require point, who may know which library, how long a
-- file may be, and what the core never calls.

local support = require "tests.support"

-- What each folder of csrc may include, itself aside; "*" is everything.
local below = {
  core = {},
  backend = { core = true },
  ops = { backend = true, core = true },
  io = { backend = true, core = true },
  motion = { backend = true, core = true },
  world = { io = true, motion = true, backend = true, core = true },
  data = { io = true, motion = true, backend = true, core = true },
  model = { ops = true, backend = true, core = true },
  cuda = { ops = true, motion = true, backend = true, core = true },
  lua = "*",
  program = {},
}

-- Headers of libraries and the one folder that may know each (Lua's: the boundary, and the program around both).
local owners = {
  ["^lua.*%.h$"] = "lua program", ["^lauxlib%.h$"] = "lua program", ["^histedit%.h$"] = "lua",
  ["cblas"] = "backend", ["lapack"] = "backend", ["openblas"] = "backend", ["^cu[bd]"] = "cuda",
  ["^png%.h$"] = "io", ["^jpeglib%.h$"] = "io", ["^zlib%.h$"] = "io",
}

-- Functions that end the process, print, or trust a length.
local forbidden = { "exit", "_exit", "abort", "printf", "puts", "perror", "gets", "sprintf" }
-- The terminal belongs to the line editor, which lists completions there.
local may_print = { ["csrc/lua/editor.c"] = true }

local function files_of(folder, pattern)
  local list = {}
  local pipe = assert(io.popen(("cd %s && find %s -type f"):format(support.quote(support.root), folder)))
  for path in pipe:lines() do
    if path:find(pattern) then list[#list + 1] = path end
  end
  pipe:close()
  table.sort(list)
  return list
end

local c_files = files_of("csrc", "%.[chd][ue]?f?$")
local lua_files = files_of("lua", "%.lua$")
local all_lua = files_of("lua experiments tests rockspec", "%.lua$")

local function read(path) return support.read(support.root .. "/" .. path) end

-- The folders of lua/cohesiv, the lowest first: a file requires those of its own folder and of lower ones.
local layers = {}
for i, name in ipairs { "base", "tensor", "nn", "optim", "motion", "data", "hands", "train", "tools" } do
  layers[name] = i
end

local function module_of(path) return (path:gsub("^lua/", ""):gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", ".")) end

local function layer_of(module)
  local layer = module:match "^cohesiv%.(%w+)"
  return layer ~= "core" and layer ~= "main" and layer ~= "sweep" and layer or nil -- main and sweep are doors
end

-- The set of the modules that a file requires anywhere.
local function requires_of(path)
  local names = {}
  for name in read(path):gsub("%-%-[^\n]*", ""):gmatch 'require%s*%(?%s*["\']([^"\']+)' do names[name] = true end
  return names
end

-- C without its comments and strings.
local function code_of(path)
  return (read(path):gsub("/%*.-%*/", " "):gsub('\\.', ""):gsub('"[^"\n]*"', '""'):gsub("//[^\n]*", ""))
end

local function check(files, problem_of)
  local problems = {}
  for _, path in ipairs(files) do
    problem_of(path, function(format, ...) problems[#problems + 1] = path .. ": " .. format:format(...) end)
  end
  assert.equal("", table.concat(problems, "\n"))
end

describe("the house", function()
  it("has files to check", function()
    assert.is_true(#c_files > 10)
    assert.is_true(#lua_files > 5)
  end)

  it("has #includes that point downwards", function()
    check(c_files, function(path, problem)
      local folder = path:match "^csrc/(%w+)/"
      local allowed = below[folder]
      if not allowed then return problem("folder %s is not in the map", folder or "csrc") end
      for name in read(path):gmatch '#%s*include%s*"([^"]+)"' do
        local target = name:match "^(%w+)/" or folder
        if target ~= folder and allowed ~= "*" and not allowed[target] then problem("includes %s", name) end
      end
    end)
  end)

  it("has libraries known to one folder each", function()
    check(c_files, function(path, problem)
      local folder = path:match "^csrc/(%w+)/"
      for name in read(path):gmatch "#%s*include%s*<([^>]+)>" do
        for pattern, owner in pairs(owners) do
          if name:find(pattern) and not owner:find(folder, 1, true) then
            problem("includes <%s>, which belongs to %s", name, owner)
          end
        end
      end
    end)
  end)

  it("has requires that point downwards, lazy ones too", function()
    check(lua_files, function(path, problem)
      local module = module_of(path)
      for name in pairs(requires_of(path)) do
        if name:find "^experiments" or name:find "^tests" then problem("requires %s", name) end
        local from, to = layer_of(module), layer_of(name)
        if from and not layers[from] then problem("layer %s is not in the list", from) end
        if from and to and (layers[to] or 0) > layers[from] then problem("requires %s", name) end
        -- What the session and the commands show is the public module itself.
        if from and name == "cohesiv" and from ~= "tools" then problem("requires %s", name) end
      end
    end)
  end)

  it("has no circle of requires", function()
    local graph = {}
    for _, path in ipairs(lua_files) do graph[module_of(path)] = requires_of(path) end
    local state, circles = {}, {}
    local function visit(module, trail)
      if state[module] == "open" then circles[#circles + 1] = trail .. " -> " .. module end
      if state[module] or not graph[module] or module == "cohesiv" then return end
      state[module] = "open"
      for name in pairs(graph[module]) do visit(name, trail .. " -> " .. name) end
      state[module] = "done"
    end
    for module in pairs(graph) do visit(module, module) end
    assert.same({}, circles)
  end)

  it("has no file above 600 lines", function()
    local function too_long(path, problem)
      local _, lines = read(path):gsub("\n", "")
      if lines > 600 then problem("%d lines", lines) end
    end
    check(c_files, too_long)
    check(all_lua, too_long)
  end)

  it("has files that open by saying what they are", function()
    check(c_files, function(path, problem)
      if not read(path):find "^/[/*]" then problem "no comment at its top" end
    end)
    check(all_lua, function(path, problem)
      local _, lines = read(path):gsub("\n", "")
      if lines <= 5 and path:find "^experiments/" then return end -- an ablation says it by itself
      if not read(path):find "^%-%-" and not read(path):find "^#![^\n]*\n%-%-" then problem "no comment at its top" end
    end)
  end)

  it("starts in one place: no function of C runs by itself when the library is loaded", function()
    check(c_files, function(path, problem)
      local code = code_of(path)
      if code:find "%f[%w_]_*constructor_*%f[^%w_]" or code:find "init_array" then problem "has a constructor" end
    end)
  end)

  it("never ends the process nor prints from C", function()
    check(c_files, function(path, problem)
      local code = code_of(path)
      for _, name in ipairs(forbidden) do
        if not may_print[path] and code:find("%f[%w_]" .. name .. "%s*%(") then problem("calls %s", name) end
      end
    end)
  end)
end)
