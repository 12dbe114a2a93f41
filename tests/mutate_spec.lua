-- The mutator of tests/mutate: what it changes and what it leaves, that every source has specs, that draws repeat.
local plan = require "tests.mutate.plan"
local sites = require "tests.mutate.sites"
local support = require "tests.support"

-- All mutants of a text, each as the text that it becomes.
local function mutants(text, language)
  local list = {}
  for _, s in ipairs(sites.sites(text, language)) do list[#list + 1] = sites.apply(text, s) end
  return list
end

describe("the mutator", function()
  it("changes operators and constants of C", function()
    assert.same({ "if (a <= b) c -= 1;", "if (a < b) c += 1;", "if (a < b) c -= 0;" },
      mutants("if (a < b) c -= 1;", "c"))
    assert.same({ "x = y || !z;" }, mutants("x = y && !z;", "c"))
    assert.same({ "x = a == b;" }, mutants("x = a != b;", "c"))
    assert.same({ "r = a / b - c;", "r = a * b + c;" }, mutants("r = a * b - c;", "c"))
    assert.same({ "n = 1;" }, mutants("n = 0;", "c"))
    assert.same({ "n = 18u;" }, mutants("n = 17u;", "c"))
    assert.same({ "n = (0x1F + 1);" }, mutants("n = 0x1F;", "c"))
    assert.same({ "r = (1.5e-3f + 1);" }, mutants("r = 1.5e-3f;", "c"))
    assert.same({ "f(false)" }, mutants("f(true)", "c"))
    assert.same({ "#define TWICE(x) ((x) - (x))" }, mutants("#define TWICE(x) ((x) + (x))", "c"))
  end)

  it("changes operators and constants of Lua", function()
    assert.same({ "if a or b ~= 2 then", "if a and b == 2 then", "if a and b ~= 3 then" },
      mutants("if a and b ~= 2 then", "lua"))
    assert.same({ "local x = y ~= true", "local x = y == false" }, mutants("local x = y == true", "lua"))
    assert.same({ "for i = 0, #t do", }, mutants("for i = 1, #t do", "lua"))
    assert.same({ "return a - b" }, mutants("return a + b", "lua"))
  end)

  it("leaves signs, pointers, strings, comments, includes, asserts and the words of errors alone", function()
    for _, text in ipairs {
      "real *p = *q;", "p->x++;", 'f("1 + 1", \'2\');', "/* 1 + 1 */ // 2 < 3\n", "#include <a1.h>\n",
      "#if A && \\\n  B == 2\n", "_Static_assert(sizeof a == 4, \"a\");", 'return fail("%d", i + 1);',
      'return call_fail(c, "%s", a == b ? (c) : "<");', "x = -y;", "return -y;", "x = (real *)y;", "a <<= b;",
      "static int norm_sample(Call *c) {\n  return 1 + 2;\n}",
      "static const struct { int h; } samples[] = {\n    {11},\n};",
    } do
      assert.same({}, mutants(text, "c"), text)
    end
    for _, text in ipairs {
      "-- 1 + 1\n", "--[==[ 1 < 2\n ]] ]==]", "local s = 'a\\'1' .. \"2\"", "local t = [[1 + 1]]",
      "local x <const> = y",
      'error(("%d"):format(i + 1), 0)', "return -x", "goto a ::a::", "return a // b",
    } do
      assert.same({}, mutants(text, "lua"), text)
    end
    assert.same({ 'fail("(1") - b;' }, mutants('fail("(1") + b;', "c"))
  end)

  it("names the line", function()
    local n, line = sites.line("a\n  b + c\nd", 7)
    assert.same({ 2, "  b + c" }, { n, line })
  end)

  it("finds sites in every kind of source, and specs that exist for each", function()
    local files = plan.files(support.root)
    local folders = {}
    for _, file in ipairs(files) do
      for part in pairs { ["csrc/ops/"] = 1, ["csrc/motion/"] = 1, ["csrc/io/"] = 1, ["lua/cohesiv/"] = 1 } do
        if file:sub(1, #part) == part then folders[part] = (folders[part] or 0) + 1 end
      end
      local specs = plan.specs(file)
      assert.is_true(#specs > 0, file)
      for _, spec in ipairs(specs) do
        local path = ("%s/tests/%s_spec.lua"):format(support.root, spec.name)
        assert.is_true(io.open(path) ~= nil, ("%s: %s"):format(file, path))
      end
    end
    for _, n in pairs(folders) do assert.is_true(n > 20) end
    assert.is_true(#plan.all(support.root) > 10000)
  end)

  it("draws the same mutants for a seed, and others for another", function()
    local function drawn(seed)
      local list = {}
      for i = 1, 20 do list[i] = plan.draw(100000, seed, i) end
      return list
    end
    assert.same(drawn(1), drawn(1))
    assert.is_not.same(drawn(1), drawn(2))
    for _, n in ipairs(drawn(3)) do assert.is_true(n >= 1 and n <= 100000) end
  end)
end)
