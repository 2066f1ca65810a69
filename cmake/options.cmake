# What a build can be told, and the flags that hold for every target.
option(LLAMABOX_TESTS "Build the tests" ON)
option(LLAMABOX_FUZZ "Build the fuzz targets (needs clang)" OFF)
set(LLAMABOX_SANITIZE "" CACHE STRING "Sanitizers for every target, e.g. address,undefined or thread")

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/$<0:>)
# Under sanitizers the preset's -O1 holds, and DCHECK checks.
if(NOT CMAKE_BUILD_TYPE AND NOT LLAMABOX_SANITIZE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")

find_program(CCACHE ccache)
if(CCACHE)
  # So that it keeps what is compiled with precompiled headers too, and another checkout finds it.
  set(CCACHE ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>)
  else()
    add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:SHELL:-Xclang -fno-pch-timestamp>")
  endif()
endif()
find_program(MOLD mold)
if(MOLD)
  add_link_options(-fuse-ld=mold)
endif()

# nvcc takes its own flags.
add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Wall$<SEMICOLON>-Wextra$<SEMICOLON>-Wno-unused-parameter$<SEMICOLON>-fno-math-errno>)
# No contraction of a*b+c behind our back: the same source must give the same bits at every
# instruction set, or "same prompt, same bytes" ends at the compiler.
add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-ffp-contract=off>)

if(LLAMABOX_FUZZ)
  # Coverage of every folder's code: without it a fuzzer sees only its own file.
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(LLAMABOX_SANITIZE)
  add_compile_options(-fsanitize=${LLAMABOX_SANITIZE} -fno-omit-frame-pointer -g1)
  add_link_options(-fsanitize=${LLAMABOX_SANITIZE})
  if(LLAMABOX_SANITIZE MATCHES undefined)
    add_compile_options(-fno-sanitize-recover=undefined)
  endif()
  if(LLAMABOX_SANITIZE MATCHES thread AND CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    add_compile_options(-Wno-tsan)
  endif()
endif()
