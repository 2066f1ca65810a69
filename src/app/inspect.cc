#include "app/inspect.h"

#include <memory>

#include "gguf/gguf_file.h"
#include "gguf/report.h"

namespace lb::app {

Result<std::string> InspectReport(const std::string& path) {
  LB_ASSIGN_OR_RETURN(const std::unique_ptr<gguf::GgufFile> file, gguf::GgufFile::Open(path));
  return gguf::Report(*file);
}

}  // namespace lb::app
