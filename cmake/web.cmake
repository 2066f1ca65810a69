# The web page becomes a source file of lb_server: its own files and the libraries that it uses, which
# are Debian's (tools/install_deps).
set(web_folder ${CMAKE_SOURCE_DIR}/src/server/web)
set(web_tool ${CMAKE_SOURCE_DIR}/tools/embed_web)
file(GLOB_RECURSE web_files CONFIGURE_DEPENDS ${web_folder}/*)
add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/web_files.cc
  COMMAND python3 ${web_tool} ${web_folder} ${CMAKE_BINARY_DIR}/web_files.cc
  DEPENDS ${web_files} ${web_tool} VERBATIM)
target_sources(lb_server PRIVATE ${CMAKE_BINARY_DIR}/web_files.cc)
