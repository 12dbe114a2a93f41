-- Replays what fuzzing begins with and what it has found (tests/fuzz/corpus), each input judged twice, under
-- AddressSanitizer and UBSan: ./cohesiv test --part sanitized '^fuzz$'. Needs no clang; tests/fuzz/run.lua fuzzes.
local lfs = require "lfs"
local readers = require "tests.fuzz.list"
local seeds = require "tests.fuzz.seeds"
local support = require "tests.support"

local PROGRAM = support.root .. "/build/sanitized/fuzz"
local CORPUS = support.root .. "/tests/fuzz/corpus/"
local LIMIT = 200000 -- bytes of the corpus

local folder = support.temp()
local all = seeds.all(folder)

-- The files of a corpus: its seeds, written, and what was found.
local function inputs_of(corpus)
  local list = {}
  for name, bytes in pairs(all[corpus]) do
    list[#list + 1] = support.write(("%s/%s_%s"):format(folder, corpus, name), bytes)
  end
  for _, name in ipairs(lfs.attributes(CORPUS .. corpus) and support.list(CORPUS .. corpus) or {}) do
    list[#list + 1] = CORPUS .. corpus .. "/" .. name
  end
  return list
end

describe("the inputs of fuzzing", function()
  for _, reader in ipairs(readers) do
    it(("are read or refused: %s"):format(reader.name), function()
      local list, words = inputs_of(reader.corpus), {}
      for i, path in ipairs(list) do words[i] = support.quote(path) end
      local result = support.run(("COHESIV_READER=%s COHESIV_FUZZ_FOLDER=%s ASAN_OPTIONS=detect_leaks=0 %s %s"):format(
        reader.name, support.quote(folder), support.quote(PROGRAM), table.concat(words, " ")))
      assert.equal(0, result.status, result.stderr:sub(-3000))
      assert.equal(tostring(#list), result.stdout:match "^%d+")
    end)
  end

  it("are refused for a reader that is none", function()
    local path = support.write(folder .. "/none", "")
    local result = support.run(("COHESIV_READER=nothing %s %s"):format(support.quote(PROGRAM), support.quote(path)))
    assert.equal(2, result.status)
    assert.is_truthy(result.stderr:find("expected the name of a reader, found nothing", 1, true))
  end)

  it("are small", function()
    local bytes = 0
    for _, reader in ipairs(readers) do
      local path = CORPUS .. reader.corpus
      for _, name in ipairs(lfs.attributes(path) and support.list(path) or {}) do
        bytes = bytes + lfs.attributes(path .. "/" .. name, "size")
      end
    end
    assert.is_true(bytes <= LIMIT, bytes .. " bytes")
  end)
end)
