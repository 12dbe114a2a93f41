-- What is mutated, and which specs can notice: a table from patterns of files to specs, cheapest first. The first row
-- that fits a file counts, so that special files stand above their folder.
local lfs = require "lfs"
local sites = require "tests.mutate.sites"

local M = {}

local FOLDERS = { "csrc/ops", "csrc/motion", "csrc/io", "lua/cohesiv" }
local LEFT_OUT = {
  ["csrc/ops/op_sample.c"] = true, -- draws the samples of tests
  ["lua/cohesiv/tools/commands/test.lua"] = true, -- runs the specs
}

-- ops_spec is narrowed to the ops whose names hold one of some words: "ops:conv2d,pool"; "op_add": that begin so.
local ROWS = {
  -- ops: their samples first
  { "ops/.*adamw", "optim ops:adamw golden" }, { "ops/.*sgd", "optim ops:sgd" },
  { "ops/%w+_lerp", "ops:lerp optim train" },
  { "ops/op_attention", "ops:attention predict" },
  { "ops/op_broadcast", "ops:op_add,op_div,expand tensor broadcast" },
  { "ops/.*concat", "ops:op_cat,stack,pad_crop,upsample2_cat function golden broadcast" },
  { "ops/op_conv_sparse", "conv graph golden ops:conv2d" }, { "ops/conv_sparse", "conv graph golden ops:conv2d" },
  { "ops/op_conv", "ops:conv2d conv nn golden" },
  { "ops/%w+_contrast", "losses ops:embedding_loss golden" },
  { "ops/op_embedding_loss", "losses ops:embedding_loss golden" },
  { "ops/op_responsibility_loss", "losses ops:responsibility_loss golden" },
  { "ops/op_matmul", "ops:matmul nn tensor" },
  { "ops/op_minmax", "ops:argmax,op_max,op_min tensor" },
  { "ops/.*norm_se", "ops:batch_norm_se excite nn" }, { "ops/.*squeeze_excite", "ops:batch_norm_se excite nn" },
  { "ops/bodies_se", "ops:batch_norm_se excite nn" },
  { "ops/op_instance_norm", "windows ops:instance_norm nn" },
  { "ops/.*norm", "ops:batch_norm,normalise nn golden" },
  { "ops/.*grid_sample", "windows ops:grid_sample" }, { "ops/.*prelu", "windows ops:prelu" },
  { "ops/.*correlation", "ops:correlation raft" }, { "ops/.*gru", "ops:gru raft" },
  { "ops/.*convex", "ops:convex raft" },
  { "ops/.*window", "windows ops:unfold,avg_pool2d,conv2d nn" },
  { "ops/.*pointwise", "ops:abs,op_add,clamp,op_div,op_eq,exp,op_g,op_l,op_m,op_ne,pow,relu,sigmoid,silu,sq,sub,tanh "
    .. "tensor broadcast" },
  { "ops/bodies_math", "ops:exp,log,sigmoid,silu,tanh,pow,softmax tensor nn" },
  { "ops/.*pool", "ops:pool nn golden" },
  { "ops/.*shape", "tensor ops:reshape,permute,transpose,narrow,select,expand,pad_crop,cast nn" },
  { "ops/walk", "tensor ops:reshape,permute,transpose,narrow,select,expand,pad_crop,cast nn" },
  { "ops/.*softmax", "ops:softmax,cross_entropy nn" },
  { "ops/.*sum", "ops:sum,mean,var tensor nn" },
  { "ops/.*upconv", "ops:upconv2d nn golden" },
  { "ops/.*upsample", "ops:upsample2 nn golden" },
  { "ops/op_where", "ops:where tensor" },
  { "ops/bodies_rows", "losses ops:loss,attention,matmul golden" },
  { "ops/plan", "freeze profile tune nn" }, { "ops/record", "profile tune" }, { "ops/account", "profile summary" },
  { "csrc/ops/", "graph function tensor nn golden ops:op_add,conv2d,batch_norm,op_cat" },
  -- motion
  { "motion/.*flow", "flow" }, { "motion/smooth", "flow" },
  { "motion/homography", "homography golden responsibility" },
  { "motion/person", "flow responsibility data" }, { "motion/mixture", "flow responsibility" },
  { "motion/sharpen", "responsibility" },
  { "csrc/motion/", "golden homography responsibility" },
  -- files
  { "io/video", "video" }, { "io/container", "video damage" }, { "io/process", "video cli" },
  { "io/pth_old", "pth_old pth" }, { "io/p[ti]", "pth pth_old" },
  { "io/jpeg", "pictures kind" }, { "io/png", "io pictures" }, { "io/image", "pictures io" }, { "io/mask", "io data" },
  { "io/resample", "pictures io data" }, { "io/kind", "kind" }, { "io/lock", "io runs" }, { "io/digest", "data train" },
  { "io/complaint", "video data" }, { "io/json", "json io landmarks" }, { "csrc/io/", "io pictures data" },
  -- Lua
  { "base/json", "json recipe" }, { "base/o", "given recipe model nn" }, { "base/kinds", "landmarks given runs" },
  { "base/warn", "warn" }, { "base/failure", "cli warn" },
  { "base/pictured", "viz repl" }, { "base/", "given recipe cli repl summary" },
  { "tensor/function", "function" }, { "tensor/image", "pictures tensor" }, { "tensor/io", "io pth" },
  { "tensor/", "tensor scopes function" },
  { "nn/freeze", "freeze nn model predict" }, { "nn/profile", "profile" }, { "nn/summary", "summary" },
  { "nn/hooks", "nn summary profile" }, { "nn/autotune", "tune" }, { "nn/losses", "losses" },
  { "nn/squeeze_excite", "excite nn" }, { "nn/encoders", "golden model encoders summary" },
  { "nn/unet", "golden model" }, { "nn/weights", "pth model" },
  { "nn/", "nn model golden" },
  { "cohesiv/optim/", "optim" },
  { "motion/flow", "flow data" }, { "motion/homography", "homography" },
  { "lua/cohesiv/motion/", "responsibility data" },
  { "data/landmarks", "landmarks data" }, { "data/document", "landmarks given" },
  { "data/names", "names" }, { "data/given", "given" },
  { "data/world", "world" }, { "data/cache", "data damage" }, { "data/annotations", "data evaluate names" },
  { "lua/cohesiv/data/", "data landmarks names video" },
  { "hands/metrics", "metrics evaluate" }, { "hands/evaluate", "evaluate" }, { "hands/calibrate", "evaluate predict" },
  { "hands/predict", "predict" }, { "hands/systems", "evaluate saliency predict" },
  { "hands/", "model predict" },
  { "train/recipe", "recipe train" }, { "train/labels", "loader data train" }, { "train/samples", "loader train" },
  { "train/", "train runs" },
  { "tools/repl", "repl" }, { "tools/panel", "repl viz" }, { "tools/viz", "viz" }, { "tools/svg", "viz report" },
  { "tools/show", "repl viz" }, { "tools/help", "repl cli" }, { "tools/report_run", "report predict quickstart" },
  { "tools/report", "report" },
  { "tools/quickstart", "quickstart" }, { "commands/quickstart", "quickstart" }, { "commands/re", "cli report repl" },
  { "tools/", "cli runs" },
  { "lua/cohesiv/", "cli tensor examples" },
}

local function walk(root, folder, list)
  local names = {}
  for name in lfs.dir(root .. "/" .. folder) do
    if name:sub(1, 1) ~= "." then names[#names + 1] = folder .. "/" .. name end
  end
  table.sort(names)
  for _, path in ipairs(names) do
    if lfs.attributes(root .. "/" .. path, "mode") == "directory" then
      walk(root, path, list)
    elseif path:find "%.[ch]$" or path:find "%.def$" or path:find "%.lua$" then
      if not LEFT_OUT[path] and not path:find "cuda" then list[#list + 1] = path end
    end
  end
  return list
end

--- The files that are mutated, from the top of the checkout, sorted.
function M.files(root)
  local list = {}
  for _, folder in ipairs(FOLDERS) do walk(root, folder, list) end
  return list
end

--- The specs that can notice a change of a file, cheapest first: { name, filters (Busted's) }.
function M.specs(file)
  for _, row in ipairs(ROWS) do
    if file:find(row[1]) then
      local list = {}
      for name, filters in row[2]:gmatch "([%w_]+):?(%S*)" do
        local spec = { name = name, filters = {} }
        for f in filters:gmatch "[^,]+" do
          spec.filters[#spec.filters + 1] = f:find "^op_" and "^op " .. f:sub(4) or "^op [%w_]*" .. f
        end
        list[#list + 1] = spec
      end
      return list
    end
  end
  return {}
end

local function read(path)
  local handle = assert(io.open(path, "rb"))
  local bytes = handle:read "a"
  handle:close()
  return bytes
end

--- All mutants: { file, at, before, after }.
function M.all(root)
  local list = {}
  for _, file in ipairs(M.files(root)) do
    for _, s in ipairs(sites.sites(read(root .. "/" .. file), file:find "%.lua$" and "lua" or "c")) do
      s.file = file
      list[#list + 1] = s
    end
  end
  return list
end

--- The i-th draw of a seed among n.
function M.draw(n, seed, i)
  math.randomseed(seed, i)
  return math.random(n)
end

return M
