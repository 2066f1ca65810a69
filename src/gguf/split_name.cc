#include "gguf/split_name.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace lb::gguf {
namespace {

std::optional<int> FiveDigits(std::string_view text) {
  int value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (text.size() != 5 || error != std::errc() || stop != end || value < 1) return std::nullopt;
  return value;
}

}  // namespace

std::optional<SplitName> ParseSplitName(std::string_view path) {
  constexpr std::string_view kShape = "-00000-of-00000.gguf";
  if (path.size() <= kShape.size()) return std::nullopt;
  const std::string_view tail = path.substr(path.size() - kShape.size());
  if (tail[0] != '-' || tail.substr(6, 4) != "-of-" || tail.substr(15) != ".gguf") {
    return std::nullopt;
  }
  const std::optional<int> number = FiveDigits(tail.substr(1, 5));
  const std::optional<int> count = FiveDigits(tail.substr(10, 5));
  if (!number || !count || *number > *count) return std::nullopt;
  return SplitName{std::string(path.substr(0, path.size() - kShape.size())), *number, *count};
}

std::string MakeSplitName(std::string_view prefix, int number, int count) {
  return fmt::format("{}-{:05d}-of-{:05d}.gguf", prefix, number, count);
}

}  // namespace lb::gguf
