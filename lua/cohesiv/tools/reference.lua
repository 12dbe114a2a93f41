--- The reference: every public name with what its source says of it, as one page of Markdown (docs/reference.md). Names
-- are found by looking at the library as it runs: `co` and its modules, the op table, the classes whose methods users
-- call, the commands, the base recipe. The words are those of help: doc comments, the op table, --help.
local core = require "cohesiv.core"
local lists, options = require "cohesiv.base.lists", require "cohesiv.base.options"
local cli, comments, help = require "cohesiv.tools.cli", require "cohesiv.tools.comments", require "cohesiv.tools.help"
local M = {}

-- The names that users give their objects, their classes under options.guard, and the files of these, in the order of
-- the page.
local CLASSES = {
  { "data", "data folder", "data.folder", "A data folder: `co.data \"PATH\"`" },
  { "clip", "clip", "data.clip", "A clip: `data:clip \"NAME\"`" },
  { "hands", "hands of a clip", "data.corrected", "The hands of a clip: `clip:hands()`" },
  { "R", "responsibility", "motion.responsibility", "Responsibility maps: `clip:responsibility(n)`" },
  { "model", "model", "hands.model", "The network: `co.model{…}`, `run:model()`" },
  { "m", "module", "nn.module", "Modules: `co.nn.Module`" },
  { "opt", "optimiser", "optim", "Optimisers: `co.optim.AdamW(…)`" },
  { "schedule", "schedule", "optim.schedule", "Schedules of the rate" },
  { "profile", "profile", "nn.profile", "Profiles: `co.profile(f)`" },
  { "run", "run", "train.run", "Run folders: `co.run \"runs/NAME\"`" },
}

local WIDE = 118 -- characters of a line

-- What Markdown would take for its own, outside of code.
local function plain(text)
  local code = true
  return (("`" .. text):gsub("`([^`]*)", function(part)
    code = not code
    return "`" .. (code and part or part:gsub("[*<]", "\\%0"):gsub("%f[%w_]__", "\\_\\_"))
  end):sub(2))
end

-- Words on lines of that width.
local function filled(text)
  local lines, line = {}, nil
  for word in text:gmatch "%S+" do
    if line and utf8.len(line) + 1 + utf8.len(word) > WIDE then
      lines[#lines + 1], line = line, nil
    end
    line = line and line .. " " .. word or word
  end
  lines[#lines + 1] = line
  return table.concat(lines, "\n")
end

-- A comment's lines: running text filled anew, and indented lines as they are.
local function prose(text)
  local out, block, code = {}, {}, false
  local function finish()
    if #block > 0 and code then
      out[#out + 1] = "```text\n" .. table.concat(block, "\n") .. "\n```"
    elseif #block > 0 then
      out[#out + 1] = filled(plain(table.concat(block, "\n")))
    end
    block = {}
  end
  for line in (text .. "\n"):gmatch "(.-)\n" do
    local indented, empty = line:find "^  %s*%S" ~= nil, not line:find "%S"
    if indented ~= code or empty then finish() end
    code = indented
    if not empty then block[#block + 1] = code and line:sub(3) or line end
  end
  finish()
  return table.concat(out, "\n\n")
end

-- ---- what there is: sections, each { title, intro, entries = list of { name, head, text } } ----

-- The entry of a function under its public name; nil for one that has no doc comment, unless it must have a word.
local function entry(name, f, holder, always)
  local head, lines, documented = comments.of_function(name, f, holder)
  if not (documented or always and lines[1]) then return nil end
  local said, text = comments.head(lines)
  if not said then return { name = name, head = head, text = text } end
  local first, own = said:match "^[%w_.:]+", name:match "[^.:]+$"
  if first:find "^%u%w*%." then return { name = first, head = said, text = text } end -- Module.new, not m:new
  if first:match "[^.:]+$" == own or not said:find(own, 1, true) then said = name .. said:sub(#first + 1) end
  return { name = name, head = said, text = text }
end

local function section(title, intro, list)
  return { title = title, intro = intro, entries = list }
end

-- The functions of a table as entries; `prefix` comes before each name. always: the public ones need no doc comment.
local function functions_of(prefix, holder, always, passed)
  return lists.map(lists.keys(help.names(holder)), function(name)
    local f = holder[name]
    if type(f) ~= "function" or name:find "^_" or passed and passed(f, name) then return nil end
    return entry(prefix .. name, f, holder, always)
  end)
end

-- What the file of a table says of itself, or that of the module of this name.
local function intro_of(t)
  local lines = type(t) == "string" and comments.of_file(package.searchpath(t, package.path)) or comments.of_table(t)
  return table.concat(lines, "\n")
end

local function ops(co)
  return lists.map(lists.keys(core.ops), function(name)
    local op = core.ops[name]
    local both = co[name] == op.call -- co.cat and co.stack also take lists
    local head = comments.of_function(both and "co." .. name or "t:" .. name, op.call)
    return { name = both and ("co.%s, t:%s"):format(name, name) or "t:" .. name, head = head, text = op.doc }
  end)
end

-- Functions that are co's own: neither ops nor parts of a module.
local function is_op(f) return comments.op(f) ~= nil end

-- The modules of co, and tables of functions in them, by name. Classes have sections of their own.
local function modules(holder, prefix, out)
  local is_class = lists.set(options.classes.module)
  for _, name in ipairs(lists.keys(help.names(holder))) do
    local value = holder[name]
    local entries = type(value) == "table" and not is_class[value] and functions_of(prefix .. name .. ".", value, true)
    if entries and entries[1] then
      out[#out + 1] = section("`" .. prefix .. name .. "`", intro_of(value), entries)
      modules(value, prefix .. name .. ".", out)
    end
  end
  return out
end

local function classes()
  return lists.map(CLASSES, function(row)
    local name, kind, file, title = table.unpack(row)
    local seen, entries = {}, {}
    for _, class in ipairs(options.classes[kind]) do
      for _, one in ipairs(functions_of(name .. ":", class)) do
        if not seen[one.name] then entries[#entries + 1], seen[one.name] = one, true end
      end
    end
    table.sort(entries, function(a, b) return a.name < b.name end)
    return section(title, intro_of("cohesiv." .. file), entries)
  end)
end

local function commands()
  return lists.map(cli.names(), function(name)
    local usage = cli.parser(name):get_help():gsub("%s+$", "")
    return { name = "cohesiv " .. name, text = "", code = usage }
  end)
end

-- The file of a module, from the line that begins with `from` to its end or the line before `to`.
local function listing(module, from, to)
  local lines, on = {}, false
  for line in io.lines(package.searchpath(module, package.path)) do
    if to and on and line:find(to) then break end
    on = on or line:find(from) ~= nil
    if on then lines[#lines + 1] = line end
  end
  return table.concat(lines, "\n")
end

local function recipe_keys()
  return {
    { name = "recipe", text = "Declared in experiments/cohesiv.lua: every key, its default, and what it means.",
      code = listing("experiments.cohesiv", "^return recipe.base"), language = "lua" },
    { name = "maps.*", text = "Declared in lua/cohesiv/motion/map_options.lua, for recipes and "
      .. "`clip:responsibility` alike.", code = listing("cohesiv.motion.map_options", "^M.recipe", "^$"),
      language = "lua" },
  }
end

--- sections(): all of them, in the page's order.
function M.sections()
  local co = require "cohesiv"
  help.names(co) -- loads every part, and with them the classes
  local sweep = require "cohesiv.sweep"
  local list = {
    section("Commands", "Each as its `--help` has it.", commands()),
    section("The module `co`", intro_of(co), functions_of("co.", co, true, is_op)),
    section("Tensors", intro_of(require "cohesiv.tensor"), functions_of("t:", core.methods, false, is_op)),
    section("Operations on tensors", "Each is a function and a method. A `?` marks what may be left out, `=` a "
      .. "default; what follows the tensors may be given in order or by name in a table at the end.", ops(co)),
  }
  modules(co, "co.", list)
  for _, one in ipairs(classes()) do list[#list + 1] = one end
  list[#list + 1] = section("Sweeps: `require \"cohesiv.sweep\"`", intro_of(sweep), functions_of("sweep.", sweep, true))
  list[#list + 1] = section("Recipes", "How recipes derive from each other: [recipe.md](recipe.md). `optional`, "
    .. "`one_of` and the like say which values a key takes.", recipe_keys())
  return list
end

-- The name under which GitHub and others find a heading.
local function anchor(title)
  return (title:lower():gsub("[^%w _-]", ""):gsub(" ", "-"))
end

--- page(): the reference as Markdown.
function M.page()
  local out = { "# Reference", "", filled "Every public name, as the sources tell it. Written by \
    `./cohesiv reference --out docs/reference.md` out of the op table, the doc comments and the commands' `--help`: a \
    change belongs there. In a session `help(x)` says the same.", "" }
  local function add(...) for _, text in ipairs { ... } do out[#out + 1] = text end end
  local list = M.sections()
  for _, one in ipairs(list) do add(("* [%s](#%s)"):format(one.title, anchor(one.title))) end
  for _, one in ipairs(list) do
    add("", "## " .. one.title, "", prose(one.intro))
    for _, e in ipairs(one.entries) do
      add("", "### `" .. e.name .. "`", "")
      if e.head then add("```lua", e.head, "```", "") end
      if e.text ~= "" then add(prose(e.text)) end
      if e.code then add("", "```" .. (e.language or "text"), e.code, "```") end
    end
  end
  return (table.concat(out, "\n"):gsub("\n\n\n+", "\n\n")) .. "\n"
end

return M
