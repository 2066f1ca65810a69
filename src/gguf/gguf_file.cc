#include "gguf/gguf_file.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "gguf/part.h"
#include "base/printable.h"
#include "gguf/split_name.h"

namespace lb::gguf {
namespace {

constexpr std::string_view kSplitNumber = "split.no";  // from 0
constexpr std::string_view kSplitCount = "split.count";
constexpr std::string_view kSplitTensors = "split.tensors.count";

// 1 for a file that is whole.
Result<int64_t> SplitCount(const Metadata& metadata) {
  LB_ASSIGN_OR_RETURN(const std::optional<int64_t> count, metadata.Int(kSplitCount));
  return std::max<int64_t>(count.value_or(1), 1);
}

Result<void> CheckIs(const Metadata& metadata, std::string_view key, int64_t wanted,
                     std::string_view why) {
  LB_ASSIGN_OR_RETURN(const std::optional<int64_t> value, metadata.Int(key));
  if (value == wanted) return {};
  return Fail(ErrorCode::kCorrupt, "{}: key \"{}\" is {}, must be {}: {}", metadata.source(), key,
              value ? fmt::format("{}", *value) : std::string("missing"), wanted, why);
}

}  // namespace

GgufFile::~GgufFile() = default;

Result<std::unique_ptr<GgufFile>> GgufFile::Parse(std::span<const uint8_t> bytes,
                                                  std::string name) {
  std::unique_ptr<GgufFile> file(new GgufFile());
  file->path_ = std::move(name);
  LB_RETURN_IF_ERROR(file->AddPart(bytes, file->path_));
  LB_ASSIGN_OR_RETURN(const int64_t count, SplitCount(file->metadata_));
  if (count > 1) {
    return Fail(ErrorCode::kUnsupported, "{}: one of the {} parts of a split file", file->path_,
                count);
  }
  LB_RETURN_IF_ERROR(file->IndexNames());
  return file;
}

Result<std::unique_ptr<GgufFile>> GgufFile::Open(const std::string& path) {
  std::unique_ptr<GgufFile> file(new GgufFile());
  file->path_ = path;
  LB_RETURN_IF_ERROR(file->OpenParts(path));
  LB_RETURN_IF_ERROR(file->IndexNames());
  return file;
}

Result<void> GgufFile::OpenParts(const std::string& path) {
  LB_ASSIGN_OR_RETURN(MappedFile first, MappedFile::Open(path));
  LB_RETURN_IF_ERROR(AddPart(first.bytes(), path));
  mappings_.push_back(std::move(first));

  const std::optional<SplitName> name = ParseSplitName(path);
  LB_ASSIGN_OR_RETURN(const int64_t count, SplitCount(metadata_));
  if (count == 1 && (!name || name->count == 1)) return {};
  if (!name) {
    return Fail(ErrorCode::kInvalidArgument,
                "{}: one of {} parts (key \"{}\"), but not named like one: "
                "NAME-00001-of-{:05d}.gguf",
                path, count, kSplitCount, count);
  }
  if (name->number != 1) {
    return Fail(ErrorCode::kInvalidArgument, "{}: part {} of {}; give the first part, {}", path,
                name->number, name->count, MakeSplitName(name->prefix, 1, name->count));
  }
  LB_RETURN_IF_ERROR(CheckIs(metadata_, kSplitCount, name->count, "the file's name says so"));
  LB_RETURN_IF_ERROR(CheckIs(metadata_, kSplitNumber, 0, "the file's name says the first part"));

  Metadata of_first = std::move(metadata_);
  for (int number = 2; number <= name->count; ++number) {
    const std::string part_path = MakeSplitName(name->prefix, number, name->count);
    auto part = MappedFile::Open(part_path);
    if (!part && part.error().code == ErrorCode::kNotFound) {
      return Fail(ErrorCode::kNotFound, "{}: part {} of {} is missing: {}", path, number,
                  name->count, part_path);
    }
    if (!part) return part.error();
    LB_RETURN_IF_ERROR(AddPart(part->bytes(), part_path));
    mappings_.push_back(std::move(*part));
    LB_RETURN_IF_ERROR(CheckIs(metadata_, kSplitCount, name->count, "the first part says so"));
    LB_RETURN_IF_ERROR(CheckIs(metadata_, kSplitNumber, number - 1, "the file's name says so"));
  }
  metadata_ = std::move(of_first);
  return CheckIs(metadata_, kSplitTensors, static_cast<int64_t>(tensors_.size()),
                 "the parts hold as many tensors");
}

Result<void> GgufFile::AddPart(std::span<const uint8_t> bytes, const std::string& name) {
  LB_ASSIGN_OR_RETURN(Part part, ParsePart(bytes, name));
  if (num_files_ == 0) version_ = part.version;
  metadata_ = std::move(part.metadata);
  for (Tensor& tensor : part.tensors) {
    tensor.file = num_files_;
    tensors_.push_back(std::move(tensor));
  }
  ++num_files_;
  file_bytes_ += static_cast<int64_t>(bytes.size());
  return {};
}

Result<void> GgufFile::IndexNames() {
  by_name_.resize(tensors_.size());
  for (size_t i = 0; i < by_name_.size(); ++i) by_name_[i] = static_cast<int>(i);
  const auto name_of = [this](int i) -> const std::string& { return tensors_[i].name; };
  std::ranges::sort(by_name_, {}, name_of);
  const auto twice = std::ranges::adjacent_find(by_name_, {}, name_of);
  if (twice == by_name_.end()) return {};
  return Fail(ErrorCode::kCorrupt, "{}: tensor \"{}\" occurs twice (as number {} and {} of {})",
              path_, Printable(name_of(*twice)), std::min(twice[0], twice[1]),
              std::max(twice[0], twice[1]), tensors_.size());
}

const Tensor* GgufFile::FindTensor(std::string_view name) const {
  const auto found = std::ranges::lower_bound(
      by_name_, name, {}, [this](int i) { return std::string_view(tensors_[i].name); });
  if (found == by_name_.end() || tensors_[*found].name != name) return nullptr;
  return &tensors_[*found];
}

void GgufFile::Advise(const Tensor& tensor, MappedFile::Advice advice) const {
  if (mappings_.empty()) return;
  const MappedFile& mapping = mappings_[tensor.file];
  const auto offset = tensor.view.as<const uint8_t>() - mapping.bytes().data();
  mapping.Advise(static_cast<size_t>(offset), static_cast<size_t>(tensor.view.num_bytes()), advice);
}

}  // namespace lb::gguf
