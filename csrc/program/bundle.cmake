# Makes build/bundle/cohesiv, a folder that may be put anywhere: program, Lua, its modules and all libraries but those of
# glibc (its version is the oldest on which the bundle runs) and of CUDA. Run by `cmake --build build --target bundle`.
#
#   cohesiv -> bin/cohesiv      lib/*.so        lib/lua/5.4 (core.so, lfs.so, cuda.so)
#   share/lua/5.4               licenses: whose what is
set(folder ${BUILD}/bundle/cohesiv)
file(REMOVE_RECURSE ${folder})
execute_process(COMMAND ${CMAKE_COMMAND} --install ${BUILD} --prefix ${folder} --strip COMMAND_ERROR_IS_FATAL ANY
  OUTPUT_QUIET)
file(REMOVE ${folder}/bin/cohesiv)
file(INSTALL ${BUILD}/program DESTINATION ${folder}/bin RENAME cohesiv USE_SOURCE_PERMISSIONS)
file(CREATE_LINK bin/cohesiv ${folder}/cohesiv SYMBOLIC)

# Lua's modules, from where Lua finds them.
foreach(module argparse lfs)
  execute_process(COMMAND lua5.4 -e
    "local m = '${module}' print(package.searchpath(m, package.path) or package.searchpath(m, package.cpath))"
    OUTPUT_VARIABLE found OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  if(NOT EXISTS "${found}")
    message(FATAL_ERROR "bundle: expected the Lua module ${module}, found none")
  endif()
  string(REPLACE "." "/" path ${module})
  get_filename_component(suffix ${found} LAST_EXT)
  set(where share)
  if(suffix STREQUAL .so)
    set(where lib)
  endif()
  get_filename_component(real ${found} REALPATH)
  get_filename_component(inner ${path} DIRECTORY)
  get_filename_component(name ${path} NAME)
  file(INSTALL ${real} DESTINATION ${folder}/${where}/lua/5.4/${inner} RENAME ${name}${suffix})
  list(APPEND sources ${real})
endforeach()

# Libraries: what those need that are linked, and what is opened at run time.
file(GLOB modules ${folder}/lib/lua/5.4/*.so ${folder}/lib/lua/5.4/cohesiv/*.so)
get_filename_component(openblas ${OPENBLAS} REALPATH)
file(GET_RUNTIME_DEPENDENCIES
  EXECUTABLES ${folder}/bin/cohesiv
  MODULES ${modules}
  LIBRARIES ${openblas}
  RESOLVED_DEPENDENCIES_VAR needed
  UNRESOLVED_DEPENDENCIES_VAR lacking
  PRE_EXCLUDE_REGEXES "^ld-linux" "^lib(c|m|dl|rt|pthread|resolv|util)\\.so" "^cohesiv-core\\.so$" "^libcud")
if(lacking)
  message(FATAL_ERROR "bundle: expected all libraries, found none of ${lacking}")
endif()
file(INSTALL ${openblas} DESTINATION ${folder}/lib RENAME libopenblas.so.0)
foreach(library IN LISTS needed)
  get_filename_component(name ${library} NAME)
  get_filename_component(real ${library} REALPATH)
  file(INSTALL ${real} DESTINATION ${folder}/lib RENAME ${name})
  list(APPEND sources ${real})
endforeach()

# Each looks for the others beside it: $ORIGIN of a library needs no /proc, that of a program does.
find_program(patchelf patchelf REQUIRED)
file(GLOB beside ${folder}/lib/*.so*)
foreach(library IN LISTS beside)
  execute_process(COMMAND ${patchelf} --set-rpath $ORIGIN ${library} COMMAND_ERROR_IS_FATAL ANY)
endforeach()
file(GLOB modules ${folder}/lib/lua/5.4/cohesiv/*.so)
foreach(library IN LISTS modules)
  execute_process(COMMAND ${patchelf} --set-rpath $ORIGIN/../../.. ${library} COMMAND_ERROR_IS_FATAL ANY)
endforeach()

# Whose what is: the notices of the packages that the files are from.
file(INSTALL ${SOURCE}/LICENSE DESTINATION ${folder}/licenses RENAME cohesiv)
foreach(file IN LISTS sources openblas LUA)
  execute_process(COMMAND dpkg -S ${file} OUTPUT_VARIABLE package ERROR_QUIET RESULT_VARIABLE status)
  if(status) # files below /lib are listed so, but found below /usr/lib
    string(REGEX REPLACE "^/usr" "" file ${file})
    execute_process(COMMAND dpkg -S ${file} OUTPUT_VARIABLE package ERROR_QUIET)
  endif()
  string(REGEX REPLACE ":.*" "" package "${package}")
  if(package AND EXISTS /usr/share/doc/${package}/copyright)
    file(INSTALL /usr/share/doc/${package}/copyright DESTINATION ${folder}/licenses RENAME ${package})
  endif()
endforeach()

file(GLOB_RECURSE all ${folder}/*)
set(bytes 0)
foreach(file IN LISTS all)
  file(SIZE ${file} size)
  math(EXPR bytes "${bytes} + ${size}")
endforeach()
math(EXPR tenths "${bytes} / 100000 % 10")
math(EXPR whole "${bytes} / 1000000")
message(STATUS "bundle: ${folder} (${whole}.${tenths} MB)")
