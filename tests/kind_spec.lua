-- What a file is by its first bytes, and that every reader of arrays says so of a file that lies under its name.
local co = require "cohesiv"
local core = require "cohesiv.core"
local pickles = require "tests.pickles"
local support = require "tests.support"
local files = require "cohesiv.tensor.io"

local folder = support.temp()
local function put(name, bytes) return support.write(folder .. "/" .. name, bytes) end

local PAGE = "<!DOCTYPE html><html><head><title>Quota exceeded</title></head></html>"
local POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" .. ("0"):rep(64) .. "\nsize 46830571\n"

describe("a file's kind", function()
  local function kind(bytes) return core.io.kind(put("x", bytes)) end

  it("is told of pages, pointers and text", function()
    local html = "an HTML page"
    for _, page in ipairs { PAGE, "\n\n  <!doctype HTML>", "\xef\xbb\xbf<html lang='en'>", "<HEAD><title>x", "<body>",
      "<!-- made by x -->\n<!DOCTYPE html>", '<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "">' } do
      assert.equal(html, kind(page), page)
    end
    assert.equal("an XML file (the error of a server?)", kind '<?xml version="1.0"?><Error><Code>AccessDenied</Code>')
    assert.equal("a Git LFS pointer (git lfs pull gets the file)", kind(POINTER))
    assert.equal("a git-annex pointer (git annex get gets the file)", kind "/annex/objects/SHA256E-s3--ab.pth\n")
    assert.equal('JSON ({"message": "Not Found"})', kind '{"message": "Not Found"}')
    assert.equal('JSON ({ ...)', kind '{\n  "message": "Not Found"\n}')
    assert.equal('text ("404: Not Found")', kind "404: Not Found")
    assert.equal('text ("one" ...)', kind "one\ntwo\n")
    assert.equal('text ("' .. ("é"):rep(30) .. '" ...)', kind(("é"):rep(200)))
    assert.equal('text ("x' .. ("é"):rep(29) .. '" ...)', kind("x" .. ("é"):rep(200)))
    assert.equal("text in UTF-16", kind "\xff\xfea\0b\0")
    assert.equal("an empty file", kind "")
    assert.equal("zero bytes (a download that was not finished?)", kind(("\0"):rep(5000)))
  end)

  it("is told of archives, pictures, videos and arrays", function()
    for bytes, wanted in pairs {
      ["\x1f\x8b\8\0abc"] = "a gzip file (gunzip unpacks it)", ["BZh91AY"] = "a bzip2 file (bunzip2 unpacks it)",
      ["\xfd7zXZ\0\0"] = "an xz file (unxz unpacks it)", ["\x28\xb5\x2f\xfd\0"] = "a zstd file (unzstd unpacks it)",
      ["7z\xbc\xaf\x27\x1c\0\4"] = "a 7z archive", ["Rar!\x1a\7\1\0"] = "a RAR archive",
      [("\0"):rep(257) .. "ustar\0"] = "a tar archive", ["PK\3\4abc"] = "a zip file",
      ["\x89PNG\r\n\x1a\n\0"] = "a PNG picture", ["\xff\xd8\xff\xe0"] = "a JPEG picture", ["GIF89a"] = "a GIF picture",
      ["RIFF\1\0\0\0WEBPVP8 "] = "a WebP picture", ["II*\0\8\0"] = "a TIFF picture",
      ["\0\0\0\x20ftypisom"] = "an MP4 or MOV video", ["\0\0\0\x20ftypheic"] = "a HEIC picture",
      ["RIFF\1\0\0\0AVI LIST"] = "an AVI video", ["\x1a\x45\xdf\xa3\1"] = "a Matroska or WebM video",
      ["\x93NUMPY\1\0"] = "a NumPy array (.npy)", ["PIEH\1\0\0\0"] = "a flow field (.flo)",
      ["\x89HDF\r\n\x1a\n"] = "an HDF5 file", ["GGUF\3\0\0\0"] = "a GGUF file", ["%PDF-1.7"] = "a PDF file",
      ["\2\0\0\0\0\0\0\0{}"] = "a safetensors file", ["\x80\2}."] = "a pickle (of Python, or of PyTorch before 1.6)",
    } do assert.equal(wanted, kind(bytes)) end
    assert.is_nil(kind "\1\2\3")
    assert.is_nil(kind(("\0"):rep(10)))
    assert.is_nil(kind "text\0and more")
    support.raises("No such file", core.io.kind, folder .. "/none")
    support.raises("found a folder", core.io.kind, folder)
  end)

  it("is never more than one short line", function()
    for n = 1, 600 do
      local text = kind((("{\"<\\é"):rep(200)):sub(1, n))
      assert.is_true(not text or #text < 112 and not text:find "%c")
    end
  end)
end)

describe("a reader", function()
  local others = {
    { PAGE, "found an HTML page" }, { POINTER, "found a Git LFS pointer (git lfs pull gets the file)" },
    { "", "found an empty file" }, { '{"error": "no such file"}', "found JSON" }, { '{"data":{"a": 1}}', "found JSON" },
    { "\x1f\x8b\8\0abcdefgh", "found a gzip" }, { "Not Found", 'found text ("Not Found")' },
    { ("\0"):rep(100), "found zero bytes" },
    { "\x89PNG\r\n\x1a\n" .. ("\1"):rep(50), "found a PNG picture" }, { "\1\2\3", "found another kind" },
  }

  local readers = {
    ["x.npy"] = { core.io.npy_read, "expected a .npy array, " },
    ["x.npz"] = { core.io.npz_read, "expected a zip file, " },
    ["x.pth"] = { core.io.pth_read, "expected weights as torch.save writes them since PyTorch 0.1.10, " },
    ["x.safetensors"] = { core.io.safetensors_read, "expected safetensors, " },
    ["y.npz"] = { files.weights, "expected a zip file, " }, ["y.pt"] = { files.weights, "expected weights" },
    ["y.ckpt"] = { files.weights, "expected weights" }, ["y.txt"] = { files.weights, "expected weights" },
    ["z.safetensors"] = { files.weights, "expected safetensors, " }, ["w.npy"] = { co.load, "expected a .npy array, " },
  }

  it("says what it found in place of its kind", function()
    for name, reader in pairs(readers) do
      for _, case in ipairs(others) do
        local path = put(name, case[1])
        local message = support.raises(case[2], reader[1], path)
        assert.is_truthy(message:find(path .. ": " .. reader[2], 1, true), message)
      end
    end
  end)

  it("is told of pictures, flow and videos too", function()
    for name, expected in pairs { ["a.png"] = "a PNG file", ["a.jpg"] = "a JPEG file", ["a.flo"] = "a .flo file",
      ["a.mp4"] = "a video file" } do
      local read = name == "a.mp4" and co.clip or co.load
      for bytes, found in pairs { [PAGE] = "an HTML page", [POINTER] = "a Git LFS pointer", [""] = "an empty file" } do
        support.raises(("%s: expected %s, found %s"):format(name, expected, found), read, put(name, bytes))
      end
    end
  end)

  it("tells damage of its own kind from other kinds", function()
    support.raises("a.jpg: expected an intact JPEG file, found:", co.load, put("a.jpg", "\xff\xd8\xff"))
    support.raises("a.jpg: expected a JPEG file, found", co.load, put("a.jpg", "\xff\xd8"))
    local zip = pickles.archive(pickles.dict("w", pickles.tensor {}))
    support.raises("found no zip directory (truncated?)", files.weights, put("cut.pth", zip:sub(1, #zip // 2)))
    local header = '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    support.raises("expected a safetensors header within the file, found 54 bytes claimed", files.weights,
      put("cut.safetensors", string.pack("<i8", #header) .. header:sub(1, 20)))
    support.raises("expected a safetensors header within the file", files.weights,
      put("long.safetensors", string.pack("<i8", 1 << 30) .. header))
    support.raises("expected a .npy header, found the end", co.load, put("cut.npy", "\x93NUMPY\1\0"))
    support.raises("a.npy: expected a .npy array, found an HTML page", co.load,
      put("page.npz", require("tests.files").zip { { "a.npy", PAGE } }))
  end)

  it("of a dtype that it cannot hold quotes the dtype alone", function()
    local function header(descr)
      return put("d.npy", require("tests.files").npy(nil, nil, ("\0"):rep(16), {
        header = ("{'descr': %s, 'fortran_order': False, 'shape': (1,), }\n"):format(descr) }))
    end
    for _, descr in ipairs { "'|O'", "'<c16'", '"<U5"', "[('a', '<i4'), ('b', '<f8', (2, 3))]", "3" } do
      local message = support.raises("of up to 64 bits, found " .. descr, co.load, header(descr))
      assert.equal(descr, message:match "found (.*)$")
    end
    local long = header("[" .. ("('name', '<i4'), "):rep(50) .. "]")
    assert.is_truthy(#support.raises("found [('name', '<i4'), ", co.load, long) < 200 + #folder)
  end)
end)
