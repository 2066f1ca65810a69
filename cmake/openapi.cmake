# The description of the endpoints, a file for each API, becomes a source file of lb_server;
# @PROJECT_VERSION@ is in it.
set(openapi_folder ${CMAKE_SOURCE_DIR}/src/server/openapi)
file(GLOB openapi_parts CONFIGURE_DEPENDS ${openapi_folder}/*.json)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${openapi_parts} tools/join_openapi)
execute_process(COMMAND python3 ${CMAKE_SOURCE_DIR}/tools/join_openapi ${openapi_folder}
  OUTPUT_VARIABLE text RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "tools/join_openapi failed")
endif()
string(CONFIGURE "${text}" LLAMABOX_OPENAPI @ONLY)
configure_file(src/server/openapi.cc.in ${CMAKE_BINARY_DIR}/openapi.cc @ONLY)
target_sources(lb_server PRIVATE ${CMAKE_BINARY_DIR}/openapi.cc)
