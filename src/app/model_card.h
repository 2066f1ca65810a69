// What the server tells about its model.
#pragma once

#include "api/service.h"
#include "app/flags.h"
#include "gguf/gguf_file.h"
#include "model/model.h"

namespace lb::app {

api::ModelCard MakeModelCard(const Flags& flags, const ModelConfig& model,
                             const gguf::GgufFile& file);

}  // namespace lb::app
