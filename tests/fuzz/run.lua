-- Fuzzes the readers of files with libFuzzer: ./cohesiv tests/fuzz/run.lua [READER …] [--runs N] [--jobs N] [--merge].
-- Needs clang and libclang-rt-dev. Builds build/fuzz, makes the seeds, runs each reader (all by default) for so many
-- executions, and prints a table. Ends with 1 and the inputs' paths when anything was found. --merge adds what was
-- reached beyond the seeds to tests/fuzz/corpus.
local lfs = require "lfs"
local readers = require "tests.fuzz.list"
local seeds = require "tests.fuzz.seeds"

local ROOT = assert(package.searchpath("tests.fuzz.list", package.path)):match "^(.*)/tests/fuzz/list%.lua$"
local BUILD = ROOT .. "/build/fuzz"
local WORK = BUILD .. "/work" -- per reader: inputs/, data/ (of those in Lua), log, found-… (what was found)

local function quote(word) return "'" .. word:gsub("'", [['\'']]) .. "'" end

local function shell(format, ...)
  local words = { ... }
  for i, word in ipairs(words) do words[i] = type(word) == "string" and quote(word) or word end
  local _, how, status = os.execute(format:format(table.unpack(words)))
  if how == "signal" then error("interrupted", 0) end
  return status
end

local function read(path)
  local file = io.open(path, "rb")
  local bytes = file and file:read "a" or ""
  if file then file:close() end
  return bytes
end

local function write(path, bytes)
  local file = assert(io.open(path, "wb"))
  file:write(bytes)
  file:close()
end

-- ---- what is asked for ----

local options = { runs = 2000000, jobs = 1 }

local function parse(words)
  local wanted, i = {}, 1
  while words[i] do
    local name = words[i]:match "^%-%-(%l+)$"
    if name == "merge" then
      options.merge = true
    elseif name == "runs" or name == "jobs" then
      i = i + 1
      options[name] = math.tointeger(tonumber(words[i])) or error(("--%s: expected a number"):format(name), 0)
    else
      wanted[words[i]] = true
    end
    i = i + 1
  end
  local list, all = {}, next(wanted) == nil
  for _, reader in ipairs(readers) do
    if all or wanted[reader.name] then list[#list + 1] = reader end
    wanted[reader.name] = nil
  end
  if next(wanted) then error(("expected readers of tests/fuzz/list.lua, found %s"):format((next(wanted))), 0) end
  return list
end

-- ---- building ----

local function build()
  if shell "command -v clang >/dev/null" ~= 0 then error("fuzz: expected clang, found none", 0) end
  local log = BUILD .. "/log"
  shell("mkdir -p %s", WORK)
  local status = shell("(cmake -G Ninja -S %s -B %s -DCMAKE_C_COMPILER=clang -DCOHESIV_WERROR=1 -DCOHESIV_FUZZ=1 "
    .. "-DCOHESIV_SANITIZE=address,undefined && cmake --build %s --target fuzz) >%s 2>&1", ROOT, BUILD, BUILD, log)
  if status ~= 0 then error("fuzz: the build failed, see " .. log, 0) end
end

local function make_seeds()
  for corpus, list in pairs(seeds.all(WORK)) do
    local folder = BUILD .. "/seeds/" .. corpus
    shell("rm -rf %s && mkdir -p %s %s", folder, folder, ROOT .. "/tests/fuzz/corpus/" .. corpus)
    for name, bytes in pairs(list) do write(folder .. "/" .. name, bytes) end
  end
end

-- ---- running ----

local function environment(reader)
  return ("COHESIV_READER=%s COHESIV_FUZZ_FOLDER=%s COHESIV_THREADS=1 UBSAN_OPTIONS=print_stacktrace=1 "
    .. "ASAN_OPTIONS=detect_leaks=0:quarantine_size_mb=16"):format(reader.name,
    quote(("%s/%s/data"):format(WORK, reader.name)))
end

-- The shell script that fuzzes one reader.
local function script_of(reader)
  local work = WORK .. "/" .. reader.name
  local dictionary = ("%s/tests/fuzz/%s.dict"):format(ROOT, reader.dictionary or reader.corpus)
  shell("mkdir -p %s %s", work .. "/inputs", work .. "/data")
  shell("rm -f %s/found-*", work)
  write(work .. "/run.sh", ([[
%s %s -runs=%d -max_len=%d -timeout=5 -rss_limit_mb=2048 -malloc_limit_mb=256 -print_final_stats=1 %s \
  -artifact_prefix=%s %s %s %s >%s 2>&1
echo "%s: ended with $?"
]]):format(environment(reader), quote(BUILD .. "/fuzz"), options.runs, reader.most,
    lfs.attributes(dictionary) and "-dict=" .. quote(dictionary) or "", quote(work .. "/found-"),
    quote(work .. "/inputs"), quote(BUILD .. "/seeds/" .. reader.corpus),
    quote(ROOT .. "/tests/fuzz/corpus/" .. reader.corpus), quote(work .. "/log"), reader.name))
  return work .. "/run.sh"
end

local function run(list)
  local scripts = {}
  for i, reader in ipairs(list) do scripts[i] = script_of(reader) end
  write(WORK .. "/scripts", table.concat(scripts, "\0"))
  shell("xargs -0 -P %d -n 1 sh <%s", options.jobs, WORK .. "/scripts")
end

local function report(list)
  local found = {}
  local columns = "%-12s %11s %7s %6s %8s %11s  %s"
  print(columns:format("reader", "executions", "per s", "edges", "peak MB", "heap bytes", ""))
  for _, reader in ipairs(list) do
    local log = read(("%s/%s/log"):format(WORK, reader.name))
    local edges = "?"
    for n in log:gmatch "cov: (%d+)" do edges = n end
    local function stat(name) return log:match("stat::" .. name .. ":%s*(%d+)") or "?" end
    local path = log:match "Test unit written to (%S+)"
    local what = log:match "\n(FOUND[^\n]*)" or log:match "\n(SUMMARY[^\n]*)"
    if path then found[#found + 1] = ("%s: %s\n  %s"):format(reader.name, what or "?", path) end
    if not path and not log:find "\nDone " then found[#found + 1] = reader.name .. ": did not finish, see its log" end
    print(columns:format(reader.name, stat "number_of_executed_units",
      stat "average_exec_per_sec", edges, stat "peak_rss_mb", log:match "HEAP [^\n]- at most (%d+)" or "?",
      path and "FOUND" or ""))
  end
  for _, line in ipairs(found) do print(line) end
  return #found == 0
end

-- Inputs that reach edges which seeds and corpus do not.
local function merge(list)
  for _, reader in ipairs(list) do
    local work, corpus = WORK .. "/" .. reader.name, ROOT .. "/tests/fuzz/corpus/" .. reader.corpus
    local base = BUILD .. "/seeds/" .. reader.corpus
    local both = work .. "/base"
    shell("rm -rf %s && mkdir %s && cp -r %s/. %s/. %s", both, both, base, corpus, both)
    shell(environment(reader):gsub("%%", "%%%%") .. " %s -merge=1 -use_counters=0 -max_len=%d %s %s >>%s 2>&1",
      BUILD .. "/fuzz", reader.most, both, work .. "/inputs", work .. "/log")
    for name in lfs.dir(both) do
      local path = both .. "/" .. name
      if lfs.attributes(path, "mode") == "file" and not lfs.attributes(base .. "/" .. name)
        and not lfs.attributes(corpus .. "/" .. name) then
        write(corpus .. "/" .. name:sub(1, 12), read(path))
      end
    end
  end
end

local list = parse(arg)
build()
make_seeds()
run(list)
if not report(list) then os.exit(1) end
if options.merge then merge(list) end
