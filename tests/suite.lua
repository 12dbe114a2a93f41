-- What `cohesiv test` runs: the whole suite. Each spec file runs in a process of its own, so that a crash costs one
-- file and says which. The suite: everything once in the release build; what computes once more under
-- AddressSanitizer + UBSan on small samples; the op tests on every instruction set and on 1, 2 and 4 threads, and with
-- garbage collected at every op; the linters where they are. The release build is the launcher's. Returns
-- suite(root, args) → exit status; the arguments are those of lua/cohesiv/tools/commands/test.lua.

local cli = require "cohesiv.tools.cli"
local lfs = require "lfs"

-- Specs of whole programs, pictures and files: they start processes, or compute nothing that the rest does not.
local release_only = {
  arrows = true, bundle = true, cli = true, comforts = true, compare = true, cuda = true, cuda_plans = true,
  damage = true, detections = true, docs = true, examples = true, experiments = true, explore = true, install = true,
  person = true, prepare = true, pretrain = true, quickstart = true, reference = true, repl = true, report = true,
  runs = true, show = true, sweep = true, systems = true, train = true, tutorial = true, view = true,
}
-- Specs of what the sanitized build alone has.
local sanitized_only = { fuzz = true }
-- Specs of the CUDA half on the CPU: in the sanitized build, with the module that it makes.
local function on_cuda(name)
  return name:find "^cuda_kernels" ~= nil or name == "cuda_train" or name == "cuda_precision"
end
-- Specs of single ops: what instruction sets and numbers of threads matter to.
local function is_op_spec(name)
  for _, part in ipairs { "op", "conv", "broadcast", "windows", "large" } do
    if name:find("^" .. part) then return true end
  end
end

-- Those that take long, to be begun first so that no CPU is idle in the end: about so many seconds.
local slow = {
  faults_nn = 100, cuda = 90, faults_parts = 80, runs = 70, ops = 60, hostile_ops = 40, hostile_calls = 35, faults = 30,
  cuda_train = 30, freeze = 30, cuda_kernels = 25, bounds = 20, world = 20, cuda_kernels_images = 20, model = 20,
  quickstart = 15, train = 15, comforts = 20, predict = 15, experiments = 10, cuda_kernels_cases = 15,
  cuda_kernels_conv = 15, nn = 15, encoders = 10, cuda_kernels_half = 20, video = 10, sweep = 20,
  summary = 10, damage = 10, pretrain = 20, io = 10, tutorial = 20,
}

local LIMIT = 1800 -- seconds for one spec file
local jobs = 1 -- spec files at a time

local counts = { passed = 0, failed = 0, skipped = 0 }

local function quote(word) return "'" .. word:gsub("'", [['\'']]) .. "'" end

local function say(format, ...)
  print(format:format(...))
  io.stdout:flush()
end

local function shell(command)
  local _, how, status = os.execute(command)
  if how == "signal" and status == 2 then error("interrupted", 0) end
  return how == "signal" and 128 + status or status
end

local function output_of(command)
  local pipe = assert(io.popen(command .. " 2>/dev/null"))
  local text = pipe:read "a"
  return pipe:close() and text:match "^%s*(.-)%s*$" or nil
end

local function has(program) return output_of("command -v " .. program) ~= nil end

local function note(kind, format, ...)
  counts[kind] = counts[kind] + 1
  if kind ~= "passed" then say("  %s  %s", kind == "failed" and "FAIL" or "skip", format:format(...)) end
end

local function spec_names(root, pattern)
  local names = {}
  for file in lfs.dir(root .. "/tests") do
    local name = file:match "^([%w_]+)_spec%.lua$"
    if name and (not pattern or name:find(pattern)) then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

-- The shell's line that runs a job, the n-th, and then says on stdout that it has ended: "N STATUS SECONDS", and what
-- `times` says of the CPUs' time. What it prints goes to FILE.out, its counts to FILE.
local function job_command(root, n, job, file)
  local name, flags = job.name, job.flags
  local words = { "cd", quote(root), "&&", "start=$(date +%s);", "COHESIV_TEST_COUNTS=" .. file }
  for variable, value in pairs(job.env or {}) do words[#words + 1] = variable .. "=" .. quote(value) end
  words[#words + 1] = ("timeout -k 10 %d lua5.4 lua/cohesiv/main.lua tests/busted_run.lua"):format(LIMIT)
  words[#words + 1] = ("--output=tests/busted_report.lua tests/%s_spec.lua %s >%s.out 2>&1 </dev/null;"):format(name,
    flags or "", file)
  words[#words + 1] = ('status=$?; times >%s.times; echo "%d $status $(($(date +%%s) - start))" $(cat %s.times)')
    :format(file, n, file)
  return table.concat(words, " ")
end

local function read(path)
  local handle = assert(io.open(path))
  local text = handle:read "a"
  handle:close()
  return text
end

-- Seconds of CPUs in `times`' words: of the shell, then of what it ran, each in the program and in the kernel.
local function cpu_seconds(times)
  local sum = 0
  for minutes, seconds in times:gmatch "(%d+)m([%d.]+)s" do sum = sum + 60 * minutes + seconds end
  return sum
end

-- Prints what a spec file printed, and adds its counts.
local function take_result(name, file, status, seconds, cpu)
  io.write(read(file .. ".out"))
  local passed, failed, skipped = read(file):match "^(%d+) (%d+) (%d+)"
  for kind, n in pairs { passed = passed, failed = failed, skipped = skipped } do
    counts[kind] = counts[kind] + math.tointeger(n)
  end
  if not passed then
    note("failed", "%s: did not finish: %s", name, status == 124 and "out of time" or "status " .. status)
  elseif status ~= 0 and failed == "0" then
    note("failed", "%s: its process ended with status %d", name, status)
  end
  say("  %-30s %4d passed%s%s  %3d s, CPU %.0f s", name, passed or 0, failed ~= "0" and failed
    and (", %d failed"):format(failed) or "", skipped ~= "0" and skipped and (", %d skipped"):format(skipped) or "",
    seconds, cpu)
end

-- The jobs of some spec files in one environment: `how` names it in what is told ("" is the usual one), env are its
-- variables, flags are Busted's.
local function jobs_of(names, how, env, flags)
  local list = {}
  for i, name in ipairs(names) do
    list[i] = { name = name, title = how == "" and name or name .. ", " .. how, env = env, flags = flags }
  end
  return list
end

-- Runs lists of jobs as one, as many at a time as asked for (the slow ones first), and tells of each when it has ended.
local function run_specs(root, ...)
  local ordered = {}
  for _, list in ipairs { ... } do table.move(list, 1, #list, #ordered + 1, ordered) end
  if #ordered == 0 then return end
  table.sort(ordered, function(a, b)
    local x, y = slow[a.name] or 0, slow[b.name] or 0
    if x ~= y then return x > y end
    return a.title < b.title
  end)
  local folder = output_of "mktemp -d"
  local list = assert(io.open(folder .. "/list", "w"))
  for n, job in ipairs(ordered) do
    local file = ("%s/%d"):format(folder, n)
    assert(io.open(file, "w")):close()
    assert(io.open(file .. ".sh", "w")):write(job_command(root, n, job, file), "\n"):close()
    list:write(file, ".sh\n")
  end
  list:close()
  local left = #ordered
  local pipe = assert(io.popen(("xargs -P %d -n 1 sh <%s/list"):format(jobs, folder)))
  for line in pipe:lines() do
    local n, status, seconds, times = line:match "^(%d+) (%d+) (%d+) (.*)$"
    if n then
      left = left - 1
      take_result(ordered[math.tointeger(n)].title, ("%s/%s"):format(folder, n), math.tointeger(status),
        math.tointeger(seconds), cpu_seconds(times))
    end
  end
  pipe:close()
  shell("rm -rf " .. quote(folder))
  if left > 0 then error("interrupted", 0) end
end

local function filter(names, keep)
  local list = {}
  for _, name in ipairs(names) do
    if keep(name) then list[#list + 1] = name end
  end
  return list
end

-- A build of its own beside the launcher's; true when it compiled.
local function build(root, folder, options)
  local log = folder .. ".log"
  local status = shell(("(cmake -G Ninja -S %s -B %s %s %s && cmake --build %s) >%s 2>&1"):format(quote(root),
    quote(folder), os.getenv "COHESIV_WERROR" and "-DCOHESIV_WERROR=1" or "", options, quote(folder), quote(log)))
  if status == 0 then return true end
  shell(("grep -m 10 -E 'error|FAILED' %s"):format(quote(log)))
  note("failed", "build with %s, see %s", options, log)
  return false
end

local function run_sanitized(root, names)
  local folder = root .. "/build/sanitized"
  say "AddressSanitizer and UBSan, small samples (building first)"
  local library = output_of "gcc -print-file-name=libasan.so"
  if not library or not library:find "^/" then return note("skipped", "sanitizers: gcc has no libasan") end
  local options = "-DCOHESIV_SANITIZE=address,undefined -DCOHESIV_FUZZ=1"
  local cuda = has "g++"
  if cuda then options = options .. " -DCOHESIV_CUDA_ON_CPU=1" end
  if not build(root, folder, options) then return end
  local env = {
    COHESIV_BUILD = folder,
    COHESIV_SMALL = "1",
    COHESIV_DATA = "", -- real video is no small sample
    LD_PRELOAD = library,
    -- Where a library that is loaded late keeps its threads' variables is guessed, now and then wrongly, by the last:
    -- the search for leaks then ends in a fault of its own.
    ASAN_OPTIONS = "detect_leaks=1:detect_stack_use_after_return=0:intercept_tls_get_addr=0",
    LSAN_OPTIONS = "print_suppressions=0",
    UBSAN_OPTIONS = "print_stacktrace=1",
  }
  -- Leak detection stops the process by ptrace, which some containers forbid.
  if shell(("LD_PRELOAD=%s ASAN_OPTIONS=detect_leaks=1 lua5.4 -e '' 2>/dev/null"):format(quote(library))) ~= 0 then
    env.ASAN_OPTIONS = "detect_leaks=0"
    note("skipped", "leak detection: not permitted here")
  end
  say "  built"
  local plain = filter(names, function(name) return not release_only[name] and not on_cuda(name) end)
  if not cuda then
    note("skipped", "CUDA kernels on the CPU: g++ is not installed")
    return run_specs(root, jobs_of(plain, "", env))
  end
  local forward = { COHESIV_CUDA_MODULE = folder .. "/cohesiv/cuda_on_cpu.so" }
  for name, value in pairs(env) do forward[name] = value end
  local other = { COHESIV_CUDA_BACKWARDS = "1" }
  for name, value in pairs(forward) do other[name] = value end
  -- The others take other sizes of the same.
  local backwards = filter(names, function(name) return name == "cuda_kernels" end)
  run_specs(root, jobs_of(plain, "", env), jobs_of(filter(names, on_cuda), "", forward),
    jobs_of(backwards, "the other order", other))
end

-- The op tests in other environments, as lists of jobs. The release run uses the best instruction set and as many
-- threads as there are CPUs: those need no second one.
local function variants(names)
  local system = require("cohesiv.core").system
  local cpu, ops, lists = system.cpu(), filter(names, is_op_spec), {}
  local reached = false
  for _, set in ipairs { "portable", "avx2", "avx512" } do
    if reached then
      note("skipped", "op tests with COHESIV_ISA=%s: above this CPU", set)
    elseif set ~= cpu.isa then
      lists[#lists + 1] = jobs_of(ops, set, { COHESIV_ISA = set })
    end
    reached = reached or set == cpu.isa
  end
  -- The samples of ops_spec are one chunk of work each, and large_spec itself runs on 1, 2 and 4 threads.
  local larger = filter(ops, function(name) return name ~= "ops" and name ~= "large" end)
  for _, threads in ipairs { 1, 2, 4 } do
    if threads ~= system.threads() then
      lists[#lists + 1] = jobs_of(larger, ("%d thread%s"):format(threads, threads > 1 and "s" or ""),
        { COHESIV_THREADS = tostring(threads) })
    end
  end
  -- Central differences call an op twice for every number of its inputs; the other tests call what they call.
  lists[#lists + 1] = jobs_of(ops, "garbage collected", { COHESIV_GC_STRESS = "1", COHESIV_SMALL = "1" },
    "--filter-out='has the gradient of its forward'")
  return lists
end

local function run_linters(root)
  say "linters"
  local function lint(name, available, command)
    if not available then return note("skipped", "%s: not installed", name) end
    if shell("cd " .. quote(root) .. " && " .. command) == 0 then note "passed" else note("failed", "%s", name) end
  end
  lint("luacheck", has "luacheck", "luacheck -q --no-color lua experiments tests")
  -- Other versions format otherwise.
  local version = output_of "clang-format --version"
  lint("clang-format 14", version and version:find "version 14%.",
    [[! find csrc tests -name '*.[ch]' -o -name '*.cu' | xargs clang-format --dry-run -Werror 2>&1 | grep ': error:' |
      sed 's/:.*/ is not clang-formatted/' | sort -u | grep .]])
end

return function(root, args)
  local started = os.time()
  local names = spec_names(root, args.pattern)
  if #names == 0 then cli.usage("%s: expected part of a name in tests/, found none", args.pattern or root) end
  jobs = args.jobs or require("cohesiv.core").system.cpu().count
  local part = args.part or (args.pattern and "release")
  local function wanted(name) return not part or part == name end
  if wanted "release" or wanted "variants" then
    say "release build"
    local lists = wanted "variants" and variants(names) or {}
    if wanted "release" then
      table.insert(lists, 1, jobs_of(filter(names, function(name)
        return not sanitized_only[name] and not on_cuda(name)
      end), ""))
    end
    run_specs(root, table.unpack(lists))
  end
  if wanted "sanitized" then run_sanitized(root, names) end
  if wanted "linters" then run_linters(root) end
  say("%d seconds", os.time() - started)
  say("%d passed, %d failed%s", counts.passed, counts.failed,
    counts.skipped > 0 and (", %d skipped"):format(counts.skipped) or "")
  return counts.failed == 0 and 0 or 1
end
