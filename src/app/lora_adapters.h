// --lora: the adapters' files, into the model.
#pragma once

#include <memory>

#include "api/adapters.h"
#include "app/flags.h"
#include "base/result.h"
#include "kernels/ops.h"
#include "model/model.h"

namespace lb::app {

// Null when there are none. Every error is one line that names the file.
Result<std::shared_ptr<api::Adapters>> LoadAdapters(const Flags& flags, Ops& ops, Model* model);

}  // namespace lb::app
