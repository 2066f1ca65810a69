# What is not ours and comes from Debian's packages (tools/install_deps); the rest: cmake/xgrammar.cmake.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(Boost 1.81 REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(spdlog REQUIRED)
find_package(fmt REQUIRED)
find_package(CLI11 REQUIRED)
pkg_check_modules(pcre2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(prometheus REQUIRED IMPORTED_TARGET prometheus-cpp-core)
find_library(UTF8PROC_LIBRARY utf8proc REQUIRED)
add_library(utf8proc INTERFACE)
target_link_libraries(utf8proc INTERFACE ${UTF8PROC_LIBRARY})

# Boost.JSON as the compiled library of the same release as Beast.
find_library(BOOST_JSON_LIBRARY boost_json REQUIRED)
add_library(boost_json INTERFACE)
target_include_directories(boost_json SYSTEM INTERFACE ${Boost_INCLUDE_DIRS})
target_link_libraries(boost_json INTERFACE ${BOOST_JSON_LIBRARY})
