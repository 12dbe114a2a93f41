--- pictured(methods): gives a class `png` and `save`, loaded when first called: x:png() is the bytes of a PNG of x,
-- x:save "file.png" writes it. What the picture shows is decided in viz.lua.

return function(methods)
  function methods.png(x) return require("cohesiv.tools.show").png(x) end
  function methods.save(x, path) return require("cohesiv.tools.show").save(x, path) end
  return methods
end
