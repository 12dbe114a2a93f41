-- Where a source text can be mutated: its operators and constants, each with what takes its place. Knows the surface of
-- C and Lua: comments, strings, preprocessor lines (but for macros), static asserts, whatever words an error, and the
-- functions that draw an op's samples (tests' data) are passed over. It judges nothing by meaning: a mutant may fail to
-- compile, or mean the same.
local M = {}

local SWAPS = {
  ["+"] = "-", ["-"] = "+", ["*"] = "/", ["/"] = "*", ["+="] = "-=", ["-="] = "+=", ["*="] = "/=", ["/="] = "*=",
  ["<"] = "<=", ["<="] = "<", [">"] = ">=", [">="] = ">", ["=="] = "!=", ["!="] = "==", ["&&"] = "||", ["||"] = "&&",
  ["true"] = "false", ["false"] = "true", ["and"] = "or", ["or"] = "and",
}
local ARITHMETIC = { ["+"] = true, ["-"] = true, ["*"] = true, ["/"] = true }

-- Longest first. Those without a swap are listed so that their first characters are not taken for operators.
local OPERATORS = {
  c = { "<<=", ">>=", "...", "&&", "||", "==", "!=", "<=", ">=", "+=", "-=", "*=", "/=", "<<", ">>", "->", "++", "--" },
  lua = { "...", "..", "==", "~=", "<=", ">=", "<<", ">>", "//", "::" },
}

-- Calls whose arguments are words, or checked by the compiler.
local function is_quiet(word)
  return word == "error" or word == "warn" or word:find "fail$" or word:find "^refuse" or word:find "complain"
    or word:find "tatic_assert$"
end

-- After these an operator has no left operand.
local BEFORE = {
  ["return"] = true, ["case"] = true, ["and"] = true, ["or"] = true, ["not"] = true, ["then"] = true, ["else"] = true,
  ["in"] = true, ["do"] = true,
}

-- What takes a number's place: 0 and 1 change places, others grow by 1. A C suffix stays.
local function other_number(text)
  local digits, suffix = text:match "^(%d+)(%a*)$"
  if digits and (digits == "0" or not digits:find "^0") and suffix:find "^[uUlL]*$" then
    local n = math.tointeger(tonumber(digits))
    if n then return (n == 0 and "1" or n == 1 and "0" or tostring(n + 1)) .. suffix end
  end
  return ("(%s + 1)"):format(text)
end

local function number_at(text, at)
  return text:match("^0[xX][%x.]+[pP]?[+-]?%d*[uUlL]*", at)
    or text:match("^%d*%.?%d*[eE][+-]?%d+[fFlL]?", at)
    or text:match("^%d+%.?%d*[fFuUlL]*", at) or text:match("^%.%d+[fFlL]?", at)
end

-- The end of what is passed over at `at`: a comment, a string, a preprocessor line; nil: nothing is.
local function passed_over(text, at, language)
  if language == "lua" then
    local level = text:match("^%-%-%[(=*)%[", at) or text:match("^%[(=*)%[", at)
    if level then return select(2, text:find("]" .. level .. "]", at, true)) or #text end
    if text:find("^%-%-", at) then return text:find("\n", at, true) or #text end
  else
    if text:find("^/%*", at) then return select(2, text:find("*/", at + 2, true)) or #text end
    if text:find("^//", at) then return text:find("\n", at, true) or #text end
    if text:find("^static int [%w_]*sample%(", at) then return select(2, text:find("\n}", at, true)) or #text end
    if text:find("^samples%[%] = {", at) then return select(2, text:find("};", at, true)) or #text end
    local before = text:sub(at, at) == "#" and text:sub(1, at - 1):match "[^\n]*$"
    if before and not before:find "%S" and not text:find("^#%s*define", at) then
      while true do -- with the lines that continue it
        local stop = text:find("\n", at, true) or #text
        if text:sub(stop - 1, stop - 1) ~= "\\" then return stop end
        at = stop + 1
      end
    end
  end
  local quote = text:match("^[\"']", at)
  while quote do
    at = text:find("[\\" .. quote .. "\n]", at + 1)
    if not at or text:sub(at, at) ~= "\\" then return at or #text end
    at = at + 1
  end
end

--- sites(text, language: "c" or "lua") → a list of { at, before, after }: bytes from `at` on and what replaces them.
function M.sites(text, language)
  local list, at, depth, quiet = {}, 1, 0, nil
  local operand, last -- whether an operator here has a left operand; the last word
  local function site(before, after)
    if after and not quiet then list[#list + 1] = { at = at, before = before, after = after } end
  end
  while at <= #text do
    local stop = passed_over(text, at, language)
    local word = not stop and text:match("^[%a_][%w_]*", at)
    local number = not stop and not word and text:find("^%.?%d", at) and number_at(text, at)
    if stop then
      if text:find("^[\"'%[]", at) then operand = true end
      at, last = stop + 1, nil
    elseif word then
      if word == "true" or word == "false" or language == "lua" and (word == "and" or word == "or") then
        site(word, SWAPS[word])
      end
      operand, last, at = not BEFORE[word], word, at + #word
    elseif number then
      site(number, other_number(number))
      operand, last, at = true, nil, at + #number
    elseif text:find("^%s", at) then
      at = at + 1
    elseif language == "lua" and text:find("^<%s*%a+%s*>", at) then -- an attribute
      at = text:find(">", at, true) + 1
    else
      local operator = text:sub(at, at)
      for _, o in ipairs(OPERATORS[language]) do
        if text:sub(at, at + #o - 1) == o then operator = o break end
      end
      local spaced = text:find("^%s", at - 1) and text:find("^%s", at + #operator)
      if operator == "(" then
        depth = depth + 1
        if not quiet and last and is_quiet(last) then quiet = depth end
      elseif operator == ")" then
        if quiet == depth then quiet = nil end
        depth = depth - 1
      elseif operator == "~=" then
        site("~=", "==")
      elseif operator == "==" and language == "lua" then
        site("==", "~=")
      elseif not ARITHMETIC[operator] or operand and spaced then -- otherwise a sign or a pointer
        site(operator, SWAPS[operator])
      end
      operand, last, at = operator == ")" or operator == "]" or operator == "}", nil, at + #operator
    end
  end
  return list
end

--- The text with one site changed.
function M.apply(text, s)
  return text:sub(1, s.at - 1) .. s.after .. text:sub(s.at + #s.before)
end

--- The number of a site's line, and the line.
function M.line(text, at)
  local _, breaks = text:sub(1, at - 1):gsub("\n", "")
  local from = at
  while from > 1 and text:sub(from - 1, from - 1) ~= "\n" do from = from - 1 end
  return breaks + 1, text:match("^[^\n]*", from)
end

return M
