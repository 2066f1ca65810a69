// The names of the parts of a split file: PREFIX-00001-of-00003.gguf.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lb::gguf {

struct SplitName {
  std::string prefix;  // with the folder
  int number = 1;      // from 1
  int count = 1;
};

// Nothing if `path` is not named like a part (or counts from 0, or beyond its own count).
std::optional<SplitName> ParseSplitName(std::string_view path);
std::string MakeSplitName(std::string_view prefix, int number, int count);

}  // namespace lb::gguf
