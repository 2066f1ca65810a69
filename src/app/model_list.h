// The models in the folder of --models-dir.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/service.h"
#include "app/flags.h"
#include "base/error.h"
#include "base/result.h"
#include "model/model.h"

namespace lb::app {

struct ListedModel {
  std::string name;    // what clients call it
  std::string path;    // of a split file: the first part
  api::ModelCard card;
  ModelConfig config;
  std::optional<Error> error;  // why it cannot be read: it is listed, and never loaded
};

// What one file is; `name` its public name.
ListedModel DescribeModel(const Flags& flags, const std::string& path, const std::string& name);

// Every GGUF file in `folder` and in its folders, one level deep, in the order of their names: by the
// file's name without ".gguf" (and without the number of a part), or, if it is the only one in a
// folder of its own, by the folder's. Left out are projectors ("mmproj...") and adapters. kNotFound
// when there is none.
Result<std::vector<ListedModel>> ListModels(const Flags& flags, const std::string& folder);

}  // namespace lb::app
