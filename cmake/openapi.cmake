# The description of the endpoints becomes a source file of lb_server; @PROJECT_VERSION@ is in it.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS src/server/openapi.json)
file(READ src/server/openapi.json text)
string(CONFIGURE "${text}" LLAMABOX_OPENAPI @ONLY)
configure_file(src/server/openapi.cc.in ${CMAKE_BINARY_DIR}/openapi.cc @ONLY)
target_sources(lb_server PRIVATE ${CMAKE_BINARY_DIR}/openapi.cc)
