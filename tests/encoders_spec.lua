-- Every encoder: public names, features, stages; and whole networks against PyTorch, whose values a script makes where
-- COHESIV_PYTHON names an interpreter with segmentation_models_pytorch and COHESIV_DATA the folder with make.py.
local co = require "cohesiv"
local encoders = require "cohesiv.nn.encoders"
local network = require "tests.network"
local support = require "tests.support"

local python = os.getenv "COHESIV_PYTHON"
local compared_it = python and support.data_it or support.python_it -- both are needed; the one that lacks is named

-- Channels of the features, and one parameter's public name and shape, of each.
local FACTS = {
  resnet18 = { { 64, 64, 128, 256, 512 }, "layer4.1.conv2.weight", { 512, 512, 3, 3 } },
  resnet34 = { { 64, 64, 128, 256, 512 }, "layer3.5.conv1.weight", { 256, 256, 3, 3 } },
  resnet50 = { { 64, 256, 512, 1024, 2048 }, "layer3.5.conv3.weight", { 1024, 256, 1, 1 } },
  resnet101 = { { 64, 256, 512, 1024, 2048 }, "layer3.22.bn3.weight", { 1024 } },
  resnext50_32x4d = { { 64, 256, 512, 1024, 2048 }, "layer3.5.conv2.weight", { 512, 16, 3, 3 } },
  se_resnet50 = { { 64, 256, 512, 1024, 2048 }, "layer3.5.se_module.fc1.weight", { 64, 1024, 1, 1 } },
  se_resnext50_32x4d = { { 64, 256, 512, 1024, 2048 }, "layer0.conv1.weight", { 64, 3, 7, 7 } },
  se_resnext101_32x4d = { { 64, 256, 512, 1024, 2048 }, "layer3.22.conv2.weight", { 512, 16, 3, 3 } },
  efficientnet_b0 = { { 32, 24, 40, 112, 320 }, "_blocks.4._depthwise_conv.weight", { 240, 1, 5, 5 } },
  efficientnet_lite0 = { { 32, 24, 40, 112, 320 }, "blocks.2.0.conv_dw.weight", { 144, 1, 5, 5 } },
  efficientnet_lite1 = { { 32, 24, 40, 112, 320 }, "blocks.5.4.conv_pwl.weight", { 192, 1152, 1, 1 } },
  efficientnet_lite2 = { { 32, 24, 48, 120, 352 }, "conv_head.weight", { 1280, 352, 1, 1 } },
  mobilenet_v2 = { { 16, 24, 32, 96, 1280 }, "features.18.0.weight", { 1280, 320, 1, 1 } },
}

describe("the table of encoders", function()
  it("has those that recipes may name, the default first", function()
    local names = encoders.names "se_resnext50_32x4d"
    assert.equal("se_resnext50_32x4d", names[1])
    local known = {}
    for name in pairs(FACTS) do known[#known + 1] = name end
    table.sort(known)
    assert.same(known, encoders.names())
    assert.equal(#known, #names)
    local recipe = require "experiments.cohesiv"
    assert.equal("se_resnext50_32x4d", recipe.model.encoder)
    for _, name in ipairs(known) do assert.equal(name, recipe { model = { encoder = name } }.model.encoder) end
  end)

  for name, fact in pairs(FACTS) do
    it("has " .. name, function()
      co.tidy(function()
        local encoder = encoders.encoder(name):eval()
        local state = encoder:state_dict()
        assert.same(fact[3], assert.is_truthy(state[fact[2]], fact[2]) and state[fact[2]].shape)
        assert.same(fact[1], encoder.widths)
        local features = co.no_grad(encoder, co.zeros(1, 64, 32, 3))
        assert.equal(5, #features)
        for i, feature in ipairs(features) do
          assert.same({ 1, 64 >> i, 32 >> i, fact[1][i] }, feature.shape)
        end
        -- the stages hold every parameter of the encoder once
        local held, all = {}, {}
        for _, stage in ipairs(encoder.stages) do
          for _, p in ipairs(stage.module:parameters()) do held[p] = (held[p] or 0) + 1 end
        end
        for _, p in ipairs(encoder:parameters()) do all[p] = 1 end
        assert.same(all, held)
      end)
    end)
  end
end)

describe("the network in PyTorch:", function()
  local folder = support.temp()
  for _, name in ipairs(encoders.names()) do
    -- model_spec has files of three; resnet50 is resnet101 but for a number, and so are these of efficientnet_lite0
    local elsewhere = name == "efficientnet_lite1" or name == "efficientnet_lite2" or name == "resnet18"
      or name == "mobilenet_v2" or name == "se_resnext50_32x4d" or name == "resnet50"
    if not elsewhere then
      compared_it(name, function()
        local damped = name:find "101" ~= nil
        local made = support.run({ python, support.root .. "/tests/reference/network.py",
          support.data .. "/reference", folder, name, damped and "damped" or nil }, { timeout = 1200 })
        assert.equal(0, made.status, made.stderr)
        co.tidy(function()
          local ref = co.load(("%s/network_%s.npz"):format(folder, name))
          network.compare(ref, name, support.small and { "float32" } or { "float32", "float64" }, damped)
        end)
      end)
    end
  end
end)
