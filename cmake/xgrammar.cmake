# The grammar engine (https://github.com/mlc-ai/xgrammar). Debian does not carry it, so its source
# package is fetched from the Python package index, held to a hash, and built once under build/deps
# for every preset: it is the same code with and without sanitizers, and takes a minute.
set(xgrammar_version 0.2.8)
set(xgrammar_root ${CMAKE_SOURCE_DIR}/build/deps)
set(xgrammar_source ${xgrammar_root}/xgrammar-${xgrammar_version})
set(xgrammar_build ${xgrammar_root}/xgrammar-${xgrammar_version}-build)
set(xgrammar_library ${xgrammar_build}/libxgrammar.a)

function(xgrammar_run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE failed OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(failed)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "xgrammar ${xgrammar_version}: '${command}' failed:\n${output}")
  endif()
endfunction()

file(MAKE_DIRECTORY ${xgrammar_root})
file(LOCK ${xgrammar_root}/xgrammar.lock TIMEOUT 600)
if(NOT EXISTS ${xgrammar_source}/LICENSE)
  message(STATUS "Fetching the sources of xgrammar ${xgrammar_version}")
  if(NOT EXISTS ${xgrammar_root}/venv/bin/pip)
    xgrammar_run(python3 -m venv ${xgrammar_root}/venv)
  endif()
  xgrammar_run(${xgrammar_root}/venv/bin/pip download -q --disable-pip-version-check --no-deps
    --no-binary xgrammar --require-hashes -r ${CMAKE_SOURCE_DIR}/cmake/xgrammar/requirements.txt
    -d ${xgrammar_root})
  xgrammar_run(${CMAKE_COMMAND} -E chdir ${xgrammar_root}
    ${CMAKE_COMMAND} -E tar xzf xgrammar-${xgrammar_version}.tar.gz)
endif()
if(NOT EXISTS ${xgrammar_library})
  message(STATUS "Building xgrammar ${xgrammar_version} (once, about a minute)")
  xgrammar_run(${CMAKE_COMMAND} -G Ninja -S ${CMAKE_SOURCE_DIR}/cmake/xgrammar -B ${xgrammar_build}
    -DCMAKE_CXX_COMPILER=g++ -DXGRAMMAR_SOURCE=${xgrammar_source})
  xgrammar_run(${CMAKE_COMMAND} --build ${xgrammar_build})
endif()
file(LOCK ${xgrammar_root}/xgrammar.lock RELEASE)

add_library(xgrammar INTERFACE)
target_include_directories(xgrammar SYSTEM INTERFACE
  ${xgrammar_source}/include ${xgrammar_source}/3rdparty/dlpack/include)
target_link_libraries(xgrammar INTERFACE ${xgrammar_library} Threads::Threads)
