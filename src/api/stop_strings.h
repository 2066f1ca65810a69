// Finds stop strings in text that comes in pieces, holding back as little as possible.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lb::api {

// One per answer. The match that counts is the one that is complete first; of two that are complete
// at the same byte, the longer. So the result depends on the text only, never on how it was cut.
// Cost: the bytes of the text times the number of stop strings.
class StopStrings {
 public:
  // Empty strings are ignored.
  explicit StopStrings(const std::vector<std::string>& stops);

  // The text that can no longer be part of a stop string. After a match: what came before it, and
  // nothing from then on.
  std::string Push(std::string_view piece);
  // The end of the answer: what was held back.
  std::string Flush();

  bool matched() const { return matched_; }
  // The stop string that was found, "" before.
  const std::string& match() const { return match_; }

 private:
  struct Pattern {
    std::string text;
    std::vector<int> failure;  // Knuth-Morris-Pratt: longest border of each prefix
    int state = 0;             // bytes of `text` that the text so far ends with
  };

  std::vector<Pattern> patterns_;
  std::string held_;
  bool matched_ = false;
  std::string match_;
};

}  // namespace lb::api
