#include "api/stop_strings.h"

#include <algorithm>
#include <utility>

namespace lb::api {

StopStrings::StopStrings(const std::vector<std::string>& stops) {
  for (const std::string& stop : stops) {
    if (stop.empty()) continue;
    Pattern pattern{stop, std::vector<int>(stop.size(), 0), 0};
    for (size_t i = 1; i < stop.size(); ++i) {
      int border = pattern.failure[i - 1];
      while (border > 0 && stop[i] != stop[static_cast<size_t>(border)]) {
        border = pattern.failure[static_cast<size_t>(border) - 1];
      }
      if (stop[i] == stop[static_cast<size_t>(border)]) ++border;
      pattern.failure[i] = border;
    }
    patterns_.push_back(std::move(pattern));
  }
}

std::string StopStrings::Push(std::string_view piece) {
  if (matched_) return {};
  if (patterns_.empty()) return std::string(piece);
  for (const char c : piece) {
    held_.push_back(c);
    const Pattern* longest = nullptr;
    for (Pattern& p : patterns_) {
      while (p.state > 0 && p.text[static_cast<size_t>(p.state)] != c) {
        p.state = p.failure[static_cast<size_t>(p.state) - 1];
      }
      if (p.text[static_cast<size_t>(p.state)] == c) ++p.state;
      if (static_cast<size_t>(p.state) == p.text.size() &&
          (longest == nullptr || p.text.size() > longest->text.size())) {
        longest = &p;
      }
      // A full state has no next byte to compare; only the final match leaves one behind.
      if (static_cast<size_t>(p.state) == p.text.size()) p.state = p.failure.back();
    }
    if (longest != nullptr) {
      matched_ = true;
      match_ = longest->text;
      std::string before = held_.substr(0, held_.size() - match_.size());
      held_.clear();
      return before;
    }
  }
  int keep = 0;
  for (const Pattern& p : patterns_) keep = std::max(keep, p.state);
  std::string certain = held_.substr(0, held_.size() - static_cast<size_t>(keep));
  held_.erase(0, certain.size());
  return certain;
}

std::string StopStrings::Flush() { return std::exchange(held_, {}); }

}  // namespace lb::api
