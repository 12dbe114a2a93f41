-- The readers of readers.c and lua.c as run.lua and tests/fuzz_spec.lua see them: the corpus that each reads (also
-- its seeds), the dictionary (CORPUS.dict, unless another is named) and the size of its largest inputs.
return {
  { name = "rgb8", corpus = "png", most = 320 },
  { name = "rgb16", corpus = "png", most = 320 },
  { name = "mask", corpus = "png", most = 320 },
  { name = "flow", corpus = "png", most = 320 },
  { name = "jpeg", corpus = "jpeg", most = 400 },
  { name = "npy", corpus = "npy", most = 300 },
  { name = "npz", corpus = "npz", most = 600 },
  { name = "flo", corpus = "flo", most = 100 },
  { name = "safetensors", corpus = "safetensors", most = 400 },
  { name = "pth", corpus = "pth", most = 900 },
  { name = "tflite", corpus = "tflite", most = 900 },
  { name = "zip", corpus = "npz", most = 600 },
  { name = "pack", corpus = "pack", most = 200 },
  { name = "sample", corpus = "sample", dictionary = "npz", most = 1300 },
  { name = "container", corpus = "container", most = 1100 },
  { name = "video", corpus = "video", most = 200 },
  { name = "complaint", corpus = "complaint", most = 400 },
  { name = "json", corpus = "json", most = 200 },
  { name = "hands", corpus = "hands", dictionary = "json", most = 400 },
  { name = "queries", corpus = "queries", dictionary = "json", most = 400 },
}
