-- cohesiv fetch [NAME…] [--json]: public weights: those that can be had, or those named, brought here.
local json, weights = require "cohesiv.base.json", require "cohesiv.base.weights"

local function size(bytes) return bytes > 0 and ("%.0f MB"):format(bytes / 1e6) or "-" end

local function print_list(list)
  local widest, licences = 0, 0
  for _, set in ipairs(list) do widest, licences = math.max(widest, #set.name), math.max(licences, #set.licence) end
  local row = ("%%-%ds  %%-7s  %%6s  %%-%ds  %%s"):format(widest, licences)
  for _, set in ipairs(list) do
    print(row:format(set.name, set.present and "present" or "absent", size(set.bytes), set.licence, set.about))
  end
  print("in " .. weights.folder())
  for _, set in ipairs(list) do
    if not set.present then print(("%s: %s"):format(set.name, set.how)) end
  end
end

return {
  summary = "lists the weights that can be had, or gets those named",
  configure = function(parser)
    parser:argument("names", "Names of the list, such as hands."):args "*"
    parser:flag("--json", "Print the list as JSON.")
  end,
  run = function(args)
    if #args.names == 0 then
      local list = weights.list()
      if args.json then return print(json.encode(json.list(list))) end
      return print_list(list)
    end
    for _, name in ipairs(args.names) do
      print(weights.fetch(name, function(line) io.stderr:write(line, "\n") end))
    end
  end,
}
