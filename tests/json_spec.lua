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

  it("is refused where other readers are less strict", function()
    for text, expected in pairs {
      ["[1.]"] = '"]" at line 1, column 4', ["[1."] = "the end of the text (cut short?) at line 1, column 4",
      ["[-.5]"] = "-.5 at line 1, column 2", ["[1e]"] = "e at line 1, column 3", ["[1.5.2]"] = ".2 at line 1, column 5",
      ["[-]"] = '"-]" at line 1, column 2', ["[1-2]"] = "-2 at line 1, column 3",
      ["[-0x10]"] = "-0x10 at line 1, column 2",
      ["truely"] = "ly at line 1, column 5", ["nul"] = "nul at line 1, column 1", ["[1}"] = '"}" at line 1, column 3',
      ['{"a" 1}'] = "1 at line 1, column 6", ['{"a":1,}'] = '"}" at line 1, column 8',
      ["[1]//"] = '"//" at line 1, column 4',
      ["[1,\v2]"] = '"\\x0b2]" at line 1, column 4', [" \xEF\xBB\xBF[]"] = '"\xEF\xBB\xBF[]" at line 1, column 2',
      ['["a\tb"]'] = "a control character in a string at line 1, column 4",
      ['["\\ud83d"]'] = "an escape that is none at line 1, column 3",
      ['["\\ude00\\ud83d"]'] = "an escape that is none at line 1, column 3",
      ['["\\ud83d\\u0041"]'] = "an escape that is none at line 1, column 3",
      ['["\\u00g0"]'] = "an escape that is none at line 1, column 3",
      ['["a\\u12'] = "an escape that is none at line 1, column 4",
      [("x"):rep(50)] = '"' .. ("x"):rep(12) .. '" at line 1, column 1',
      ["[" .. ("é"):rep(8) .. "]"] = '"éééééé" at line 1, column 2',
      [("["):rep(64) .. "x"] = "x at line 1, column 65",
      [('{"a":'):rep(65)] = "more than 64 levels at line 1, column 321",
      ['{"a":1,"\\u0061":2}'] = 'the key "\\u0061" twice in an object at line 1, column 8',
      ['{"a":1,"a":2,"b":1,"b":x}'] = "x at line 1, column 24",
      ['{"' .. ("é"):rep(200) .. '":1,"' .. ("é"):rep(200) .. '":1}'] = 'the key "' .. ("é"):rep(100)
        .. '…" twice in an object at line 1, column 207',
    } do
      assert.equal("f: expected JSON, found " .. expected, support.raises("f: ", json.decode, text, "f"))
    end
    assert.equal("json: expected JSON, found 3", support.raises("json", json.decode, 3))
    support.raises("a: expected JSON, found a table", json.decode, {}, "a")
  end)

  -- Numbers are floats, whatever is written; the nearest ones.
  it("has numbers and strings for values", function()
    for text, expected in pairs {
      ["3"] = 3.0, ["3.0"] = 3.0, ["1e2"] = 100.0, ["1E+2"] = 100.0, ["-0"] = -0.0, ["0"] = 0.0, ["-0e5"] = -0.0,
      ["1e05"] = 1e5,
      ["1e999"] = math.huge, ["-1e999"] = -math.huge, ["1e-400"] = 0.0, ["4.9e-324"] = 0x1p-1074, ["1e308"] = 1e308,
      ["9007199254740993"] = 0x1p53, ["9007199254740992"] = 0x1p53, ["9223372036854775807"] = 0x1p63,
      ["-9223372036854775809"] = -0x1p63, ["123456789012345678901234567890"] = 0x1.8ee90ff6c373ep+96, ["0.1"] = 0.1,
      ["1e22"] = 1e22, ["1e23"] = 0x1.52d02c7e14af6p+76, ["0.30000000000000004"] = 0.30000000000000004,
      ["2.2250738585072011e-308"] = 0x0.fffffffffffffp-1022, ["1.7976931348623159e308"] = math.huge,
      ["12345678.12345678"] = 0x1.78c29c3f35ba2p+23, [("9"):rep(400)] = math.huge,
      [("1"):rep(50) .. "e-40"] = 0x1.08e8d71c71c72p+30,
      ["0.48236429691314697"] = 0x1.edf0e80000000p-2, ["1234567890123456.7e-7"] = 123456789.01234567,
    } do
      local value = json.decode("[" .. text .. "]")[1]
      assert.equal("float", math.type(value), text)
      assert.equal(("%a"):format(expected), ("%a"):format(value), text)
    end
    for text, expected in pairs {
      ['"\\n\\t\\r\\b\\f\\/\\\\\\""'] = "\n\t\r\b\f/\\\"", ['"\\u0041\\u00e9\\u20AC"'] = "Aé€",
      ['"\\uD83d\\uDe00!"'] = "😀!",
      ['"a\\u0000b"'] = "a\0b", ['"\\ud7ff\\ue000\\uffff\\udbff\\udfff"'] = "\u{d7ff}\u{e000}\u{ffff}\u{10ffff}",
      ['""'] = "",
      ['"\127\xFF\xC3(\xED\xA0\x80"'] = "\127\xFF\xC3(\xED\xA0\x80", ["true"] = true, ["false"] = false,
      ["null"] = json.null,
    } do
      assert.equal(expected, json.decode(text), text)
      assert.equal(expected, json.decode("[" .. text .. "]")[1], text)
    end
    assert.same({}, json.decode "[]")
    assert.same({ a = {}, [""] = json.null, ["1"] = 1 }, json.decode ' {"a" : { } ,\r\n"":null,\t"1":1}\n')
    assert.is_truthy(json.null)
  end)

  it("has lists of any length, at any depth", function()
    for _, n in ipairs { 0, 1, 2, 31, 32, 33, 63, 64, 65, 1000 } do
      local numbers, lists = {}, {}
      for i = 1, n do numbers[i], lists[i] = i, { i, { i } } end
      assert.same({ numbers, lists, numbers }, json.decode(json.encode { numbers, lists, numbers }), n)
      assert.equal(n, #json.decode(json.encode(json.list(lists))))
    end
    local deep = ("["):rep(64) .. ("]"):rep(64)
    assert.equal(deep, json.encode(json.list(json.decode(deep))):gsub("{}", "[]"))
  end)

  it("is found to have a key twice in the time of a line", function()
    local keys = {}
    for i = 1, 200000 do keys[i] = ('"%d":0'):format(i) end
    local start = os.clock()
    support.raises('the key "77" twice', json.decode, "{" .. table.concat(keys, ",") .. ',"77":1}')
    assert.is_true(os.clock() - start < 5)
  end)

  it("may begin with a byte order mark and hold braces and quotes in strings", function()
    assert.same({ 1 }, json.decode "\xEF\xBB\xBF[1]")
    local text = '{"a":"}{\\"b\\":","b":[{"a":1},{"a":{"a":"{"}}],"c":"\\\\"}'
    assert.same({ a = '}{"b":', b = { { a = 1 }, { a = { a = "{" } } }, c = "\\" }, json.decode(text))
  end)

  it("is written with 14 digits and the escapes of letters", function()
    for value, expected in pairs {
      [1] = "1", [1.5] = "1.5", [0.1] = "0.1", [1 / 3] = "0.33333333333333", [1e-5] = "1e-05",
      [123456.789] = "123456.789",
      [1e14] = "1e+14", [12345678901234] = "12345678901234", [1234567890123456] = "1.2345678901235e+15", [-2] = "-2",
      [math.mininteger] = "-9.2233720368548e+18", [5e-324] = "4.9406564584125e-324", [true] = "true",
      [json.null] = "null",
      ["a\"b\\c/\b\f\n\r\t\1\31\127\0é\xFF"] = [["a\"b\\c\/\b\f\n\r\t\u0001\u001f\u007f\u0000é]] .. '\xFF"',
    } do
      assert.equal(expected, json.encode(value))
      assert.equal("[" .. expected .. "]", json.encode { value })
    end
    assert.equal("null", json.encode(nil))
    assert.equal("[-0,0]", json.encode { -0.0, 0 })
    assert.equal('[{},[],{"1":1,"1.5":2,"a":3,"b":4},[null,2],{"0":1}]',
      json.encode { {}, json.list {}, { b = 4, a = 3, [1.5] = 2, [1] = 1 }, { nil, 2 }, { [0] = 1 } })
    assert.equal('{"":1,"\\u0000":4,"a":6,"a\\u0000a":7,"a\\u0000b":5,"é":2}',
      json.encode { [""] = 1, ["é"] = 2, ["\0"] = 4, ["a\0b"] = 5, a = 6, ["a\0a"] = 7 })
    assert.equal('{"1": 2, "a": [1,{"b":2}], "c": null}\n', json.row { a = { 1, { b = 2 } }, c = 0 / 0, [1] = 2 })
    assert.equal("{\n  \n}\n", json.lines {})
  end)

  it("is not written of what it cannot hold", function()
    local circle = {}
    circle[1] = circle
    for expected, value in pairs {
      ["NaN"] = { 0 / 0 }, ["an infinity"] = { a = -math.huge }, ["a function"] = { print },
      ["a thread"] = coroutine.create(print),
      ["a userdata"] = io.stdout, ["a table as a key"] = { [{}] = 1 },
      ["a list of more holes than values"] = { [1001] = 1 },
      ["tables within tables, more than 64 deep"] = circle,
    } do
      assert.equal("json: expected a value that JSON can hold, found: " .. expected, support.raises("json",
        json.encode, value))
    end
    assert.equal("json: expected a value that JSON can hold, found: an infinity",
      support.raises("json", json.encode, { [math.huge] = 1, a = 2 }))
    support.raises("list: expected a table, found number", json.list, 3)
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
