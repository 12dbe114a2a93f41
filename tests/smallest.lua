-- The words of a `cohesiv quickstart` that takes seconds, for specs of where it runs rather than what it finds.
local words = { "quickstart", "--clips", "4", "--held", "3" }
for _, change in ipairs { "size=112,64", "epochs=1", "minutes=none", "batch=2", "maps.frames=2",
  "maps.fit.points=60", "maps.gaps=-2,2", "maps.tau=0.2", "maps.band=0", "maps.closeness=none",
  "model.encoder=mobilenet_v2", "model.decoder_widths=8,8,8,8,8", "model.embedding_dim=4",
  "model.attention_dim=4", "calibrate.steps=5", "calibrate.embeddings=20" } do
  words[#words + 1] = "--set"
  words[#words + 1] = change
end

return words
