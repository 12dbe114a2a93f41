-- JSON that is none: one line with the place and what stands there, or with what the file is instead.
local json = require "cohesiv.base.json"
local support = require "tests.support"

local root = support.temp()

describe("json", function()
  it("is refused with what is wrong, its line and its column", function()
    for text, expected in pairs {
      [""] = "nothing", [" \n"] = "nothing",
      ["{"] = "the end of the text (cut short?) at line 1, column 2",
      ["[1,\n 2,"] = "the end of the text (cut short?) at line 2, column 4",
      ['["abc'] = "a string without an end (cut short?) at line 1, column 6",
      ["[\n\n 3, NaN]"] = "NaN at line 3, column 5", ["[-NaN]"] = "-NaN at line 1, column 2",
      ["[1, nan]"] = "nan at line 1, column 5", ["[-Infinity]"] = "-Infinity at line 1, column 2",
      ["[None]"] = "None at line 1, column 2", ["[0x10]"] = "0x10 at line 1, column 2",
      ["[01]"] = "01 at line 1, column 2", ["[+1]"] = "+1 at line 1, column 2", ["{a:1}"] = "a at line 1, column 2",
      ["{'a':1}"] = [["'a':1}" at line 1, column 2]], ["[1,]"] = '"]" at line 1, column 4',
      ["[1]\n[2]"] = '"[2]" at line 2, column 1', ['["é", é]'] = '"é]" at line 1, column 7',
      ['["\\q"]'] = "an escape that is none at line 1, column 3",
      ["[1]\0"] = "a zero byte at line 1, column 4", ["\27[2J"] = [["\x1b[2J" at line 1, column 1]],
      [("["):rep(100)] = "more than 64 levels at line 1, column 65",
      ['{"a":{"b":1},"c":[{"b":1},{"b":2}],\n "a" :3}'] = 'the key "a" twice in an object at line 2, column 2',
      ['{"{\\"}":1,"{\\"}":2}'] = 'the key "{\\"}" twice in an object at line 1, column 11',
    } do
      assert.equal("f: expected JSON, found " .. expected, support.raises("f: ", json.decode, text, "f"))
    end
    for _, text in ipairs { "\xFF\xFE{\0}\0", "\xFE\xFF\0{\0}", "{\0}\0", "\0[\0]" } do
      assert.equal("f: expected JSON in UTF-8, found UTF-16", support.raises("f: ", json.decode, text, "f"))
    end
  end)

  it("may begin with a byte order mark and hold braces and quotes in strings", function()
    assert.same({ 1 }, json.decode "\xEF\xBB\xBF[1]")
    local text = '{"a":"}{\\"b\\":","b":[{"a":1},{"a":{"a":"{"}}],"c":"\\\\"}'
    assert.same({ a = '}{"b":', b = { { a = 1 }, { a = { a = "{" } } }, c = "\\" }, json.decode(text))
  end)

  it("files of other kinds are called what they are", function()
    for text, expected in pairs {
      ["<!DOCTYPE html><html>404"] = "an HTML page",
      ["version https://git-lfs.github.com/spec/v1\noid sha256:0\n"] = "a Git LFS pointer (git lfs pull gets the file)",
      ["Not Found"] = 'text ("Not Found")', ["PK\3\4abcd"] = "a zip file", [""] = "an empty file",
      ["\xFF\xFE{\0"] = "text in UTF-16", ["\xEF\xBB\xBF{1}"] = "1 at line 1, column 2",
    } do
      local path = support.write(root .. "/new\nline.json", text)
      assert.equal(root .. "/new\\nline.json: expected JSON, found " .. expected,
        support.raises("new", json.read, path))
    end
  end)
end)
