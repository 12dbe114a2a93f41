--- The names of weights that others have saved: those of the public libraries turned into those of the encoders here,
-- and which encoders a file fits. Files are read by tensor/io.lua and taken by Module:load_state. Layout: O×I×kH×kW.
local lists = require "cohesiv.base.lists"
local tensor = require "cohesiv.tensor"
local encoders = require "cohesiv.nn.encoders"
local M = {}

-- timm calls the blocks of MobileNetV2 and EfficientNet alike: blocks.STAGE.BLOCK.LAYER, and what is around them. For
-- each, the names here: blocks in a stage, top layers, layers of a block without expansion (those of stage 0) and with
-- it, and the format of a block's number. (tf_efficientnet_b0 is the one here; efficientnet_b0 pads in other places.)
local MOBILENET = {
  stages = { 1, 2, 3, 4, 3, 3, 1 }, first = 1, format = "features.%d.conv.%s", -- torchvision's
  top = { conv_stem = "features.0.0", bn1 = "features.0.1", conv_head = "features.18.0", bn2 = "features.18.1" },
  plain = { conv_dw = "0.0", bn1 = "0.1", conv_pw = "1", bn2 = "2" },
  expanding = { conv_pw = "0.0", bn1 = "0.1", conv_dw = "1.0", bn2 = "1.1", conv_pwl = "2", bn3 = "3" },
}
local EFFICIENTNET = {
  stages = { 1, 2, 2, 3, 3, 4, 1 }, first = 0, format = "_blocks.%d.%s", -- segmentation_models.pytorch's
  top = { conv_stem = "_conv_stem", bn1 = "_bn0", conv_head = "_conv_head", bn2 = "_bn1" },
  plain = { conv_dw = "_depthwise_conv", bn1 = "_bn1", conv_pw = "_project_conv", bn2 = "_bn2",
    ["se.conv_reduce"] = "_se_reduce", ["se.conv_expand"] = "_se_expand" },
  expanding = { conv_pw = "_expand_conv", bn1 = "_bn0", conv_dw = "_depthwise_conv", bn2 = "_bn1", bn3 = "_bn2",
    conv_pwl = "_project_conv", ["se.conv_reduce"] = "_se_reduce", ["se.conv_expand"] = "_se_expand" },
}

local function from_timm_blocks(name, family)
  local layer, rest = name:match "^(.+)(%.[%w_]+)$"
  if not layer then return nil end
  local stage, block, inner = layer:match "^blocks%.(%d)%.(%d)%.(.+)$"
  if not stage then return family.top[layer] and family.top[layer] .. rest end
  local index = family.first + tonumber(block)
  for s = 1, tonumber(stage) do index = index + (family.stages[s] or 0) end
  local place = (stage == "0" and family.plain or family.expanding)[inner]
  return place and family.format:format(index, place) .. rest
end

-- The other way: the efficientnet_lite* here have timm's names, while files of EfficientNet-PyTorch number their blocks
-- through. `blocks`: for each number (from 1) the stage and block of the network that asks.
local TIMM_TOP = { _conv_stem = "conv_stem", _bn0 = "bn1", _conv_head = "conv_head", _bn1 = "bn2" }
local TIMM_PLAIN = { _depthwise_conv = "conv_dw", _bn1 = "bn1", _project_conv = "conv_pw", _bn2 = "bn2" }
local TIMM_EXPANDING = { _expand_conv = "conv_pw", _bn0 = "bn1", _depthwise_conv = "conv_dw", _bn1 = "bn2",
  _project_conv = "conv_pwl", _bn2 = "bn3" }

local function to_timm_blocks(name, blocks)
  local layer, rest = name:match "^(.+)(%.[%w_]+)$"
  if not layer then return nil end
  local index, inner = layer:match "^_blocks%.(%d+)%.([%w_]+)$"
  if not index then return TIMM_TOP[layer] and TIMM_TOP[layer] .. rest end
  local at = blocks[tonumber(index) + 1]
  local place = at and (at.stage == 0 and TIMM_PLAIN or TIMM_EXPANDING)[inner]
  return place and ("blocks.%d.%d.%s%s"):format(at.stage, at.block, place, rest)
end

-- The blocks of a network with timm's names, in order.
local function timm_blocks(known)
  local list, seen = {}, {}
  for name in pairs(known) do
    local stage, block = name:match "^blocks%.(%d+)%.(%d+)%."
    if not stage then stage, block = name:match "^encoder%.blocks%.(%d+)%.(%d+)%." end
    local key = stage and stage .. "." .. block
    if key and not seen[key] then
      seen[key], list[#list + 1] = true, { stage = tonumber(stage), block = tonumber(block) }
    end
  end
  table.sort(list, function(a, b)
    if a.stage ~= b.stage then return a.stage < b.stage end
    return a.block < b.block
  end)
  return list
end

-- Cadene's SE networks hold the stem in layer0 and call the gate se_module; timm's do neither (and pad before pooling).
local function from_timm_se(name)
  if name:find "^conv1%." or name:find "^bn1%." then return "layer0." .. name end
  return (name:gsub("%.se%.fc", ".se_module.fc"))
end

-- In the order in which they are tried.
local families = {
  function(name) return name end,
  function(name, of) return not of.ungrouped and from_timm_se(name) end,
  function(name) return from_timm_blocks(name, MOBILENET) end,
  function(name) return from_timm_blocks(name, EFFICIENTNET) end,
  function(name, of) return to_timm_blocks(name, of.blocks) end,
}

-- Without what wrappers put in front: DataParallel, torch.compile, Lightning.
local function unwrapped(name)
  for _, prefix in ipairs { "^module%.", "^_orig_mod%.", "^model%." } do
    local inner = name:match(prefix .. "(.+)")
    if inner then return unwrapped(inner) end
  end
  return name
end

-- The name within an encoder, or within a model whose other parts are named as they are.
local function bare(name)
  name = unwrapped(name)
  local inner = name:match "^encoder%.(.+)$"
  return inner and unwrapped(inner) or name
end

--- is_foreign(name): whether a tensor of that name never counts: classifiers, and the optimiser of a checkpoint here.
function M.is_foreign(name)
  name = bare(name)
  for _, pattern in ipairs { "^_?fc%.", "^last_linear%.", "^classifier%.", "^classification_head%.", "^optimiser%." } do
    if name:find(pattern) then return true end
  end
  return false
end

--- is_beyond_encoder(name): whether the name is of a U-Net's decoder, head or branches.
function M.is_beyond_encoder(name)
  name = unwrapped(name)
  return (name:find "^decoder%." or name:find "^segmentation_head%." or name:find "_branch%.") ~= nil
end

-- timm's SE-ResNets (unlike its SE-ResNeXts) halve sizes elsewhere than Cadene's: their shapes would fit, not they.
local function is_ungrouped(state)
  for name, t in pairs(state) do
    if bare(name) == "layer1.0.conv2.weight" then return t.shape[1] == t.shape[2] end
  end
  return false
end

-- Its name among the known ones by the first family that has one; nil if none has.
local function known_name(name, known, of)
  local inner = bare(name)
  for _, family in ipairs(families) do
    local own = family(inner, of)
    if own and known[own] then return own end
    if own and known["encoder." .. own] then return "encoder." .. own end
  end
end

--- rename(state, known): the tensors under names of `known` (a set) where those of torchvision, Cadene's, timm or
-- segmentation_models.pytorch (encoder alone or whole) lead there, else under their own; and how many were renamed.
function M.rename(state, known)
  local out, count, of = {}, 0, { ungrouped = is_ungrouped(state), blocks = timm_blocks(known) }
  for name, t in pairs(state) do
    local own = not known[name] and known_name(name, known, of)
    local renamed = own and not state[own] and not out[own]
    out[renamed and own or name] = t
    count = count + (renamed and 1 or 0)
  end
  return out, count
end

local function shapes_of(state)
  local shapes = {}
  for name, t in pairs(state) do shapes[name] = table.concat(t.shape, "x") end
  return shapes
end

-- How a state fits one encoder: { encoder, matching, of, renamed, fits, missing (the first name that does not match) }.
local function compare(state, encoder)
  local wanted = tensor.tidy(function() return shapes_of((encoders.encoder(encoder):state_dict())) end)
  local own, renamed = M.rename(state, wanted)
  local found, report = shapes_of(own), { encoder = encoder, matching = 0, of = 0, renamed = renamed }
  for _, name in ipairs(lists.keys(wanted)) do
    local matches = found[name] == wanted[name]
    report.of, report.matching = report.of + 1, report.matching + (matches and 1 or 0)
    report.missing = report.missing or not matches and name or nil
  end
  report.fits = report.matching == report.of
  for name in pairs(found) do
    local counts = not wanted[name] and not name:find "num_batches_tracked$"
    if counts and not M.is_foreign(name) and not M.is_beyond_encoder(name) then report.fits = false end
  end
  return report
end

--- fits(state): the names of the encoders that take a state as their weights (all of theirs, in shape, and no others),
-- those with the names of the file first; and the nearest one as a table { encoder, matching, of, missing }.
function M.fits(state)
  local reports, names = {}, {}
  for i, encoder in ipairs(encoders.names()) do reports[i] = compare(state, encoder) end
  table.sort(reports, function(a, b)
    if a.fits ~= b.fits then return a.fits end
    local x, y = a.matching / a.of, b.matching / b.of
    if x ~= y then return x > y end
    if a.renamed ~= b.renamed then return a.renamed < b.renamed end
    return a.encoder < b.encoder
  end)
  for i, report in ipairs(reports) do names[i] = report.fits and report.encoder or nil end -- those that fit come first
  local best = reports[1]
  best.renamed, best.fits = nil, nil
  return names, best
end

return M
