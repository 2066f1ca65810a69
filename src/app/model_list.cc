#include "app/model_list.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <utility>

#include "app/model_card.h"
#include "app/model_overrides.h"
#include "base/log.h"
#include "gguf/gguf_file.h"
#include "gguf/split_name.h"

namespace lb::app {
namespace {

namespace fs = std::filesystem;

// Public name to path of the models that lie directly in `folder`.
std::map<std::string, std::string> FilesIn(const fs::path& folder) {
  std::map<std::string, std::string> files;
  std::error_code ec;
  for (fs::directory_iterator it(folder, ec), end; !ec && it != end; it.increment(ec)) {
    const fs::path& path = it->path();
    std::error_code ignored;
    const std::string file = path.filename().string();
    if (path.extension() != ".gguf" || file.starts_with("mmproj") || !it->is_regular_file(ignored)) {
      continue;
    }
    std::string name = path.stem().string();
    if (const auto split = gguf::ParseSplitName(path.string())) {
      if (split->number != 1) continue;
      name = fs::path(split->prefix).filename().string();
    }
    files[name] = path.string();
  }
  return files;
}

bool IsAdapter(const std::string& path) {
  const auto file = gguf::GgufFile::Open(path);
  if (!file.has_value()) return false;
  const auto type = (*file)->metadata().String("general.type");
  return type.has_value() && *type == "adapter";
}

}  // namespace

ListedModel DescribeModel(const Flags& flags, const std::string& path, const std::string& name) {
  ListedModel model{name, path, {}, {}, {}};
  model.card.alias = name;
  model.card.path = path;
  const auto read = [&]() -> Result<void> {
    LB_ASSIGN_OR_RETURN(const auto file, gguf::GgufFile::Open(path));
    LB_RETURN_IF_ERROR(OverrideMetadata(flags, file->mutable_metadata()));
    LB_ASSIGN_OR_RETURN(model.config, ReadModelConfig(*file));
    Flags mine = flags;
    mine.model = path;
    mine.alias = name;
    model.card = MakeModelCard(mine, model.config, *file);
    return {};
  }();
  if (!read.has_value()) model.error = read.error();
  return model;
}

Result<std::vector<ListedModel>> ListModels(const Flags& flags, const std::string& folder) {
  std::error_code ec;
  if (!fs::is_directory(folder, ec)) {
    return Fail(ErrorCode::kNotFound, "--models-dir {}: no such folder", folder);
  }
  std::map<std::string, std::string> files = FilesIn(folder);
  std::set<fs::path> folders;
  for (fs::directory_iterator it(folder, ec), end; !ec && it != end; it.increment(ec)) {
    std::error_code ignored;
    if (it->is_directory(ignored)) folders.insert(it->path());
  }
  for (const fs::path& inner : folders) {
    const auto in_it = FilesIn(inner);
    const std::string base = inner.filename().string();
    for (const auto& [name, path] : in_it) {
      files.emplace(in_it.size() == 1 ? base : base + "/" + name, path);
    }
  }
  std::vector<ListedModel> models;
  for (const auto& [name, path] : files) {
    if (IsAdapter(path)) continue;
    models.push_back(DescribeModel(flags, path, name));
    if (models.back().error) LogWarning("{}: {}", name, models.back().error->message);
  }
  if (models.empty()) {
    return Fail(ErrorCode::kNotFound, "--models-dir {}: no model (.gguf) in it", folder);
  }
  return models;
}

}  // namespace lb::app
