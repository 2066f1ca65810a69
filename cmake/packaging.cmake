# What is installed, and the packages that cpack makes of it (packaging/build). Components:
#   program    the binary and its papers
#   service    the systemd unit and its settings (in the Debian package only)
#   libraries  Debian's libraries that the binary needs, for systems where they are no packages
#   cuda       the plug-in for CUDA, where it was built
include(GNUInstallDirs)
set(private_libraries lib/llama-box)

# DT_RPATH and not DT_RUNPATH: libraries that come along must find one another too, and win over an
# LD_LIBRARY_PATH that was set for other programs.
set_target_properties(llama-box PROPERTIES INSTALL_RPATH "$ORIGIN/../${private_libraries}")
target_link_options(llama-box PRIVATE -Wl,--disable-new-dtags)

# Licences are found when installing: which libraries there are is not known before.
set(installed "\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}")
function(install_licences component source)
  install(CODE "execute_process(COMMAND_ERROR_IS_FATAL ANY COMMAND
    ${CMAKE_SOURCE_DIR}/packaging/licences ${component} \"${installed}/share/doc/llama-box\" \"${source}\")"
    COMPONENT ${component})
endfunction()

install(TARGETS llama-box RUNTIME_DEPENDENCY_SET debian_libraries
  RUNTIME DESTINATION bin COMPONENT program)
install_licences(program ${xgrammar_source})

install(FILES ${CMAKE_SOURCE_DIR}/packaging/debian/llama-box.service DESTINATION lib/systemd/system COMPONENT service)
install(FILES ${CMAKE_SOURCE_DIR}/packaging/debian/llama-box.env DESTINATION /etc RENAME llama-box COMPONENT service)

# All but the C library, which must be the system's.
install(RUNTIME_DEPENDENCY_SET debian_libraries
  PRE_EXCLUDE_REGEXES "^ld-linux" "^lib(c|m|dl|rt|pthread|resolv|util)\\.so"
  LIBRARY DESTINATION ${private_libraries} COMPONENT libraries)
install_licences(libraries "${installed}/${private_libraries}")

# The program looks for its plug-in in the folder of its private libraries.
if(TARGET llama-box-cuda)
  install(TARGETS llama-box-cuda LIBRARY DESTINATION ${private_libraries} COMPONENT cuda)
  set(CPACK_LLAMABOX_CUDA cuda)
endif()

set(CPACK_PACKAGE_NAME llama-box)
set(CPACK_PACKAGE_VENDOR "The llama-box authors")
set(CPACK_PACKAGE_CONTACT "The llama-box authors <llama-box@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "inference server for language models (GGUF in, OpenAI API out)")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION "Serves a language model in a GGUF file over the HTTP APIs of OpenAI,
Anthropic, Ollama and llama.cpp. Its engine is built around a key-value
cache that does not fail: a request that fits is answered in full, whatever
else runs. There is a systemd service, off until /etc/llama-box names a
model.")
set(CPACK_PACKAGE_FILE_NAME llama-box-${PROJECT_VERSION}-linux-${CMAKE_SYSTEM_PROCESSOR})
set(CPACK_OUTPUT_FILE_PREFIX ${CMAKE_BINARY_DIR}/packages)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
set(CPACK_PROJECT_CONFIG_FILE ${CMAKE_SOURCE_DIR}/cmake/packaging_of_generator.cmake)
set(CPACK_ARCHIVE_COMPONENT_INSTALL ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${CMAKE_SOURCE_DIR}/packaging/debian/conffiles
  ${CMAKE_SOURCE_DIR}/packaging/debian/postinst ${CMAKE_SOURCE_DIR}/packaging/debian/prerm
  ${CMAKE_SOURCE_DIR}/packaging/debian/postrm)
include(CPack)
